"""The Python environments of other engines: apart from edgec's own, made on first use, versions pinned."""

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from ...errors import EdgeError

ENGINES = (
    "numpy==2.4.6",
    "onnxruntime==1.31.1",
    "openvino==2026.4.1",
    "ai-edge-litert==2.3.0",
    "ai-edge-quantizer==0.10.0",
    "ncnn==1.0.20261020",
    "MNN==3.6.1",
)
CONVERTERS = ("onnx2tf==2.6.9",)
CONVERTERS_NEED = (3, 12)
WITHOUT_DEPENDENCIES = ("pnnx==20261020",)  # a static program, which says that it needs torch


def engines_python(folder: Path) -> Path:
    """The interpreter that has the engines. EdgeError when pip cannot get them."""
    return _environment(folder / "engines", Path(sys.executable), ENGINES, WITHOUT_DEPENDENCIES)


def converters_python(folder: Path) -> Path:
    """The interpreter that has what makes .tflite of .onnx. EdgeError when there is no Python that is new enough."""
    python = next(_interpreters(), None)
    if python is None:
        needed = ".".join(map(str, CONVERTERS_NEED))
        raise EdgeError(f"onnx2tf, which makes .tflite files, needs Python {needed} or newer, and none was found here")
    return _environment(folder / "converters", python, CONVERTERS, ())


def _interpreters() -> Iterator[Path]:
    """Interpreters that are new enough for the converters."""
    names = [f"python3.{minor}" for minor in range(CONVERTERS_NEED[1], CONVERTERS_NEED[1] + 3)]
    found = [sys.executable, *filter(None, map(shutil.which, names))]
    found += map(str, sorted(Path.home().glob(".pyenv/versions/3.*/bin/python")))
    for python in found:
        script = f"import sys; sys.exit(not {CONVERTERS_NEED} <= sys.version_info[:2] < (3, 15))"
        if subprocess.run([python, "-c", script], capture_output=True, check=False).returncode == 0:
            yield Path(python)


def _environment(folder: Path, python: Path, packages: Sequence[str], alone: Sequence[str]) -> Path:
    """The interpreter of the environment with exactly these packages; `alone` come without their dependencies."""
    key = hashlib.sha256("\n".join([*packages, *alone]).encode()).hexdigest()[:8]
    home = folder.with_name(f"{folder.name}-{key}").absolute()
    ready = home / "ready"
    if not ready.exists():
        shutil.rmtree(home, ignore_errors=True)
        _run([str(python), "-m", "venv", str(home)])
        pip = [str(home / "bin/python"), "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
        _run([*pip, "--only-binary=:all:", *packages])
        if alone:
            _run([*pip, "--no-deps", *alone])
        ready.touch()
    return home / "bin/python"


def _run(command: Sequence[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise EdgeError(f"'{' '.join(command)}' failed: {reason}")
