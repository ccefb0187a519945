"""Every engine's own file of a model: made once, kept under build/peers/models."""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from ..fetch import source_key
from . import converted
from .cases import Case, compiled

Precision = Literal["float32", "float16", "int8"]
SOURCES = ("images", "qdq", "peers/converted", "peers/rewrite", "peers/quantize_tflite")


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
        return self.engine if self.kind in ("float", "half", "int8") else f"{self.engine} {self.kind}"


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
                Form("onnxruntime", "float", "model.onnx", converted.plain_onnx),
                Form("openvino", "float", "model.onnx", converted.plain_onnx),
                Form("litert", "float", "model.tflite", partial(converted.tflite, self.folder)),
                Form("ncnn", "float", "model.ncnn.param", partial(converted.ncnn, False, self.folder)),
                Form("mnn", "float", "model.mnn", self._mnn("model.mnn")),
            )
        if precision == "float16":
            return (
                Form("edgec", "half", "model.edge", partial(self._edgec, "float16")),
                Form("ncnn", "fp16", "model.fp16.ncnn.param", partial(converted.ncnn, True, self.folder)),
                Form(
                    "mnn", "fp16", "model.fp16.mnn", partial(converted.mnn, "model.fp16.mnn", ("--fp16",), self.folder)
                ),
            )
        return (
            Form("edgec", "int8", "model.edge", partial(self._edgec, "int8")),
            Form("onnxruntime", "s8s8", "model.onnx", partial(converted.qdq, "int8")),
            Form("onnxruntime", "u8s8", "model.onnx", partial(converted.qdq, "uint8")),
            Form("openvino", "s8s8", "model.onnx", partial(converted.qdq, "int8")),
            Form("openvino", "u8s8", "model.onnx", partial(converted.qdq, "uint8")),
            Form("litert", "static", "model.tflite", partial(converted.tflite_int8, "static", self.folder)),
            Form("litert", "dynamic", "model.tflite", partial(converted.tflite_int8, "dynamic", self.folder)),
            Form("ncnn", "int8", "model.ncnn.param", converted.no_ncnn_quantizer),
            Form(
                "mnn",
                "w8",
                "model.w8.mnn",
                partial(converted.mnn, "model.w8.mnn", ("--weightQuantBits", "8"), self.folder),
            ),
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

    def _mnn(self, file: str, *options: str) -> Callable[[Path, Case], None]:
        return partial(converted.mnn, file, options, self.folder)

    def _edgec(self, precision: Precision, folder: Path, case: Case) -> None:
        compiled(case, self.target, precision, folder)
