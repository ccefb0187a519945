"""Graph inputs that the user fixes when compiling: they become initializers."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import onnx
from onnx import numpy_helper

from ...errors import EdgeError
from ..ir.graph import Array
from ..ops.onnx_node import type_name
from .model import Model
from .shapes import declared_dims

Constant = Array | Sequence[float]
"""What an input may be fixed to: an array, or numbers, which take the declared dtype and shape."""


def bind_constants(model: Model, constants: Mapping[str, Constant]) -> Model:
    """`model` with the inputs that `constants` names as constants of these values; what their shapes say about symbols
    holds for the other inputs. EdgeError for a name that is no input, another dtype, or a shape that does not fit."""
    if not constants:
        return model
    initializers = {t.name for t in model.proto.graph.initializer}
    inputs = {i.name: i for i in model.proto.graph.input if i.name not in initializers}
    symbols: dict[str, int] = {}
    tensors = []
    for name, given in constants.items():
        if name not in inputs:
            raise EdgeError(f"a constant is given for {name!r}, but the model's inputs are: {', '.join(inputs)}")
        tensors.append(numpy_helper.from_array(_checked(inputs[name], given, symbols), name))
    proto = onnx.ModelProto()
    proto.CopyFrom(model.proto)
    for declared in [i for i in proto.graph.input if i.name in constants]:
        proto.graph.input.remove(declared)
    for dim in (d for i in proto.graph.input for d in i.type.tensor_type.shape.dim):
        if dim.dim_param in symbols:
            dim.dim_value = symbols[dim.dim_param]
    proto.graph.initializer.extend(tensors)
    return replace(model, proto=proto)


def _checked(declared: onnx.ValueInfoProto, given: Constant, symbols: dict[str, int]) -> Array:
    """`given` as the input takes it; `symbols` gets the extents that its shape gives to symbols."""
    what = f"the constant for the model's input {declared.name!r}"
    dims = declared_dims(declared)
    elem_type = declared.type.tensor_type.elem_type
    try:
        dtype = onnx.helper.tensor_dtype_to_np_dtype(elem_type)
    except KeyError:
        raise EdgeError(
            f"the model's input {declared.name!r} has no known element type; declare one in the model"
        ) from None
    array = given if isinstance(given, np.ndarray) else _of_numbers(given, dtype, dims)
    if array is None or array.dtype != dtype:
        found = "other numbers" if array is None else f"{array.dtype} elements"
        raise EdgeError(f"{what} has {found}, but the model declares {type_name(elem_type)}")
    fits = dims is None or len(dims) == array.ndim
    for want, got in zip(dims or (), array.shape, strict=False):
        bound = symbols.setdefault(want, got) if isinstance(want, str) else want
        fits = fits and bound in (None, got)
    if not fits:
        shape = [d if d is not None else "?" for d in dims or ()]
        raise EdgeError(f"{what} has the shape {list(array.shape)}, but the model declares {shape}")
    return array


def _of_numbers(numbers: Sequence[float], dtype: np.dtype, dims: Sequence[int | str | None] | None) -> Array | None:
    """The numbers as `dtype`, None if it cannot hold them; in the declared shape if that has as many elements."""
    try:
        array = np.array(numbers, dtype)
    except (OverflowError, ValueError):
        return None
    if dtype.kind in "iub" and array.tolist() != list(numbers):
        return None
    shape = [d for d in dims or () if isinstance(d, int)]
    if dims is not None and len(shape) == len(dims) and np.prod(shape) == array.size:
        return array.reshape(shape)
    return array
