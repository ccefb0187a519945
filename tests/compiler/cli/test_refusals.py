"""What cannot be is refused before any work is done: in one sentence that names it, with exit code 2."""

import os
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from edgec.compiler.cli import console
from edgec.compiler.cli.app import app


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder: a file, a pipe, and files that are called arrays and a model, but are none."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(console, "settings", console.Settings())
    Path("file").write_text("")
    os.mkfifo("pipe")
    Path("noise.npy").write_bytes(bytes(range(256)))
    np.save("objects.npy", np.array([{}]), allow_pickle=True)
    np.savez("x.npz", x=np.zeros(3))
    with open("large.onnx", "wb") as large:
        large.truncate(2**31)
    return tmp_path


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("compile pipe", "cannot read the model pipe: it is not a regular file"),
        ("compile /dev/zero", "cannot read the model /dev/zero: it is not a regular file"),
        ("compile .", "cannot read the model .: Is a directory"),
        ("compile large.onnx", "large.onnx has 2147483648 bytes, but a model's file at most 2147483647"),
        ("compile m.onnx --calibrate samples", "--calibrate samples is for --int8, which is not given"),
        ("compile m.onnx --int8 --fp16", "--int8 and --fp16 exclude each other"),
        ("compile m.onnx -o file/m.edge", "file is not a folder; choose another place with -o"),
        ("compile m.onnx -o file", "file exists and is not a bundle, so it is not replaced"),
        ("compile m.onnx -o .", "exists and is not a bundle, so it is not replaced"),
        (
            "compile m.onnx --const x=noise.npy",
            "the input noise.npy is not a .npy file (the magic string is not correct",
        ),
        (
            "compile m.onnx --const x=objects.npy",
            "the input objects.npy is not a .npy file (Array can't be memory-mapped",
        ),
        ("inspect pipe", "cannot read the model pipe: it is not a regular file"),
        ("inspect . --shape x=1", "--shape and --const are for models, but . is a folder"),
        ("compile m.onnx --shape x=a+b", "'x=a+b' is not NAME=D0,D1,... with positive extents"),
        ("compile m.onnx --const x=abc", "'x=abc' is not NAME=V0,V1,... or NAME=FILE.npy"),
        ("compile m.onnx --state x", "'x' is not INPUT=OUTPUT, as in"),
        ("run m.edge --input x", "'x' is not NAME=FILE, as in x=x.npy"),
        ("run .", ". is not a bundle (it has no manifest.json)"),
        ("run file", "file is not a bundle (it has no manifest.json)"),
    ],
)
def test_one_sentence(folder: Path, command: str, said: str) -> None:
    before = sorted(os.listdir(folder))
    done = CliRunner().invoke(app, command.split())
    assert done.exit_code == 2
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1
    assert said in done.stderr
    assert sorted(os.listdir(folder)) == before


@pytest.mark.parametrize("extent", ["0", "99999999999", "4..2", "1..8/0", "0..3"])
def test_extents_that_cannot_be(folder: Path, extent: str) -> None:
    done = CliRunner().invoke(app, ["compile", "m.onnx", "--shape", f"x=1,{extent}"])
    assert done.exit_code == 2
    assert f"'{extent}' is not an extent from 1 to" in done.stderr


@pytest.mark.parametrize("name", ["pipe", "noise.npy", "objects.npy", "x.npz", "nowhere.npy", "."])
def test_arrays_that_are_none(folder: Path, name: str) -> None:
    """Nothing is waited for, and nobody is told to unpickle."""
    from edgec.compiler.cli.arguments import array
    from edgec.errors import EdgeError

    with pytest.raises(EdgeError, match=r"the input .* (cannot be read|is not a \.npy file)") as caught:
        array(Path(name))
    assert "allow_pickle" not in str(caught.value)
