"""Emits the nodes of regions: the bodies of loops, the sides of branches."""

from collections.abc import Sequence

from ..ir.expr import In
from ..ir.graph import Graph, Value
from ..ir.types import TensorType
from .builder import Builder
from .constness import dequantized_constant
from .extents import INTEGERS, integers_of
from .intervals import Interval, interval_of


class RegionBuilder(Builder):
    """Collects the nodes of a region for a node that `outer` will emit. `parameters` are the region's own inputs, those
    that come with each run of it; `captured` maps values of `outer` to the inputs that stand for them."""

    def __init__(self, outer: Builder) -> None:
        super().__init__()
        self.parameters: list[Value] = []
        self.captured: dict[Value, Value] = {}
        self._shared, self._node_name, self._hint = outer._shared, outer._node_name, outer._hint

    def parameter(self, type: TensorType, interval: Interval | None = None) -> Value:
        """A new input of the region; integers in it are within `interval`, if that is given."""
        self.parameters.append(Value(self.fresh_name(), type))
        if interval is not None:
            self._shared.intervals[self.parameters[-1]] = interval
        return self.parameters[-1]

    def capture(self, value: Value) -> Value:
        """What stands for `value`, of the graph around the region, inside: constants themselves, others an input."""
        if value.is_const:
            return value
        if value not in self.captured:
            self.captured[value] = self._inner(value)
        return self.captured[value]

    def _inner(self, value: Value) -> Value:
        """What importers look into exists here as well: dequantized constants and what shapes decide."""
        codes, elements = dequantized_constant(value), integers_of(value)
        if codes is not None:
            return self.map(In(0), codes)
        if elements is not None:
            return self.integers(elements, value.type.dtype)
        inner = Value(self.claim(value.name), value.type)
        if value.type.dtype in INTEGERS:
            self._shared.intervals[inner] = interval_of(value, self.intervals)
        return inner

    def graph(self, outputs: Sequence[Value], captured: Sequence[Value]) -> Graph:
        """The region: its parameters and what stands for the values `captured` -> `outputs`.

        Outputs are distinct; a node computes each, or it is a constant, or the parameter that stands in its place.
        """
        inputs = [*self.parameters, *(self.captured.get(v) or Value(self.claim(v.name), v.type) for v in captured)]
        given: list[Value] = []
        for place, value in enumerate(outputs):
            own = place < len(self.parameters) and value is self.parameters[place]
            copied = value in given or (value in inputs and not own)
            given.append(self.map(In(0), value, quant=value.type.quant, dtype=value.type.dtype) if copied else value)
        return Graph(self._node_name, inputs, given, self.nodes)


def captures(*regions: RegionBuilder) -> list[Value]:
    """The values that any of the regions reads of the graph around them."""
    found = dict.fromkeys(v for region in regions for v, inner in region.captured.items() if inner.producer is None)
    return list(found)
