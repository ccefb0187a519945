"""TensorProto -> numpy, with every size checked before anything is allocated."""

from collections.abc import Mapping
from math import ceil, prod
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from ...errors import EdgeError
from ..ir.graph import Array
from ..ops.builder import MAX_TENSOR_BYTES
from ..ops.onnx_node import dtype_of, type_name

_FEW_BITS: Mapping[int, tuple[int, str]] = {
    onnx.TensorProto.INT4: (4, "int8"), onnx.TensorProto.UINT4: (4, "uint8"),
    onnx.TensorProto.INT2: (2, "int8"), onnx.TensorProto.UINT2: (2, "uint8"),
}  # fmt: skip
"""Element types of which several share a byte: their bits, and the type that holds one."""


def has_few_bits(tensor: onnx.TensorProto) -> bool:
    """Whether several elements of the tensor share a byte."""
    return tensor.data_type in _FEW_BITS


def codes_of(tensor: onnx.TensorProto, folder: Path | None, what: str) -> Array:
    """The elements, one in a byte, of a tensor that has few bits for each: int8 or uint8."""
    bits, dtype = _FEW_BITS[tensor.data_type]
    shape = _shape_of(tensor, 1, what)
    count = prod(shape)
    stored = _stored(tensor, folder, ceil(count * bits / 8), what)
    if stored is None:
        stored = bytes(v & 0xFF for v in tensor.int32_data)
        if len(stored) != ceil(count * bits / 8):
            raise EdgeError(f"{what} has {len(stored)} bytes of data, which do not fit its shape {list(shape)}")
    packed = np.frombuffer(stored, np.uint8)
    codes = np.stack([packed >> shift & 2**bits - 1 for shift in range(0, 8, bits)], axis=-1).reshape(-1)[:count]
    if dtype == "int8":
        half = np.int8(2 ** (bits - 1))
        codes = (codes.view(np.int8) ^ half) - half
    return codes.reshape(shape)


def array_of(tensor: onnx.TensorProto, folder: Path | None, what: str) -> Array:
    """The tensor's elements; float16 becomes float32.

    `folder` holds the model's external data; `what` names the tensor in errors.
    """
    try:
        dtype = dtype_of(tensor.data_type, f"{what} holds")
    except ValueError as error:
        raise EdgeError(str(error)) from None
    stored = np.dtype(np.float16 if tensor.data_type == onnx.TensorProto.FLOAT16 else dtype)
    shape = _shape_of(tensor, stored.itemsize, what)
    data = _stored(tensor, folder, prod(shape) * stored.itemsize, what)
    if data is not None:
        array = np.frombuffer(data, stored.newbyteorder("<")).reshape(shape)
    else:
        try:
            array = numpy_helper.to_array(tensor).reshape(shape)
        except (ValueError, TypeError, OverflowError, AttributeError) as e:
            raise EdgeError(f"{what} of shape {list(shape)} cannot be decoded: {e}") from None
    return array.astype(dtype, copy=False)


def _shape_of(tensor: onnx.TensorProto, itemsize: int, what: str) -> tuple[int, ...]:
    """EdgeError for one that is too large with elements of as many bytes."""
    shape = tuple(tensor.dims)
    if any(d < 0 for d in shape) or prod(shape) * itemsize > MAX_TENSOR_BYTES:
        raise EdgeError(
            f"{what} has the shape {list(shape)}; a tensor has at most {MAX_TENSOR_BYTES} bytes and no negative extent"
        )
    return shape


def _stored(tensor: onnx.TensorProto, folder: Path | None, size: int, what: str) -> bytes | None:
    """The `size` bytes of the elements; None where they are numbers of the message."""
    if tensor.data_location == onnx.TensorProto.EXTERNAL:
        return _external_bytes(tensor, folder, size, what)
    if not tensor.HasField("raw_data"):
        return None
    if len(tensor.raw_data) != size:
        raise EdgeError(
            f"{what} has {len(tensor.raw_data)} bytes of data, but its shape {list(tensor.dims)} of "
            f"{type_name(tensor.data_type)} needs {size}"
        )
    return bytes(tensor.raw_data)


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
