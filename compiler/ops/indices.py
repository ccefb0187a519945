"""Indices in expressions: counted from the end where negative, kept inside; and where elements lie in a tensor."""

from collections.abc import Sequence
from math import prod

import numpy as np

from ..ir.expr import Expr, call
from ..ir.graph import Array, Value

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
