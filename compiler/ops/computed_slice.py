"""Slices from where a run computes, of a size that is known: what `x[i : i + 4]` exports to. Imported as `gather`."""

from typing import NamedTuple

import numpy as np

from ..ir.attributes import expr_attr
from ..ir.expr import Call, Const, Expr, In, call
from ..ir.graph import Value
from .builder import Builder
from .indices import from_end
from .onnx_node import OnnxNode, normalized_axis


class _Sum(NamedTuple):
    """A number of one element: that of `base` (None: 0) plus `offset`."""

    base: Value | None
    offset: int


def emit_computed_slice(b: Builder, node: OnnxNode) -> Value | None:
    """ONNX's Slice along one axis, if its start is computed and its end a known distance behind it; None otherwise.

    A slice that would reach beyond the end begins earlier, so that it has its size.
    """
    x, start, end = (node.input(i) for i in range(3))
    given_axes, given_steps = node.optional(3), node.optional(4)
    axes = (0,) if given_axes is None else b.ints(given_axes, "axes")
    steps = (1,) if given_steps is None else b.ints(given_steps, "steps")
    first, last = _sum(start), _sum(end)
    if start.type.size != 1 or first.base is not last.base or len(axes) != 1 or steps != (1,):
        return None
    axis, length = normalized_axis(axes[0], x.type.rank), last.offset - first.offset
    extent = x.type.shape[axis]
    if not 0 <= length <= extent:
        raise ValueError(f"it takes {length} of {extent} elements")
    begin = call("min", call("max", from_end(In(0), extent), 0), extent - length)
    places = b.constant(np.arange(length, dtype=start.type.dtype))
    return b.emit("gather", x, b.map(call("add", begin, In(1)), b.reshape(start, (1,)), places), axis=axis)


def _sum(value: Value) -> _Sum:
    """`value` without the constants that were added to it, and without reshapes and casts between integers."""
    offset = 0
    while value.type.size == 1 and value.type.dtype in ("int32", "int64"):
        if value.data is not None:
            return _Sum(None, offset + int(value.data.reshape(-1)[0]))
        node = value.producer
        if node is None or node.op not in ("reshape", "map") or len(node.inputs) != 1:
            break
        if node.op == "map":
            added = _added(expr_attr(node, "expr"))
            if added is None:
                break
            offset += added
        value = node.inputs[0]
    return _Sum(value, offset)


def _added(expr: Expr) -> int | None:
    """What an expression of one operand adds to it, if that is all that it does."""
    if isinstance(expr, In):
        return 0
    if not isinstance(expr, Call):
        return None
    if expr.fn == "cast" and expr.dtype in ("int32", "int64"):
        return _added(expr.args[0])
    if expr.fn in ("add", "sub") and isinstance(expr.args[1], Const):
        inner, constant = _added(expr.args[0]), int(expr.args[1].value)
        return None if inner is None else inner + (constant if expr.fn == "add" else -constant)
    if expr.fn == "add" and isinstance(expr.args[0], Const):
        inner = _added(expr.args[1])
        return None if inner is None else inner + int(expr.args[0].value)
    return None
