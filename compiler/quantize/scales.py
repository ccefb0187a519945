"""From calibrated ranges to one quantization for each activation."""

from collections.abc import Collection, Mapping

import numpy as np

from ...errors import EdgeError
from ..ir.graph import Graph, Node, Value
from ..ir.integer import keeps_quantization
from ..ir.types import Quant
from .domain import activations, saturating_bounds
from .histogram import Range

MAX_WIDENING = 4.0
"""A concat input joins the output's quantization while that makes its own steps less than so much coarser."""


def choose_quants(graph: Graph, integer: Collection[Node], ranges: Mapping[str, Range]) -> dict[Value, Quant]:
    """The int8 quantization of every activation that the `integer` nodes read or write.

    Values around a copying op share one. `concat` shares with those of its inputs whose range is not much smaller
    (the others are requantized). Ops that saturate within [-1, 1] by their nature get those bounds, so no input,
    however far from the samples, is clipped.
    """
    groups = _Groups()
    for node in graph.nodes:
        if node in integer:
            for value in [*activations(node), *node.outputs]:
                groups.add(value, range_of(value, ranges))
    sharing = [node for node in graph.nodes if node in integer and keeps_quantization(node)]
    for node in sharing:
        if node.op != "concat":
            groups.join(activations(node)[0], node.output)
    for node in sharing:
        if node.op == "concat":
            for value in node.inputs:
                if groups.range(node.output).span < MAX_WIDENING * groups.range(value).span:
                    groups.join(value, node.output)
    return {value: range_to_quant(groups.range(value)) for value in groups.values()}


def range_to_quant(r: Range) -> Quant:
    """Asymmetric int8 over `r` widened to hold 0, which has a code of its own (padding and relu need it)."""
    lo, hi = min(r.lo, 0.0), max(r.hi, 0.0)
    if hi - lo == 0.0:
        return Quant.per_tensor(1.0)
    scale = float(np.float32(max((hi - lo) / 255, 1e-20)))
    return Quant.per_tensor(scale, int(np.clip(np.rint(-128 - lo / scale), -128, 127)))


def range_of(value: Value, ranges: Mapping[str, Range]) -> Range:
    """The real interval of `value`: its data's, by the nature of the op that computes it, or calibrated."""
    if value.data is not None:
        return Range(float(value.data.min(initial=0.0)), float(value.data.max(initial=0.0)))
    bounds = saturating_bounds(value.producer) if value.producer else None
    if bounds is not None:
        return Range(*bounds)
    if value.name not in ranges:
        raise EdgeError(f"value {value.name!r} has no calibrated range; calibrate the graph that is to be quantized")
    return ranges[value.name]


class _Groups:
    """Disjoint sets of values, each with the union of its members' ranges."""

    def __init__(self) -> None:
        self._parent: dict[Value, Value] = {}
        self._range: dict[Value, Range] = {}

    def add(self, value: Value, r: Range) -> None:
        if value not in self._parent:
            self._parent[value] = value
            self._range[value] = r

    def find(self, value: Value) -> Value:
        while self._parent[value] is not value:
            self._parent[value] = self._parent[self._parent[value]]
            value = self._parent[value]
        return value

    def join(self, a: Value, b: Value) -> None:
        a, b = self.find(a), self.find(b)
        if a is not b:
            self._range[b] |= self._range[a]
            self._parent[a] = b

    def range(self, value: Value) -> Range:
        return self._range[self.find(value)]

    def values(self) -> list[Value]:
        return list(self._parent)
