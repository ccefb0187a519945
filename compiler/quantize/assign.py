"""Integer types for a float32 graph, from the ranges of its values: activations, weights and biases."""

from collections.abc import Collection, Mapping

from ..ir.expr import In
from ..ir.graph import Array, Graph, Node, Value, constant
from ..ir.integer import CONTRACTIONS, keeps_quantization
from ..ir.types import Quant, TensorType
from ..ops import quantized
from .domain import activations, integer_nodes, weight_axis
from .histogram import Range
from .names import Names
from .narrow import narrow
from .scales import choose_quants
from .weights import quantize_bias, quantize_weights

LEAST_MULTIPLIER = 2.0**-14
"""Of sums. Then those that float32 does not hold saturate, and a product of weights next to nothing is half a code
times 2^-7 beside the truth."""


def quantize(
    graph: Graph, ranges: Mapping[str, Range], integer: Collection[Node] | None = None, rows: Collection[Node] = ()
) -> Graph:
    """Give the float32 activations of `graph` int8 types and its weights int8 data, in place; returns `graph`.

    `ranges` has one entry for each float32 value that is not a constant (`calibrate`). The graph's inputs and
    outputs keep their names and float32 types: identity maps convert there, and around nodes that are not `integer`
    (None: all that have an integer form are). The products `rows` take float32 data and int8 weights. Nodes must not
    have residuals fused (the late passes do that, on quantized types).
    """
    integer = integer_nodes(graph) if integer is None else integer
    quants = choose_quants(graph, integer, narrow(graph, integer, ranges))
    _Rewriter(graph, integer, quants, rows).run()
    return graph


class _Rewriter:
    """Rebuilds the node list in order, converting values where their type is not what the reader takes."""

    def __init__(
        self, graph: Graph, integer: Collection[Node], quants: Mapping[Value, Quant], rows: Collection[Node]
    ) -> None:
        self.graph = graph
        self.rows = frozenset(rows)
        self.integer = integer
        self.quants = quants
        self.nodes: list[Node] = []
        self.names = Names(graph)
        self.converted: dict[tuple[Value, Quant | None], Value] = {}

    def run(self) -> None:
        for node in self.graph.nodes:
            if node in self.integer:
                self._quantize(node)
            else:
                node.inputs = [self._convert(v, None) if v in self.quants else v for v in node.inputs]
                if node in self.rows:
                    node.inputs[1] = self._weights(node, 1, 1.0, None)
            self.nodes.append(node)
        interface = {v: self._interface(v) for v in dict.fromkeys(self.graph.outputs)}
        self.graph.outputs = [interface[v] for v in self.graph.outputs]
        self.graph.nodes = self.nodes

    def _quantize(self, node: Node) -> None:
        """Make one integer node: its inputs converted, weights and bias as integers, its output typed."""
        out = node.output
        quant = self.quants[out]
        for value in activations(node):
            wanted = quant if keeps_quantization(node) else self.quants[value]
            node.inputs = [self._convert(v, wanted) if v is value else v for v in node.inputs]
        if node.op in CONTRACTIONS:
            self._quantize_weights(node)
            node.attrs["fixed_point"] = True
        out.type = TensorType(out.type.shape, "int8", quant)

    def _quantize_weights(self, node: Node) -> None:
        """Constant operand and bias of a conv or matmul whose activations are int8 already."""
        bias = node.inputs[2].data if len(node.inputs) > 2 else None
        x, w = (1, 0) if node.inputs[0].is_const else (0, 1)
        scale = _quant(node.inputs[x]).scale[0]
        if node.inputs[w].is_const:
            least = LEAST_MULTIPLIER * self.quants[node.output].scale[0] / scale
            node.inputs[w] = self._weights(node, w, scale, bias, least)
        if bias is not None:
            integers = quantize_bias(bias, scale, _quant(node.inputs[w]))
            node.inputs[2] = constant(self.names.fresh(f"{node.inputs[2].name}_int32"), integers)

    def _weights(self, node: Node, index: int, input_scale: float, bias: Array | None, least: float = 0.0) -> Value:
        """The constant operand `index` in int8."""
        weights = node.inputs[index]
        assert weights.data is not None
        data, quant = quantize_weights(weights.data, weight_axis(node, index), input_scale, bias, least)
        return constant(self.names.fresh(f"{weights.name}_int8"), data, quant)

    def _convert(self, value: Value, quant: Quant | None) -> Value:
        """`value` in int8 with `quant`, or in float32 for None: itself, a constant, or through an identity map."""
        if value.type.quant == quant:
            return value
        if (value, quant) not in self.converted:
            dtype = "float32" if quant is None else "int8"
            if value.data is not None and quant is not None:
                new = constant(self.names.fresh(f"{value.name}_{dtype}"), quantized.quantize(value.data, quant), quant)
            else:
                new = Value(self.names.fresh(f"{value.name}_{dtype}"), TensorType(value.type.shape, dtype, quant))
                name = value.producer.name if value.producer else value.name
                self.nodes.append(Node("map", [value], [new], {"expr": In(0)}, name))
            self.converted[value, quant] = new
        return self.converted[value, quant]

    def _interface(self, output: Value) -> Value:
        """The float32 form of a graph output, under the output's own name."""
        real = self._convert(output, None) if output in self.quants else output
        if real is not output:
            output.name, real.name = self.names.fresh(f"{output.name}_int8"), output.name
        return real


def _quant(value: Value) -> Quant:
    assert value.type.quant is not None
    return value.type.quant
