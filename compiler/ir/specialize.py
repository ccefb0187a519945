"""A graph, node or type with its extents replaced: by the numbers of one run, or by extents of other integer values."""

from collections.abc import Callable, Mapping

from .extent import Extent, Symbol, extent_of, is_symbolic, symbols_of, value_in
from .graph import Attr, Graph, Node, Value
from .types import TensorType

Convert = Callable[[int], int]


class Specialization:
    """What each value of a graph became. `convert` gives the number for an extent."""

    def __init__(self, convert: Convert) -> None:
        self.convert = convert
        self.values: dict[Value, Value] = {}

    def value(self, value: Value) -> Value:
        """The value with its type converted; constants as they are."""
        if value.data is not None:
            return value
        if value not in self.values:
            self.values[value] = Value(value.name, self.type(value.type))
        return self.values[value]

    def type(self, type: TensorType) -> TensorType:
        """The type with its extents converted."""
        if not any(map(is_symbolic, type.shape)):
            return type
        return TensorType(tuple(map(self.number, type.shape)), type.dtype, type.quant)

    def number(self, value: int) -> int:
        """An extent converted; other integers as they are."""
        return self.convert(value) if is_symbolic(value) else value

    def attr(self, value: Attr) -> Attr:
        """An attribute with its extents converted."""
        if isinstance(value, tuple):
            return tuple(map(self.attr, value))
        return self.number(value) if isinstance(value, Extent) else value

    def node(self, node: Node) -> Node:
        """The node over converted values."""
        inputs, outputs = ([self.value(v) for v in values] for values in (node.inputs, node.outputs))
        attrs = {name: self.attr(value) for name, value in node.attrs.items()}
        return Node(node.op, inputs, outputs, attrs, node.name, [self.graph(region) for region in node.regions])

    def graph(self, graph: Graph) -> Graph:
        """A copy of the graph, constants shared."""
        inputs = [self.value(v) for v in graph.inputs]
        nodes = [self.node(n) for n in graph.nodes]
        return Graph(graph.name, inputs, [self.value(v) for v in graph.outputs], nodes)


def specialized(graph: Graph, values: Mapping[Symbol, int]) -> Graph:
    """The static graph of runs in which the symbols have `values`."""
    return Specialization(lambda e: value_in(e, values)).graph(graph)


def revalued(graph: Graph) -> Graph:
    """A copy whose extents have the integer values of now: see `extent.at`."""
    return Specialization(now).graph(graph)


def now(extent: int) -> int:
    """The extent with the integer value of now."""
    return extent_of(extent.poly) if isinstance(extent, Extent) else extent


def is_dynamic(node: Node) -> bool:
    """Whether what the node computes depends on extents of the run."""
    return any(is_symbolic(d) for v in node.outputs for d in v.type.shape) or any(map(_holds, node.attrs.values()))


def _holds(value: Attr) -> bool:
    return any(map(_holds, value)) if isinstance(value, tuple) else is_symbolic(value)


def input_symbols(graph: Graph) -> list[Symbol]:
    """The symbols of the graph's input shapes, in order."""
    found: dict[Symbol, None] = {}
    for value in graph.inputs:
        for extent in value.type.shape:
            found.update(dict.fromkeys(sorted(symbols_of(extent), key=lambda s: s.name)))
    return list(found)


def bound(type: TensorType, shape: tuple[int, ...], values: dict[Symbol, int]) -> bool:
    """Whether an input of `type` may have `shape`; the values that this gives to symbols are added to `values`."""
    if len(shape) != len(type.shape):
        return False
    for extent, found in zip(type.shape, shape, strict=True):
        if not isinstance(extent, Extent):
            if extent != found:
                return False
            continue
        (symbol,) = extent.poly.symbols()
        in_range = symbol.low <= found <= symbol.high and (found - symbol.low) % symbol.step == 0
        if not in_range or values.setdefault(symbol, found) != found:
            return False
    return True
