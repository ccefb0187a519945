"""TensorProto -> numpy, with every size checked before anything is allocated."""

from math import prod
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from ...errors import EdgeError
from ..ir.graph import Array
from ..ops.builder import MAX_TENSOR_BYTES
from ..ops.onnx_node import dtype_of


def array_of(tensor: onnx.TensorProto, folder: Path | None, what: str) -> Array:
    """The tensor's elements; float16 becomes float32.

    `folder` holds the model's external data; `what` names the tensor in errors.
    """
    try:
        dtype = dtype_of(tensor.data_type, f"{what} holds")
    except ValueError as error:
        raise EdgeError(str(error)) from None
    stored = np.dtype(np.float16 if tensor.data_type == onnx.TensorProto.FLOAT16 else dtype)
    shape = tuple(tensor.dims)
    if any(d < 0 for d in shape) or prod(shape) * stored.itemsize > MAX_TENSOR_BYTES:
        raise EdgeError(
            f"{what} has the shape {list(shape)}; a tensor has at most {MAX_TENSOR_BYTES} bytes and no negative extent"
        )
    size = prod(shape) * stored.itemsize
    if tensor.data_location == onnx.TensorProto.EXTERNAL:
        data = _external_bytes(tensor, folder, size, what)
        array = np.frombuffer(data, stored.newbyteorder("<")).reshape(shape)
    elif tensor.HasField("raw_data"):
        if len(tensor.raw_data) != size:
            raise EdgeError(
                f"{what} has {len(tensor.raw_data)} bytes of data, but its shape {list(shape)} of {stored} needs {size}"
            )
        array = np.frombuffer(tensor.raw_data, stored.newbyteorder("<")).reshape(shape)
    else:
        try:
            array = numpy_helper.to_array(tensor).reshape(shape)
        except (ValueError, TypeError, OverflowError, AttributeError) as e:
            raise EdgeError(f"{what} of shape {list(shape)} cannot be decoded: {e}") from None
    return array.astype(dtype, copy=False)


def _external_bytes(tensor: onnx.TensorProto, folder: Path | None, size: int, what: str) -> bytes:
    """The tensor's part of a file beside or below the model; a path that leads out of the folder is refused."""
    entries = {e.key: e.value for e in tensor.external_data}
    location = entries.get("location", "")
    if folder is None:
        raise EdgeError(
            f"{what} lies in the external file {location!r}, but the model was not read from a file; pass its path"
        )
    try:
        offset, length = int(entries.get("offset", 0)), int(entries.get("length", size))
        root = folder.resolve()
        path = (root / location).resolve()
    except (ValueError, OSError, RuntimeError):
        raise EdgeError(f"{what} has a malformed external data entry {entries}") from None
    if not location or Path(location).is_absolute() or not path.is_relative_to(root) or not path.is_file():
        raise EdgeError(
            f"{what} lies in the external file {location!r}, which is not a file in the model's folder {folder}"
        )
    if length != size or offset < 0 or offset + size > path.stat().st_size:
        raise EdgeError(
            f"{what} needs {size} bytes at offset {offset} of {path}, "
            f"but the model states {length} and the file has {path.stat().st_size}"
        )
    with path.open("rb") as file:
        file.seek(offset)
        return bytes(file.read(size))
