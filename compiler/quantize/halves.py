"""float16 in place of float32: `--fp16`."""

from collections.abc import Collection

import numpy as np

from ..ir.attributes import int_attr
from ..ir.expr import In
from ..ir.graph import Array, Graph, Node, Value, constant
from ..ir.integer import CONTRACTIONS, only_moves
from ..ir.types import LARGEST_HALF, TensorType
from ..ops import halves
from .domain import positional
from .names import Names

SMALLEST_NORMAL = 2.0**-14
"""Of float16: smaller numbers have fewer bits."""

FEW_CHANNELS = 4
"""A picture has so many."""

_COMPUTES = (*CONTRACTIONS, "map", "avg_pool2d", "reduce", "softmax", "normalize", "resize")
"""Ops with kernels for float16."""


def use_halves(graph: Graph) -> Graph:
    """Store the activations and weights of a float32 `graph` (after all passes) as float16, in place; returns it.

    Convolutions of few channels that are float32 yet, as an input of the graph is, stay so, and store float16: sums of
    a picture's products are small next to the products, and all that follows is made of them.

    Maps convert at inputs and outputs of the graph, which keep their types, and around nodes that stay in float32:
    those without a float16 kernel, those with weights that float16 cannot hold, what computes positions, and whatever
    happens in regions. Maps read and write either type, so what stays float32 beside them needs no conversion.
    """
    _Rewriter(graph, _stored(graph)).run()
    return graph


def _stored(graph: Graph) -> set[Node]:
    """The nodes whose results are stored as float16: all that compute in it, and what moves these results."""
    exact, found = positional(graph), set[Node]()
    values: set[Value] = set()
    for node in graph.nodes:
        if node in exact or any(v.type.dtype != "float32" for v in node.outputs):
            continue
        computes = node.op in _COMPUTES and not only_moves(node) and _fits(node)
        if computes or _looks_up(node) or (only_moves(node) and not values.isdisjoint(node.inputs)):
            found.add(node)
            values.update(node.outputs)
    return found


def _fits(node: Node) -> bool:
    """Whether the node multiplies by numbers that float16 holds."""
    if node.op not in CONTRACTIONS:
        return True
    data = [v.data for v in node.inputs if v.data is not None]
    return all(v.type.dtype == "float32" for v in node.inputs) and all(map(_in_range, data))


def _sees_few_channels(node: Node) -> bool:
    """Whether each result of a dense convolution is of few input channels."""
    return node.op == "conv2d" and int_attr(node, "groups") == 1 and node.inputs[1].type.shape[1] <= FEW_CHANNELS


def _looks_up(node: Node) -> bool:
    """Whether the node takes rows of a constant table that float16 holds: an embedding."""
    table = node.inputs[0].data
    return node.op == "gather" and table is not None and _in_range(table)


def _in_range(data: Array) -> bool:
    """Whether the numbers are finite in float16, and the largest of them has all its bits."""
    largest = float(np.abs(data).max(initial=0.0))
    return largest == 0.0 or SMALLEST_NORMAL <= largest <= LARGEST_HALF


class _Rewriter:
    """Rebuilds the node list in order, converting values where their type is not what the reader takes."""

    def __init__(self, graph: Graph, stored: Collection[Node]) -> None:
        self.graph, self.stored = graph, stored
        self.nodes: list[Node] = []
        self.names = Names(graph)
        self.converted: dict[tuple[Value, str], Value] = {}

    def run(self) -> None:
        uses, outputs = self.graph.uses(), set(self.graph.outputs)
        for node in self.graph.nodes:
            if node.op != "map":
                node.inputs = [self._read(node, i) for i in range(len(node.inputs))]
            self.nodes.append(node)
            only_given_out = node.op == "map" and node.output in outputs and not uses.get(node.output)
            if node in self.stored and not only_given_out:
                for out in node.outputs:
                    out.type = TensorType(out.type.shape, "float16")
        self.graph.outputs = [self._interface(v) for v in self.graph.outputs]
        self.graph.nodes = self.nodes

    def _read(self, node: Node, index: int) -> Value:
        """Input `index` in the type that the node takes."""
        value = node.inputs[index]
        if value.type.dtype not in ("float32", "float16"):
            return value
        if node not in self.stored:
            return self._as(value, "float32")
        stays = (node.op in CONTRACTIONS and index == 2) or (node.op == "normalize" and index > 0)
        stays |= index < 2 and _sees_few_channels(node) and node.inputs[0].type.dtype == "float32"
        return self._as(value, "float32" if stays else "float16")

    def _as(self, value: Value, dtype: str) -> Value:
        """`value` stored as `dtype`: itself, a constant, or through an identity map."""
        if value.type.dtype == dtype:
            return value
        if (value, dtype) not in self.converted:
            name = self.names.fresh(f"{value.name}_{dtype}")
            if value.data is not None:
                new = constant(name, halves.stored(halves.widened(value.data), dtype))
            else:
                new = Value(name, TensorType(value.type.shape, dtype))
                self.nodes.append(Node("map", [value], [new], {"expr": In(0)}, _name(value)))
            self.converted[value, dtype] = new
        return self.converted[value, dtype]

    def _interface(self, output: Value) -> Value:
        """A graph output in float32, under its own name, if it was that."""
        if output.type.dtype != "float16" or output.producer not in self.stored:
            return output
        real = self._as(output, "float32")
        output.name, real.name = self.names.fresh(f"{output.name}_float16"), output.name
        return real


def _name(value: Value) -> str:
    return value.producer.name if value.producer else value.name
