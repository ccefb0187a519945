"""Index tensors as maps: counted from the end where negative, kept inside, flattened for `gather` and `scatter`."""

from collections.abc import Sequence
from math import prod

import numpy as np

from ..ir.expr import Const, Expr, In, call
from ..ir.graph import Array, Value
from .builder import Builder
from .slice import emit_slice

MISSED = -1
"""An index that selects nothing: `scatter` skips it."""


def require_indices(value: Value) -> None:
    """ValueError unless `value` is a tensor of int32 or int64."""
    if value.type.dtype not in ("int32", "int64") or value.type.quant is not None:
        raise ValueError(f"its indices must be int32 or int64, not {value.type.dtype}")


def from_end(index: Expr, extent: int) -> Expr:
    """A negative index counts from the end of a dimension of `extent`."""
    return call("where", call("lt", index, 0), call("add", index, extent), index)


def nearest(index: Expr, extent: int) -> Expr:
    """`index`, or the nearest one that exists in a dimension of `extent`."""
    return call("min", call("max", index, 0), extent - 1)


def inside(index: Expr, extent: int) -> Expr:
    """Whether `index` exists in a dimension of `extent`."""
    return call("and", call("le", 0, index), call("lt", index, extent))


def int32(index: Expr) -> Expr:
    """`index` (which fits) as int32: offsets in tensors do."""
    return call("cast", index, dtype="int32")


def row_strides(shape: Sequence[int]) -> tuple[int, ...]:
    """Elements between neighbours along each dimension of a row-major tensor."""
    return tuple(prod(shape[i + 1 :]) for i in range(len(shape)))


def grid_offsets(shape: Sequence[int], strides: Sequence[int]) -> Array:
    """int32 [shape]: sum of index * stride over the dimensions."""
    total = np.zeros((1,) * len(shape), np.int32)
    for axis, (extent, stride) in enumerate(zip(shape, strides, strict=True)):
        steps = (np.arange(extent, dtype=np.int64) * stride).astype(np.int32)
        total = total + steps.reshape([extent if i == axis else 1 for i in range(len(shape))])
    return total


def element_offsets(b: Builder, indices: Value, shape: Sequence[int], axis: int, *, skip: bool = False) -> Value:
    """int32: where in a row-major tensor of `shape` the element lies that has, along `axis`, the position that
    `indices` says, and along all other dimensions the position that the index has in `indices`.

    Indices that do not exist become the nearest one, or with `skip` MISSED.
    """
    require_indices(indices)
    own, strides, extent = indices.type.shape, row_strides(shape), shape[axis]
    if len(own) != len(shape) or any(i != axis and n > m for i, (n, m) in enumerate(zip(own, shape, strict=True))):
        raise ValueError(f"its indices {list(own)} do not fit into {list(shape)} around axis {axis}")
    counted = from_end(In(0), extent)
    flat = call("mul", int32(nearest(counted, extent)), strides[axis])
    inputs = [indices]
    # two small constants rather than one of the indices' size: what is before the axis, and what is behind it
    for low, high in ((0, axis), (axis + 1, len(shape))):
        if prod(own[low:high]) > 1:
            places = grid_offsets(own[low:high], strides[low:high])
            inputs.append(b.constant(places.reshape((*places.shape, *(1,) * (len(shape) - high)))))
            flat = call("add", flat, In(len(inputs) - 1))
    return b.map(call("where", inside(counted, extent), flat, MISSED) if skip else flat, *inputs)


def tuple_offsets(b: Builder, indices: Value, shape: Sequence[int], batch: int = 0, *, skip: bool = False) -> Value:
    """int32 [indices.shape[:-1]]: the rows of [prod(shape[:batch + n]), ...] that the n-tuples in the last dimension of
    `indices` select; the first `batch` dimensions of `indices` are those of `shape`. Else as `element_offsets`."""
    require_indices(indices)
    own = indices.type.shape
    if not own or not 1 <= own[-1] <= len(shape) - batch:
        raise ValueError(f"its indices {list(own)} do not hold positions in {list(shape)}")
    extents = shape[batch : batch + own[-1]]
    strides = row_strides(shape[: batch + own[-1]])
    flat: Expr | None = None
    valid: list[Expr] = []
    inputs: list[Value] = []
    for i, extent in enumerate(extents):
        component = emit_slice(b, indices, [*map(range, own[:-1]), range(i, i + 1)])
        inputs.append(b.reshape(component, own[:-1]))
        counted = from_end(In(i), extent)
        valid.append(inside(counted, extent))
        term = call("mul", int32(nearest(counted, extent)), strides[batch + i])
        flat = term if flat is None else call("add", flat, term)
    assert flat is not None
    if prod(own[:batch]) > 1:
        places = grid_offsets(own[:batch], strides[:batch])
        inputs.append(b.constant(places.reshape((*places.shape, *(1,) * (len(own) - 1 - batch)))))
        flat = call("add", flat, In(len(inputs) - 1))
    if skip:
        exists = valid[0]
        for more in valid[1:]:
            exists = call("and", exists, more)
        flat = call("where", exists, flat, Const(MISSED))
    return b.map(flat, *inputs)
