"""Tables that follow a dense convolution are looked up in its epilogue, while its results are in registers."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet

from ...targets.target import Target
from ..ir.attributes import expr_attr, int_attr
from ..ir.graph import Graph, Node, Value
from ..ops import epilogue as op
from ..ops import quantized
from ..ops.map import integer_form

MOST = 0.75
"""Of the convolutions that could look up results: where fewer do, it is not worth code beside that of the rest."""


def find_tables(graph: Graph, target: Target, states: AbstractSet[Value]) -> Mapping[Node, Node]:
    """Convolutions -> the maps that alone read what they compute, where `target` has code for both at once. What
    becomes of `states` is computed where their readers do not expect it earlier."""
    if not target.looks_up_results:
        return {}
    uses, kept = graph.uses(), states | set(graph.outputs)
    pairs = {}
    for node in graph.nodes:
        conv = node.inputs[0].producer if _is_table(node) else None
        if conv is None or node.inputs[0] in kept or node.output in states or len(uses[node.inputs[0]]) != 1:
            continue
        if _is_dense(conv, target.columns):
            pairs[conv] = node
    return pairs if len(pairs) >= MOST * sum(_is_dense(node, target.columns) for node in graph.nodes) else {}


def entries(node: Node) -> bytes:
    """The table of a map of one int8."""
    return quantized.map_table(expr_attr(node, "expr"), node.inputs[0].type, node.output.type).tobytes()


def _is_table(node: Node) -> bool:
    """Whether a node is a map from int8 to int8 by a table."""
    form = integer_form(node) if node.op == "map" else None
    return form is not None and form.kind == "table" and node.inputs[0].type.dtype == node.output.type.dtype == "int8"


def _is_dense(node: Node, columns: int) -> bool:
    """Whether a node is a convolution of int8 without groups and residual, whose channels fill a block."""
    if node.op != "conv2d" or node.inputs[op.X].type.quant is None:
        return False
    return len(node.inputs) <= op.RESIDUAL and int_attr(node, "groups") == 1 and node.output.type.shape[-1] >= columns
