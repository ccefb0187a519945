"""Between which numbers the elements of a tensor of integers are in every run, as far as the graph shows."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from ..ir.attributes import expr_attr
from ..ir.expr import Call, Const, Expr, In
from ..ir.expr_dtypes import infer_dtype
from ..ir.extent import bounds_of, least, most
from ..ir.graph import Value
from .extents import INTEGERS, integers_of

MAX_DEPTH = 32
"""Nodes behind a value that are looked at."""

_SELECTING = frozenset({"gather", "reshape", "slice", "transpose", "broadcast_to", "trim", "require"})
"""Ops that give elements of their first input."""


class Interval(NamedTuple):
    """All integers from `low` to `high`; these may be extents."""

    low: int
    high: int


def interval_of(value: Value, known: Mapping[Value, Interval], depth: int = MAX_DEPTH) -> Interval:
    """Bounds of all elements of a tensor of bool, int32 or int64. `known` are those of inputs of graphs."""
    if value in known:
        return known[value]
    if value.data is not None and value.type.size and value.type.dtype in (*INTEGERS, "bool"):
        return Interval(int(value.data.min()), int(value.data.max()))
    elements, node = integers_of(value), value.producer
    if elements is not None and elements.size:
        return Interval(least(*elements.reshape(-1)), most(*elements.reshape(-1)))
    if node is not None and depth and value.type.dtype in INTEGERS:
        if node.op in _SELECTING:
            return interval_of(node.inputs[0], known, depth - 1)
        if node.op == "concat":
            return _union([interval_of(v, known, depth - 1) for v in node.inputs])
        if node.op == "map":
            operands = [(v.type.dtype, interval_of(v, known, depth - 1)) for v in node.inputs]
            return _within(_mapped(expr_attr(node, "expr"), operands), value.type.dtype)
    return _all_of(value.type.dtype)


def _all_of(dtype: str) -> Interval:
    if dtype not in INTEGERS:
        return Interval(0, 1) if dtype == "bool" else Interval(-(2**64), 2**64)
    info = np.iinfo(dtype)
    return Interval(int(info.min), int(info.max))


def _within(found: Interval, dtype: str) -> Interval:
    """`found`, or all numbers of the dtype where arithmetic may leave its range."""
    whole = _all_of(dtype)
    return found if whole.low <= bounds_of(found.low)[0] and bounds_of(found.high)[1] <= whole.high else whole


def _union(parts: Sequence[Interval]) -> Interval:
    return Interval(least(*(p.low for p in parts)), most(*(p.high for p in parts)))


def _mapped(expr: Expr, operands: Sequence[tuple[str, Interval]]) -> Interval:
    """What an expression gives for operands of these dtypes and bounds."""
    if isinstance(expr, In):
        return operands[expr.index][1]
    if isinstance(expr, Const):
        value = expr.value
        return _all_of("") if isinstance(value, float) else Interval(value * 1, value * 1)
    dtype = infer_dtype(expr, [dtype for dtype, _ in operands])
    return _within(_called(expr, [_mapped(a, operands) for a in expr.args]), dtype)


_EXACT = {"float16": 2**11, "float32": 2**24, "float64": 2**53}
"""Up to where a type of floats has all integers: others are rounded, perhaps out of their bounds."""


def _is_exact(bounds: Interval, dtype: str) -> bool:
    limit = _EXACT.get(dtype)
    return limit is None or (-limit <= bounds_of(bounds.low)[0] and bounds_of(bounds.high)[1] <= limit)


def _called(expr: Call, args: Sequence[Interval]) -> Interval:
    match expr.fn, args:
        case "add", (a, b):
            return Interval(a.low + b.low, a.high + b.high)
        case "sub", (a, b):
            return Interval(a.low - b.high, a.high - b.low)
        case "neg", (a,):
            return Interval(-a.high, -a.low)
        case "mul", (a, b):
            ends = [x * y for x in a for y in b]
            return Interval(least(*ends), most(*ends))
        case "min", (a, b):
            return Interval(least(a.low, b.low), least(a.high, b.high))
        case "max", (a, b):
            return Interval(most(a.low, b.low), most(a.high, b.high))
        case "where", (_, a, b):
            return _union([a, b])
        case "cast", (a,) if _is_exact(a, expr.dtype):
            return a
    return _all_of("")
