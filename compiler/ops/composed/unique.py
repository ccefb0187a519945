"""ONNX's Unique: a stable sort, marks where a new element begins, and indices."""

from math import prod

import numpy as np

from ...ir.expr import Expr, In, call
from ...ir.graph import Array, Value
from ..builder import Builder
from ..nonzero import positions_of
from ..onnx_node import OnnxNode, normalized_axis, onnx_op
from ..slice import emit_slice

MAX_COLUMNS = 64
"""Elements of the slices that are compared along an axis: each is a sort."""


@onnx_op("Unique")
def _unique(b: Builder, node: OnnxNode) -> list[Value]:
    """The distinct elements, or slices along an axis; where each is first, which of them every element is, how often it
    occurs. Without `sorted` they are in the order in which they first occur."""
    x, axis = node.input(0), 0
    if "axis" in node.attrs:
        axis = normalized_axis(node.integer("axis"), x.type.rank)
    else:
        x = b.reshape(x, (x.type.size,))
    count, rest = x.type.shape[axis], [a for a in range(x.type.rank) if a != axis]
    columns = prod(x.type.shape[a] for a in rest)
    if not 1 <= columns <= MAX_COLUMNS or not count:
        raise ValueError(f"it compares slices of {columns} elements; 1 to {MAX_COLUMNS} are supported")
    rows = b.reshape(b.transpose(x, (axis, *rest)), (count, columns))
    order = _stable_order(b, rows)
    begins = _begins(b, rows, order)
    group = _less_one(b, _running(b, begins))
    none, ones = (b.constant(np.full(count, v, np.int64)) for v in range(2))
    inverse = b.emit("scatter", none, order, group)
    counts = b.emit("scatter", none, group, ones, reduction="add")
    if node.integer("sorted", 1):
        firsts, result = b.emit("gather", order, positions_of(b, begins)), inverse
    else:
        is_first = b.emit("scatter", none, order, begins)
        firsts = positions_of(b, is_first)
        latest = b.constant(np.full(count, count - 1, np.int64))
        first_of_group = b.emit("scatter", latest, group, order, reduction="min")
        place = _less_one(b, _running(b, is_first))
        result = b.emit("gather", place, b.emit("gather", first_of_group, inverse))
    occurrences = b.emit("gather", counts, b.emit("gather", inverse, firsts))
    return [b.emit("gather", x, firsts, axis=axis), firsts, result, occurrences]


def _stable_order(b: Builder, rows: Value) -> Value:
    """int64 [n]: the rows' indices in lexicographic order; equal rows in the order they have."""
    count, columns = rows.type.shape
    order: Value | None = None
    for column in reversed(range(columns)):
        keys = b.reshape(emit_slice(b, rows, [range(count), range(column, column + 1)]), (count,))
        if order is not None:
            keys = b.emit("gather", keys, order)
        found = b.emit_all("top_k", keys, axis=0, k=count, largest=False)[1]
        order = found if order is None else b.emit("gather", order, found)
    assert order is not None
    return order


def _begins(b: Builder, rows: Value, order: Value) -> Value:
    """int64 [n]: 1 where a row in order differs from the one before it, and at the first."""
    count, columns = rows.type.shape
    one: Array = np.ones(1, np.int64)
    if count == 1:
        return b.constant(one)
    ordered = b.emit("gather", rows, order)
    parts = [
        b.reshape(emit_slice(b, ordered, [range(i, count - 1 + i), range(c, c + 1)]), (count - 1,))
        for c in range(columns)
        for i in range(2)
    ]
    same: Expr = call("eq", In(0), In(1))
    equal = b.map(same, *parts[:2])
    for i in range(2, len(parts), 2):
        equal = b.map(call("and", In(0), call("eq", In(1), In(2))), equal, *parts[i : i + 2])
    return b.emit("concat", b.constant(one), b.map(call("cast", call("not", In(0)), dtype="int64"), equal), axis=0)


def _running(b: Builder, x: Value) -> Value:
    return b.emit("cumulative", x, kind="sum", axis=0)


def _less_one(b: Builder, x: Value) -> Value:
    return b.map(call("sub", In(0), 1), x)
