"""Models as other engines take them, made by the tools that their users have."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx

from ...errors import EdgeError
from ..qdq import Codes
from .cases import Case, write_float, write_qdq
from .environment import converters_python, engines_python
from .rewrite import rewrite

PATIENCE_S = 900.0


def plain_onnx(folder: Path, case: Case) -> None:
    """model.onnx."""
    write_float(case, folder / "model.onnx")


def qdq(activations: Codes, folder: Path, case: Case) -> None:
    """model.onnx, as ONNX Runtime quantizes it."""
    write_qdq(case, folder / "model.onnx", activations)


def no_ncnn_quantizer(folder: Path, case: Case) -> None:
    """Why there is no int8 form."""
    raise EdgeError("ncnn's wheel has no quantizer")


def tflite(home: Path, folder: Path, case: Case) -> None:
    """model.tflite, by onnx2tf; `home` has the converters."""
    plain = folder / "plain.onnx"
    plain_onnx(folder, case)
    rewrite(folder / "model.onnx", plain)
    # -n: quiet, -osd: with a signature, by which the quantizer knows the inputs, -kat: not for channels last
    as_they_are = [name for name, array in case.feeds(0).items() if array.ndim != 4]
    options = ["-n", "-osd", *(["-kat", *as_they_are] if as_they_are else [])]
    _run(
        [converters_python(home), "-m", "onnx2tf", "-i", plain, "-o", folder / "made", *options],
        folder / "made/plain_float32.tflite",
    )
    os.replace(folder / "made/plain_float32.tflite", folder / "model.tflite")
    shutil.rmtree(folder / "made")


def tflite_int8(kind: str, home: Path, folder: Path, case: Case) -> None:
    """model.tflite, "static"ally or "dynamic"ally quantized."""
    tflite(home, folder, case)
    os.replace(folder / "model.tflite", folder / "float.tflite")
    feeds = case.calibration()
    np.savez(folder / "samples.npz", **{name: np.stack([f[name] for f in feeds]) for name in feeds[0]})  # type: ignore[arg-type]
    script = Path(__file__).with_name("quantize_tflite.py")
    made = folder / "model.tflite"
    _run([engines_python(home), script, kind, folder / "float.tflite", folder / "samples.npz", made], made)


def ncnn(halves: bool, home: Path, folder: Path, case: Case) -> None:
    """model.ncnn.param, by pnnx, or model.fp16.ncnn.param with `halves` as weights."""
    plain_onnx(folder, case)
    (pnnx,) = engines_python(home).parents[1].glob("lib/python3*/site-packages/pnnx/pnnx")
    _run([pnnx, folder / "model.onnx", f"fp16={int(halves)}"], folder / "model.ncnn.param")
    for suffix in ("param", "bin") if halves else ():
        os.replace(folder / f"model.ncnn.{suffix}", folder / f"model.fp16.ncnn.{suffix}")


def mnn(file: str, options: Sequence[str], home: Path, folder: Path, case: Case) -> None:
    """`file`, by MNN's converter. Its command line installs packages and reports home; what that calls does neither."""
    plain_onnx(folder, case)
    names = [port.name for port in onnx.load(folder / "model.onnx", load_external_data=False).graph.output]
    path = folder / file
    path.with_suffix(".outputs").write_text("\n".join(names))
    script = "import sys, _tools; _tools.mnnconvert(['mnnconvert', *sys.argv[1:]])"
    files: list[str | Path] = ["--modelFile", folder / "model.onnx", "--MNNModel", path]
    python = engines_python(home)
    _run([python, "-c", script, "-f", "ONNX", *files, "--bizCode", "edgec", *options], path)


def _run(command: Sequence[str | Path], made: Path) -> None:
    """Run a converter. EdgeError with the end of what it said if the file `made` is not there then."""
    words = [str(word) for word in command]
    quiet = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    with tempfile.TemporaryDirectory() as folder:  # converters leave files where they run
        done = subprocess.run(
            words, cwd=folder, env=quiet, capture_output=True, text=True, timeout=PATIENCE_S, check=False
        )
    if done.returncode or not made.is_file():
        said = (done.stderr.strip() or done.stdout.strip() or "nothing").splitlines()[-1]
        raise EdgeError(f"{Path(words[0]).name} {' '.join(words[1:3])} failed ({done.returncode}): {said[-300:]}")
