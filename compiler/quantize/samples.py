"""Calibration samples: a folder of .npy, .npz or images -> feeds for the model, one at a time."""

import zipfile
import zlib
from collections.abc import Iterator, Sequence
from math import prod
from pathlib import Path
from typing import IO, Any

import numpy as np
from PIL import Image

from ...errors import EdgeError
from ..ir.extent import largest
from ..ir.specialize import bound
from ..ir.types import TensorType

Array = np.ndarray[Any, Any]
Inputs = Sequence[tuple[str, TensorType]]

IMAGES = (".png", ".jpg", ".jpeg", ".bmp")
ARRAYS = (".npy", ".npz")
MAX_SAMPLES = 512
"""More files than this are thinned evenly: ranges have long settled, and calibration stays minutes."""


def open_samples(path: str | Path, inputs: Inputs) -> "Samples":
    """The samples in `path`, a file or a folder (not its subfolders), for a model with these `inputs`.

    A sample is one of
    * `.npz`: one array for each input, by the input's name;
    * `.npy`: the array, for a model with one input;
    * an image (png, jpg, bmp), for a model with one float input shaped 1 x C x H x W or 1 x H x W x C, C = 1 or 3:
      read as RGB (grey for C = 1), resized to H x W (bilinear) and scaled to (x / 255 - 0.5) / 0.5. A model with
      another preprocessing takes arrays.

    Arrays have the input's shape (a leading 1 may be absent) and dtype (any float dtype for a float input).
    EdgeError when there is no sample; a bad file is reported when the iteration comes to it.
    """
    root = Path(path)
    if not root.exists():
        raise EdgeError(f"calibration samples: {root} does not exist; give a folder of .npy, .npz or image files")
    files = [root] if root.is_file() else sorted(p for p in root.iterdir() if p.is_file())
    files = [p for p in files if p.suffix.lower() in ARRAYS + IMAGES]
    if not files:
        raise EdgeError(f"calibration samples: {root} holds no {', '.join(ARRAYS + IMAGES)} file; put some there")
    return Samples(files[:: -(-len(files) // MAX_SAMPLES)], inputs)


class Samples:
    """Feeds (input name -> array) in the order of the file names; every iteration reads the files anew."""

    def __init__(self, files: Sequence[Path], inputs: Inputs) -> None:
        self.files = tuple(files)
        self.inputs = tuple(inputs)

    def __len__(self) -> int:
        return len(self.files)

    def __iter__(self) -> Iterator[dict[str, Array]]:
        return (_read(path, self.inputs) for path in self.files)


def _read(path: Path, inputs: Inputs) -> dict[str, Array]:
    if path.suffix.lower() == ".npz":
        return _read_npz(path, inputs)
    if len(inputs) != 1:
        names = ", ".join(name for name, _ in inputs)
        raise EdgeError(
            f"calibration sample {path} holds one tensor but the model has the inputs {names}; use .npz files"
        )
    (name, expected), *_ = inputs
    if path.suffix.lower() in IMAGES:
        return {name: _read_image(path, name, expected)}
    with path.open("rb") as stream:
        return {name: _read_array(stream, path, name, expected)}


def _read_npz(path: Path, inputs: Inputs) -> dict[str, Array]:
    try:
        with zipfile.ZipFile(path) as archive:
            keys = {n.removesuffix(".npy") for n in archive.namelist()}
            feed = {}
            for name, expected in inputs:
                if name not in keys:
                    found = ", ".join(sorted(keys)) or "nothing"
                    raise EdgeError(f"calibration sample {path} has no array for the input {name!r}; it holds: {found}")
                with archive.open(f"{name}.npy") as stream:
                    feed[name] = _read_array(stream, path, name, expected)
            return feed
    except (zipfile.BadZipFile, KeyError, NotImplementedError, RuntimeError, OSError) as e:
        raise EdgeError(f"calibration sample {path} is not a readable .npz file ({e}); write it anew") from e


def _read_array(stream: IO[bytes], path: Path, name: str, expected: TensorType) -> Array:
    """One array in .npy format; its header is checked before any of its data is read."""
    try:
        version = np.lib.format.read_magic(stream)
        header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = header(stream)
        _check(path, name, expected, shape, dtype)
        count = prod(shape)
        data = stream.read(count * dtype.itemsize)
        flat = np.frombuffer(data, dtype, count)
    except (ValueError, EOFError, OSError, zipfile.BadZipFile, zlib.error) as e:
        raise EdgeError(f"calibration sample {path} is not a readable array for {name!r} ({e}); write it anew") from e
    whole = shape if len(shape) == expected.rank else (1, *shape)
    array = flat.reshape(shape, order="F" if fortran else "C").reshape(whole).astype(expected.dtype)
    if not np.isfinite(array).all():
        raise EdgeError(f"calibration sample {path} has infinite or NaN values for the input {name!r}; remove the file")
    return array


def _check(path: Path, name: str, expected: TensorType, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    shapes = [shape, (1, *shape)] if expected.rank else [shape]
    fits = any(bound(expected, s, {}) for s in shapes)
    both_float = dtype.kind == "f" and np.dtype(expected.dtype).kind == "f"
    if not fits or not (both_float or dtype == expected.dtype):
        found, want = (" x ".join(map(str, s)) or "a scalar" for s in (shape, expected.shape))
        raise EdgeError(
            f"calibration sample {path} has {dtype} {found} for the input {name!r}, which takes {expected.dtype} {want}"
        )


def _read_image(path: Path, name: str, expected: TensorType) -> Array:
    """The image as float array of the input's shape, scaled to [-1, 1]."""
    shape = expected.shape
    channels_first = len(shape) == 4 and shape[1] in (1, 3)
    if not (len(shape) == 4 and shape[0] == 1 and (channels_first or shape[3] in (1, 3)) and "float" in expected.dtype):
        raise EdgeError(
            f"calibration sample {path} is an image but the input {name!r} is {expected.dtype} {list(shape)}, not "
            "float32 [1, C, H, W] or [1, H, W, C] with 1 or 3 channels; give .npy files"
        )
    channels, height, width = shape[1:] if channels_first else (shape[3], shape[1], shape[2])
    height, width = largest(height), largest(width)
    try:
        with Image.open(path) as image:
            pixels = image.convert("RGB" if channels == 3 else "L").resize((width, height), Image.Resampling.BILINEAR)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as e:
        raise EdgeError(f"calibration sample {path} is not a readable image ({e}); replace or remove it") from e
    scaled = (np.asarray(pixels, expected.dtype).reshape(height, width, channels) / 255 - 0.5) / 0.5
    return np.ascontiguousarray(scaled.transpose(2, 0, 1) if channels_first else scaled, expected.dtype)[None]
