"""Ranges of values that are only looked up: no codes are spent where the function is flat.

hard_swish(x) is 0 for all x below -3, sigmoid(x) is 1 to within half an int8 step above 6: whatever the range of x,
codes beyond say nothing. Cutting them off makes the steps between finer: several times, for the gates of MobileNetV3.
"""

from collections.abc import Collection, Mapping

import numpy as np

from ..ir.attributes import expr_attr
from ..ir.evaluation import evaluate
from ..ir.graph import Graph, Node
from .histogram import Range
from .scales import range_of

POINTS = 8193
"""Resolution at which functions are looked at; int8 takes 256."""


def narrow(graph: Graph, integer: Collection[Node], ranges: Mapping[str, Range]) -> dict[str, Range]:
    """`ranges`, narrowed for every value that is read by unary integer maps only."""
    narrowed = dict(ranges)
    uses = graph.uses()
    for value in reversed(list(graph.values())):
        users = uses.get(value, [])
        looked_up = all(node in integer and node.op == "map" and len(node.inputs) == 1 for node in users)
        if users and looked_up and value not in graph.outputs and value.name in ranges:
            parts = [_active(node, ranges[value.name], narrowed) for node in users]
            narrowed[value.name] = Range(min(p.lo for p in parts), max(p.hi for p in parts))
    return narrowed


def _active(node: Node, r: Range, ranges: Mapping[str, Range]) -> Range:
    """The part of the input range `r` outside of which the result is constant to a quarter of its int8 step."""
    x = np.linspace(min(r.lo, 0.0), max(r.hi, 0.0), POINTS, dtype=np.float32)
    out = range_of(node.output, ranges)
    y = np.clip(evaluate(expr_attr(node, "expr"), [x]), min(out.lo, 0.0), max(out.hi, 0.0))
    if not np.isfinite(y).all():
        return r
    tolerance = out.span / 255 / 4
    rises = np.nonzero(np.abs(y - y[0]) > tolerance)[0]
    falls = np.nonzero(np.abs(y - y[-1]) > tolerance)[0]
    return Range(float(x[rises[0] - 1]), float(x[falls[-1] + 1])) if len(rises) and len(falls) else r
