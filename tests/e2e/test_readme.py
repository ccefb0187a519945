"""The README's commands, Python and C do what it says, typed in order in an empty folder with a real model."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import edgec
from edgec.benchmarks import zoo

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("readme")]

README = (Path(edgec.__file__).parent / "README.md").read_text()
NEEDS_A_PHONE = ("adb ",)


def _blocks(language: str) -> list[str]:
    section = README.split("## Use it", 1)[1].split("## What a bundle holds", 1)[0]
    return re.findall(rf"```{language}\n(.*?)```", section, re.DOTALL)


def _commands() -> list[str]:
    lines = [line.removeprefix("$ ") for block in _blocks("console") for line in block.splitlines()]
    return [line for line in lines if not line.startswith(NEEDS_A_PHONE)]


def test_the_use_it_section(tmp_path: Path) -> None:
    model = zoo.MODELS["ppocr_cls"]
    shutil.copy(model.load(), tmp_path / "model.onnx")
    zoo.write_samples(model.samples(4), tmp_path / "samples")
    np.save(tmp_path / "x.npy", model.samples(1, start=50)[0]["x"])
    (code,) = _blocks("c")
    (tmp_path / "app.c").write_text(code)
    commands = _commands()
    assert len(commands) >= 9
    for command in commands:
        done = _shell(command, tmp_path)
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    assert done.stdout.startswith("ok, first output 0."), done.stdout


def test_the_python_block(tmp_path: Path) -> None:
    model = zoo.MODELS["ppocr_cls"]
    shutil.copy(model.load(), tmp_path / "model.onnx")
    zoo.write_samples(model.samples(4), tmp_path / "samples")
    np.save(tmp_path / "x.npy", model.samples(1, start=50)[0]["x"])
    (code,) = _blocks("python")
    program = f"{code}\nfor y in outputs.values(): print(y.shape, y.sum())"
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("(1, 2) ")


def test_the_compile_command_at_the_top_is_one_of_those_below() -> None:
    assert "edgec compile model.onnx --target arm64-neon --int8 --calibrate samples/ -o model.edge" in README
    assert "make demo" in README and "make test" in README


def _shell(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    return subprocess.run(command, shell=True, cwd=folder, env=environment, capture_output=True, text=True, check=False)
