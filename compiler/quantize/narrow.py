"""Ranges of values that are only looked up: no codes are spent where the function is flat.

hard_swish(x) is 0 for all x below -3, sigmoid(x) is 1 to within half an int8 step above 6: whatever the range of x,
codes beyond say nothing. Cutting them off makes the steps between finer: several times, for the gates of MobileNetV3.
"""

from collections.abc import Collection, Mapping

import numpy as np

from ..ir.attributes import expr_attr
from ..ir.expr import evaluate
from ..ir.graph import Graph, Node, Value
from .histogram import Range
from .scales import range_of

POINTS = 8193
"""Resolution at which functions are looked at; int8 takes 256."""


def narrow(graph: Graph, integer: Collection[Node], ranges: Mapping[str, Range]) -> dict[str, Range]:
    """`ranges`, narrowed for every value that is read by unary integer maps only."""
    narrowed = dict(ranges)
    outputs = set(graph.outputs)
    for value, users in graph.uses().items():
        if value in outputs or value.name not in ranges:
            continue
        if all(node in integer and node.op == "map" and len(node.inputs) == 1 for node in users):
            parts = [_active(node, value, ranges) for node in users]
            lo, hi = min(p.lo for p in parts), max(p.hi for p in parts)
            narrowed[value.name] = Range(lo, hi)
    return narrowed


def _active(node: Node, value: Value, ranges: Mapping[str, Range]) -> Range:
    """The part of the value's range outside of which the result is constant to a quarter of an int8 step."""
    r = ranges[value.name]
    x = np.linspace(min(r.lo, 0.0), max(r.hi, 0.0), POINTS, dtype=np.float32)
    y = evaluate(expr_attr(node, "expr"), [x])
    tolerance = range_of(node.output, ranges).span / 255 / 4
    if not np.isfinite(y).all():
        return r
    above = np.nonzero(np.abs(y - y[0]) > tolerance)[0]
    below = np.nonzero(np.abs(y - y[-1]) > tolerance)[0]
    if not len(above) or not len(below):
        return r
    return Range(float(x[max(above[0] - 1, 0)]), float(x[min(below[-1] + 1, POINTS - 1)]))
