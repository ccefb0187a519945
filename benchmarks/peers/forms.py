"""Every engine's own file of a model: made once by the tools that its users have, kept under build/peers/models."""

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import onnx

from ...errors import EdgeError
from ..fetch import source_key
from ..qdq import Codes
from .cases import Case, compiled, write_float, write_qdq
from .environment import converters_python, engines_python
from .rewrite import rewrite

Precision = Literal["float32", "int8"]
SOURCES = ("images", "qdq", "peers/forms", "peers/rewrite", "peers/quantize_tflite")
PATIENCE_S = 900.0


@dataclass(frozen=True)
class Form:
    """What `engine` runs of a model: `write(folder, case)` leaves `file` in a folder of the form's own."""

    engine: str
    kind: str
    file: str
    write: Callable[[Path, Case], None]

    @property
    def label(self) -> str:
        """The engine, and how its model is quantized where others quantize it in other ways."""
        return self.engine if self.kind in ("float", "int8") else f"{self.engine} {self.kind}"


class Forms:
    """The files of all engines under `folder`; edgec's are bundles for `target`."""

    def __init__(self, folder: Path, target: str) -> None:
        self.folder, self.target = folder.absolute(), target
        self._compiled: set[Path] = set()

    def of(self, precision: Precision) -> Sequence[Form]:
        """Those that are compared. An engine may have several of a precision: the best of them counts."""
        if precision == "float32":
            return (
                Form("edgec", "float", "model.edge", partial(self._edgec, "float32")),
                Form("onnxruntime", "float", "model.onnx", _onnx),
                Form("openvino", "float", "model.onnx", _onnx),
                Form("litert", "float", "model.tflite", self._tflite),
                Form("ncnn", "float", "model.ncnn.param", self._ncnn),
                Form("mnn", "float", "model.mnn", self._mnn),
            )
        return (
            Form("edgec", "int8", "model.edge", partial(self._edgec, "int8")),
            Form("onnxruntime", "s8s8", "model.onnx", partial(_qdq, "int8")),
            Form("onnxruntime", "u8s8", "model.onnx", partial(_qdq, "uint8")),
            Form("openvino", "s8s8", "model.onnx", partial(_qdq, "int8")),
            Form("openvino", "u8s8", "model.onnx", partial(_qdq, "uint8")),
            Form("litert", "static", "model.tflite", partial(self._tflite_int8, "static")),
            Form("litert", "dynamic", "model.tflite", partial(self._tflite_int8, "dynamic")),
            Form("ncnn", "int8", "model.ncnn.param", _no_ncnn_quantizer),
            Form("mnn", "w8", "model.w8.mnn", self._mnn_w8),
        )

    def path(self, form: Form, case: Case) -> Path:
        """The form's file. EdgeError with the reason why there is none."""
        engine = f"edgec-{self.target}" if form.engine == "edgec" else form.engine
        made_by = hashlib.sha256(f"{case.source} {source_key(*SOURCES)}".encode()).hexdigest()[:8]
        final = self.folder / "models" / f"{case.name}-{engine}-{form.kind}-{made_by}"
        stale = form.engine == "edgec" and final not in self._compiled  # edgec itself changes while it is worked on
        if stale or not (final / form.file).exists():
            final.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=final.parent) as temporary:
                made = Path(temporary) / "made"
                made.mkdir()
                form.write(made, case)
                shutil.rmtree(final, ignore_errors=True)
                os.replace(made, final)
            self._compiled.add(final)
        return final / form.file

    def _edgec(self, precision: Precision, folder: Path, case: Case) -> None:
        compiled(case, self.target, precision, folder)

    def _tflite(self, folder: Path, case: Case) -> None:
        plain = folder / "plain.onnx"
        _onnx(folder, case)
        rewrite(folder / "model.onnx", plain)
        # -n: quiet, -osd: with a signature, by which the quantizer knows the inputs, -kat: not for channels last
        as_they_are = [name for name, array in case.feeds(0).items() if array.ndim != 4]
        options = ["-n", "-osd", *(["-kat", *as_they_are] if as_they_are else [])]
        _run(
            [converters_python(self.folder), "-m", "onnx2tf", "-i", plain, "-o", folder / "made", *options],
            folder / "made/plain_float32.tflite",
        )
        os.replace(folder / "made/plain_float32.tflite", folder / "model.tflite")
        shutil.rmtree(folder / "made")

    def _tflite_int8(self, kind: str, folder: Path, case: Case) -> None:
        self._tflite(folder, case)
        os.replace(folder / "model.tflite", folder / "float.tflite")
        feeds = case.calibration()
        np.savez(folder / "samples.npz", **{name: np.stack([f[name] for f in feeds]) for name in feeds[0]})  # type: ignore[arg-type]
        script = Path(__file__).with_name("quantize_tflite.py")
        made = folder / "model.tflite"
        _run([engines_python(self.folder), script, kind, folder / "float.tflite", folder / "samples.npz", made], made)

    def _ncnn(self, folder: Path, case: Case) -> None:
        _onnx(folder, case)
        home = engines_python(self.folder).parents[1]
        (pnnx,) = home.glob("lib/python3*/site-packages/pnnx/pnnx")
        _run([pnnx, folder / "model.onnx", "fp16=0"], folder / "model.ncnn.param")

    def _mnn(self, folder: Path, case: Case) -> None:
        self._mnn_converted(folder, case, "model.mnn", [])

    def _mnn_w8(self, folder: Path, case: Case) -> None:
        self._mnn_converted(folder, case, "model.w8.mnn", ["--weightQuantBits", "8"])

    def _mnn_converted(self, folder: Path, case: Case, file: str, options: Sequence[str]) -> None:
        """Its command line installs packages and reports home; what the command calls does neither."""
        _onnx(folder, case)
        names = [port.name for port in onnx.load(folder / "model.onnx", load_external_data=False).graph.output]
        path = folder / file
        path.with_suffix(".outputs").write_text("\n".join(names))
        script = "import sys, _tools; _tools.mnnconvert(['mnnconvert', *sys.argv[1:]])"
        files: list[str | Path] = ["--modelFile", folder / "model.onnx", "--MNNModel", path]
        python = engines_python(self.folder)
        _run([python, "-c", script, "-f", "ONNX", *files, "--bizCode", "edgec", *options], path)


def _onnx(folder: Path, case: Case) -> None:
    write_float(case, folder / "model.onnx")


def _qdq(activations: Codes, folder: Path, case: Case) -> None:
    write_qdq(case, folder / "model.onnx", activations)


def _no_ncnn_quantizer(folder: Path, case: Case) -> None:
    raise EdgeError("ncnn's wheel has no quantizer")


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
