"""Channel equalization: even out the channels of a tensor before one scale has to serve them all.

Between two convolutions everything that commutes with a positive factor per channel (relu, sums, pools, gates, resize,
concat ...) carries x / s as well as x: the first convolution divides its output channels by s, the last one multiplies
its weights by s. With s from the calibrated peaks, small channels grow to the size of the largest and use as many int8
codes (after Nagel et al., "Data-Free Quantization", 2019, for whole regions of a graph instead of pairs of layers).
"""

from collections.abc import Mapping

import numpy as np

from ..ir.attributes import int_attr, ints_attr, str_attr
from ..ir.expr import Call, Const, Expr, In, call
from ..ir.graph import Array, Graph, Node, Value, constant
from .names import Names

STRENGTH = 0.75
"""1 makes all channels equally large; less leaves the consumer's weights some of their balance."""

LEAST = 2.0**-6
"""No channel grows more than 64-fold: the small ones are mostly dead."""

_PER_CHANNEL = ("avg_pool2d", "max_pool2d", "resize")
_FIXED = 0


class Channels:
    """The channels of all N x C x H x W values, joined where they must have one factor.

    Channels whose factor must be 1 are joined with the element `_FIXED`.
    """

    def __init__(self, graph: Graph) -> None:
        self._first: dict[Value, int] = {}
        self._parent = [_FIXED]
        for value in graph.values():
            if value.type.rank == 4 and value.type.dtype == "float32" and not value.is_const:
                self._first[value] = len(self._parent)
                self._parent += range(len(self._parent), len(self._parent) + value.type.shape[1])
        for value in (*graph.inputs, *graph.outputs):
            self._fix(value)
        for node in graph.nodes:
            self._constrain(node)

    def free(self) -> list[Value]:
        """The values with a channel whose factor can be chosen."""
        return [v for v in self._first if any(self._roots(v))]

    def factors(self, peaks: Mapping[str, Array]) -> dict[Value, Array]:
        """s, float32[C], for each free value, from the largest |x| of each channel of each free value (by name)."""
        share: dict[int, float] = {}
        values = self.free()
        for value in values:
            peak = peaks[value.name] / max(float(peaks[value.name].max()), 1e-30)
            for root, p in zip(self._roots(value), peak, strict=True):
                share[root] = max(share.get(root, LEAST), float(p))
        share[_FIXED] = 1.0
        return {v: np.array([share[r] ** STRENGTH for r in self._roots(v)], np.float32) for v in values}

    def _constrain(self, node: Node) -> None:
        """Join or fix the channels that `node` reads and writes."""
        x, y = node.inputs[0], node.outputs[0]
        if node.op in ("conv2d", "conv_transpose2d"):
            if not _scalable(node):
                self._fix(*node.inputs, y)
            elif node.attrs.get("activation") is not None and not _homogeneous(node.attrs["activation"]):
                self._fix(y)
        elif node.op in _PER_CHANNEL or (node.op == "pad" and _pads_plane_with_zeros(node)):
            self._join(x, y)
        elif node.op == "concat" and int_attr(node, "axis") == 1 and y in self._first:
            offset = 0
            for value in node.inputs:
                self._join(value, y, offset)
                offset += value.type.shape[1]
        elif node.op == "map" and node.attrs["expr"] == call("mul", In(0), In(1)):
            gate, data = sorted(node.inputs, key=lambda v: v.type.size)
            self._fix(gate)
            self._join(data, y)
        elif node.op == "map" and _homogeneous(node.attrs["expr"]):
            for value in node.inputs:
                self._join(value, y)
        else:
            self._fix(*node.inputs, *node.outputs)

    def _join(self, value: Value, y: Value, offset: int = 0) -> None:
        """Channel c of `value` goes with channel c + offset of `y`; both are fixed if their channels don't match."""
        matching = value in self._first and y in self._first
        if not matching or (offset == 0 and value.producer is None) or y.type.shape[1] < value.type.shape[1] + offset:
            return self._fix(value, y)
        for c in range(value.type.shape[1]):
            self._union(self._first[value] + c, self._first[y] + offset + c)
        return None

    def _fix(self, *values: Value) -> None:
        for value in values:
            if value in self._first:
                for c in range(value.type.shape[1]):
                    self._union(self._first[value] + c, _FIXED)

    def _roots(self, value: Value) -> list[int]:
        return [self._find(self._first[value] + c) for c in range(value.type.shape[1])]

    def _find(self, e: int) -> int:
        while self._parent[e] != e:
            self._parent[e] = self._parent[self._parent[e]]
            e = self._parent[e]
        return e

    def _union(self, a: int, b: int) -> None:
        """The smaller index stays the root, so `_FIXED` always does."""
        low, high = sorted((self._find(a), self._find(b)))
        self._parent[high] = low
