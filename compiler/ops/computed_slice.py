"""Slices whose start or end a run computes: what `x[i : i + 4]` and `x[:n]` export to. Imported as `gather`.

A window that never leaves the tensor has its size. Otherwise the size is measured in each run; where it must be fixed,
in regions and where the model states its shape or those of its outputs, a run that gives another one ends with an
error.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..ir.attributes import expr_attr
from ..ir.expr import Call, Const, Expr, In, call
from ..ir.extent import Undecided, ceil_div, is_symbolic, largest, least, symbol
from ..ir.graph import Value
from ..ir.types import TensorType
from .builder import Builder
from .extents import INTEGERS, integers_of
from .indices import from_end, int32
from .intervals import interval_of
from .region_builder import RegionBuilder

Bound = int | Value
"""A start or an end: known, or an int32[1] or int64[1]."""


class Range(NamedTuple):
    """The elements `start`, `start` + `step`, ... before `end` of a dimension, counted and clamped as ONNX does."""

    start: Bound
    end: Bound
    step: int


class Stated(NamedTuple):
    """What the model states: the slice's shape, or whether its inputs' shapes decide those of its outputs."""

    shape: Sequence[int] = ()
    outputs: bool = False


def bounds_in(b: Builder, value: Value, what: str) -> list[Bound]:
    """The elements of a short list of integers, each by itself."""
    if integers_of(value) is not None:
        return list(b.ints(value, what))
    node = value.producer
    if node is not None and node.op == "concat":
        return [bound for part in node.inputs for bound in bounds_in(b, part, what)]
    shape, dtype = value.type.shape, value.type.dtype
    if dtype not in INTEGERS or len(shape) > 1 or is_symbolic(value.type.size) or value.type.size > 8:
        raise ValueError(f"its {what} must be up to 8 integers of int32 or int64, not {dtype}{list(shape)}")
    if value.type.size == 1:
        return [b.reshape(value, (1,))]
    return [b.emit("gather", value, b.constant(np.array([i])), axis=0) for i in range(value.type.size)]


def emit_computed_slice(b: Builder, x: Value, axis: int, part: Range, stated: Stated) -> Value:
    """What `part` says of dimension `axis`; ValueError in a region where nothing says how many elements that are."""
    extent = x.type.shape[axis]
    length = _length(part)
    if length == 0 or extent == 0:
        empty = (*x.type.shape[:axis], 0, *x.type.shape[axis + 1 :])
        return b.constant(np.zeros(empty, x.type.dtype), x.type.quant)
    limit = max(largest(extent), 1)
    part = part._replace(step=min(max(part.step, -limit), limit))
    size = ceil_div(extent, abs(part.step)) if length is None else least(length, extent)
    first = _index(b, part.start)
    begin = None if length is None else _always_inside(b, first, length, extent)
    if begin is not None:
        return b.emit("gather", x, _places(b, begin, _steps(b, size, 1)), axis=axis)
    begin, count = _begin_and_count(b, first, _index(b, part.end), extent, part.step)
    in_region = isinstance(b, RegionBuilder)
    if axis < len(stated.shape) and 0 < stated.shape[axis] <= largest(size):
        size = stated.shape[axis]
    elif not in_region and (length is None or not stated.outputs):
        steps = _steps(b, largest(size), part.step)
        steps = b.emit("trim", steps, count, extent=symbol(steps.name, 0, largest(size)))
        return b.emit("gather", x, _places(b, begin, steps), axis=axis)
    elif length is None:
        raise ValueError(
            "its start and end are computed, but in a branch or a loop its size must be known: compute the end as the "
            "start plus a constant, or state the shape of its output in the model"
        )
    holds = b.map(call("eq", In(0), size), b.reshape(count, ()))
    begin = b.emit("require", begin, holds)
    return b.emit("gather", x, _places(b, begin, _steps(b, size, part.step)), axis=axis)


def _index(b: Builder, bound: Bound) -> Value:
    """int64[1]."""
    if not isinstance(bound, Value):
        return b.integers(np.array([bound], object))
    return bound if bound.type.dtype == "int64" else b.map(call("cast", In(0), dtype="int64"), bound)


def _always_inside(b: Builder, first: Value, length: int, extent: int) -> Value | None:
    """Where a window of `length` begins, counted from the front, if it surely never leaves the dimension."""
    bounds = interval_of(first, b.intervals)
    try:
        if bounds.low >= 0 and bounds.high + length <= extent:
            return first
        if bounds.low >= -extent and bounds.high + length < 0:
            return b.map(call("add", In(0), extent), first)
    except Undecided:
        pass
    return None


def _begin_and_count(b: Builder, start: Value, end: Value, extent: int, step: int) -> tuple[Value, Value]:
    """int64[1] each: the first element, and how many there are."""
    lowest, highest = (0, extent) if step > 0 else (-1, extent - 1)

    def clamped(index: Expr, low: int) -> Expr:
        return call("min", call("max", from_end(index, extent), low), highest)

    begin, stop = b.map(clamped(In(0), 0), start), b.map(clamped(In(0), lowest), end)
    way = call("sub", In(1), In(0)) if step > 0 else call("sub", In(0), In(1))
    reached = call("add", call("max", way, 0), abs(step) - 1)
    return begin, b.map(call("div", reached, abs(step)), begin, stop)


def _steps(b: Builder, size: int, step: int) -> Value:
    """int32[size]: how far each element lies behind the first."""
    whole = b.constant((np.arange(largest(size)) * step).astype(np.int32))
    if not is_symbolic(size):
        return whole
    return b.emit("slice", whole, type=TensorType((size,), "int32"), starts=(0,), steps=(1,))


def _places(b: Builder, begin: Value, steps: Value) -> Value:
    return b.map(call("add", int32(In(0)), In(1)), begin, steps)


def _length(part: Range) -> int | None:
    """How many elements there are at most, if the end is a known distance behind the start; no others than these may be
    clamped away."""
    if part.step != 1:
        return None
    (first, start), (last, end) = _sum(part.start), _sum(part.end)
    return end - start if first is last and end >= start else None


class _Sum(NamedTuple):
    """A number of one element: that of `base` (None: 0) plus `offset`."""

    base: Value | None
    offset: int


def _sum(bound: Bound) -> _Sum:
    """`bound` without the constants that were added to it, and without reshapes and casts that change no number."""
    if not isinstance(bound, Value):
        return _Sum(None, bound)
    offset, value = 0, bound
    while value.type.size == 1 and value.type.dtype in INTEGERS:
        if value.data is not None:
            return _Sum(None, offset + int(value.data.reshape(-1)[0]))
        node = value.producer
        if node is None or node.op not in ("reshape", "map") or len(node.inputs) != 1:
            break
        if node.op == "map":
            added = _added(expr_attr(node, "expr"), node.inputs[0].type.dtype)
            if added is None:
                break
            offset += added
        value = node.inputs[0]
    return _Sum(value, offset)


def _added(expr: Expr, dtype: str) -> int | None:
    """What an expression of one operand of `dtype` adds to it, if that is all that it does."""
    if isinstance(expr, In):
        return 0
    if not isinstance(expr, Call):
        return None
    if expr.fn == "cast" and dtype in INTEGERS and expr.dtype in (dtype, "int64"):
        return _added(expr.args[0], dtype)
    if expr.fn in ("add", "sub") and isinstance(expr.args[1], Const):
        inner, constant = _added(expr.args[0], dtype), int(expr.args[1].value)
        return None if inner is None else inner + (constant if expr.fn == "add" else -constant)
    if expr.fn == "add" and isinstance(expr.args[0], Const):
        inner = _added(expr.args[1], dtype)
        return None if inner is None else inner + int(expr.args[0].value)
    return None
