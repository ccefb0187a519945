"""The nodes of an ONNX graph before it is imported: which are needed, what they read, how many there are."""

from collections.abc import Iterable

import onnx

from ...errors import EdgeError
from .support import node_name, subgraphs


def needed_nodes(graph: onnx.GraphProto) -> list[tuple[int, onnx.NodeProto]]:
    """The nodes that the graph's outputs depend on, in order, with their index."""
    producers: dict[str, int] = {}
    for index, node in enumerate(graph.node):
        for name in filter(None, node.output):
            if name in producers:
                raise EdgeError(
                    f"two nodes compute the tensor {name!r} (the second is {node_name(node, index)!r}); "
                    "names must be unique"
                )
            producers[name] = index
    needed: set[int] = set()
    pending = [o.name for o in graph.output]
    while pending:
        producer = producers.get(pending.pop())
        if producer is not None and producer not in needed:
            needed.add(producer)
            pending.extend(reads(graph.node[producer]))
    return [(i, graph.node[i]) for i in sorted(needed)]


def reads(node: onnx.NodeProto, depth: int = 0) -> Iterable[str]:
    """The names that a node reads; those that its graphs read, which may be their own."""
    yield from node.input
    for graph in subgraphs(node, depth):
        yield from (o.name for o in graph.output)
        for inner in graph.node:
            yield from reads(inner, depth + 1)


def node_count(graph: onnx.GraphProto, depth: int) -> int:
    """Nodes of the graph, which is `depth` deep in others, and of those in it."""
    return sum(1 + sum(node_count(g, depth + 1) for g in subgraphs(node, depth)) for node in graph.node)
