"""Gives every graph input a static shape: from the model, from the user, or 1 for a symbolic batch."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import onnx

from ...errors import EdgeError
from ..ir.extent import largest
from ..ir.types import TensorType
from ..ops.builder import MAX_TENSOR_BYTES
from ..ops.onnx_node import DTYPE_OF_ONNX, dtype_of

Dim = int | str | None
"""A declared extent: a number, a symbol, or unknown."""


def input_types(inputs: Sequence[onnx.ValueInfoProto], shapes: Mapping[str, Sequence[int]]) -> dict[str, TensorType]:
    """The type of each graph input; EdgeError lists the inputs whose shape is still open.

    `shapes` binds inputs by name. A symbol bound by one input holds for all; an open first dimension is 1.
    """
    names = [i.name for i in inputs]
    for name in shapes:
        if name not in names:
            raise EdgeError(f"a shape is given for {name!r}, but the model's inputs are: {', '.join(names)}")
    declared = {i.name: declared_dims(i) for i in inputs}
    symbols: dict[str, int] = {}
    for name, shape in shapes.items():
        _bind(name, declared[name], tuple(shape), symbols)
    resolved = {name: _resolve(dims, shapes.get(name), symbols) for name, dims in declared.items()}
    _require_closed(declared, resolved)
    return {i.name: _typed(i, resolved[i.name]) for i in inputs}


def declared_dims(value: onnx.ValueInfoProto) -> list[Dim] | None:
    """The dimensions in the model, None for an unknown rank. Some exporters write -1 or '?' for an open one."""
    if not value.type.HasField("tensor_type"):
        raise EdgeError(
            f"the model's input {value.name!r} is not a tensor; "
            "only tensors are supported: pass what it holds as inputs of its own"
        )
    if not value.type.tensor_type.HasField("shape"):
        return None
    dims: list[Dim] = []
    for d in value.type.tensor_type.shape.dim:
        if d.HasField("dim_value"):
            dims.append(d.dim_value if d.dim_value >= 0 else None)
        else:
            dims.append(d.dim_param if d.dim_param not in ("", "?", "-1") else None)
    return dims


def static_types(values: Iterable[onnx.ValueInfoProto]) -> Iterator[tuple[str, TensorType]]:
    """Name and type of those tensors that are declared with all extents; float16 is computed in float32."""
    for value in values:
        if value.type.HasField("tensor_type"):
            dims, dtype = declared_dims(value), DTYPE_OF_ONNX.get(value.type.tensor_type.elem_type)
            static = [d for d in dims or () if isinstance(d, int)]
            if dims is not None and len(static) == len(dims) and dtype is not None:
                yield value.name, TensorType(tuple(static), dtype)


def states_output_shapes(graph: onnx.GraphProto) -> bool:
    """Whether the model says of each output's extents what they are: numbers, or symbols of its inputs' shapes."""
    tensors = [v for v in (*graph.input, *graph.output) if v.type.HasField("tensor_type")]
    dims = {v.name: declared_dims(v) for v in tensors}
    known = {d for i in graph.input for d in dims.get(i.name) or () if isinstance(d, str)}
    shapes = [dims.get(output.name) for output in graph.output]
    return all(s is not None and all(isinstance(d, int) or d in known for d in s) for s in shapes)


def _bind(name: str, dims: list[Dim] | None, shape: tuple[int, ...], symbols: dict[str, int]) -> None:
    """Check the user's shape against the declared one and note what it says about symbols."""
    fits = dims is None or len(dims) == len(shape)
    for want, got in zip(dims or (), shape, strict=False):
        if isinstance(want, int):
            fits = fits and want == got
        elif want is not None:
            fits = fits and symbols.setdefault(want, got) == got
    if not fits or any(d < 0 for d in shape):
        declared = [d if d is not None else "?" for d in dims or ()]
        raise EdgeError(f"the shape {list(shape)} does not fit the model's input {name!r}, declared as {declared}")


def _resolve(dims: list[Dim] | None, shape: Sequence[int] | None, symbols: Mapping[str, int]) -> list[Dim] | None:
    if shape is not None:
        return list(shape)
    if dims is None:
        return None
    known = [symbols.get(d, d) if isinstance(d, str) else d for d in dims]
    return [1 if i == 0 and not isinstance(d, int) else d for i, d in enumerate(known)]


def _require_closed(declared: Mapping[str, list[Dim] | None], resolved: Mapping[str, list[Dim] | None]) -> None:
    unbound = [name for name, dims in resolved.items() if dims is None or not all(isinstance(d, int) for d in dims)]
    if not unbound:
        return
    found = "; ".join(f"{name!r} is {_described(declared[name])}" for name in unbound)
    options = " ".join(f"--shape {name}={_suggestion(resolved[name])}" for name in unbound)
    raise EdgeError(f"the model leaves input shapes open ({found}), but they must be fixed: say for example {options}")


def _described(dims: list[Dim] | None) -> str:
    return "of unknown rank" if dims is None else "[" + ", ".join("?" if d is None else str(d) for d in dims) + "]"


def _suggestion(dims: list[Dim] | None) -> str:
    """A shape to type: what is known, and plausible extents for the rest."""
    if dims is None:
        return "1,3,224,224"
    picture = {len(dims) - 2: 480, len(dims) - 1: 640} if len(dims) == 4 else {}
    return ",".join(str(d if isinstance(d, int) else picture.get(i, 128)) for i, d in enumerate(dims))


def _typed(value: onnx.ValueInfoProto, dims: list[Dim] | None) -> TensorType:
    elem_type = value.type.tensor_type.elem_type
    try:
        dtype = dtype_of(elem_type, f"the model's input {value.name!r} holds")
    except ValueError as error:
        raise EdgeError(str(error)) from None
    dtype = "float16" if elem_type == onnx.TensorProto.FLOAT16 else dtype
    type = TensorType(tuple(d for d in dims or () if isinstance(d, int)), dtype)
    if largest(type.nbytes) > MAX_TENSOR_BYTES:
        raise EdgeError(
            f"the model's input {value.name!r} has the shape {list(type.shape)}; "
            f"at most {MAX_TENSOR_BYTES} bytes are accepted"
        )
    return type
