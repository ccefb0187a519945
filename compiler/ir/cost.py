"""What a graph costs, known from its types alone: multiply-accumulates, parameters, live memory."""

from collections.abc import Iterable
from math import prod

from .graph import Graph, Node, Value


def macs(node: Node) -> int:
    """Multiply-accumulates of one node; 0 for ops without products of two tensors."""
    if node.op == "conv2d":
        return node.output.type.size * prod(node.inputs[1].type.shape[1:])
    if node.op == "conv_transpose2d":
        return node.inputs[0].type.size * prod(node.inputs[1].type.shape[1:])
    if node.op == "matmul":
        return node.output.type.size * node.inputs[0].type.shape[-1]
    return 0


def parameters(values: Iterable[Value]) -> int:
    """Elements of the constants among `values`, each counted once."""
    return sum(v.type.size for v in dict.fromkeys(values) if v.is_const)


def live_bytes(graph: Graph) -> int:
    """The largest sum of bytes of the node outputs that are alive at one time, graph outputs excepted: what no memory
    plan without in-place updates can undercut."""
    last_use = {value: i for i, node in enumerate(graph.nodes) for value in node.inputs}
    excepted = set(graph.outputs)
    live = peak = 0
    for i, node in enumerate(graph.nodes):
        produced = [v for v in node.outputs if v not in excepted]
        live += sum(v.type.nbytes for v in produced)
        peak = max(peak, live)
        dead = [v for v in {*node.inputs, *produced} if last_use.get(v, i) == i and v.producer and v not in excepted]
        live -= sum(v.type.nbytes for v in dead)
    return peak
