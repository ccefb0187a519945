"""Values that live on from one run of a graph to the next, in one place: its inputs and what becomes of them."""

from collections.abc import Sequence

from ..ir.graph import Graph, Node, Value
from .buffers import element_size
from .sharing import Sharing, has_whole_vectors


def replaceable(graph: Graph, sharing: Sharing, lanes: int, pairs: Sequence[tuple[Value, Value]]) -> set[Value]:
    """The values new of the `pairs` (old, new), an input and an output of `graph` of one type, that may be computed in
    the place of old: everything that reads old has run when something is written there."""
    order = {node: i for i, node in enumerate(graph.nodes)}
    first_write: dict[Value, Node] = {}
    last_read: dict[Value, Node] = {}
    for node in graph.nodes:
        for value in node.outputs:
            first_write.setdefault(sharing.root(value), node)
        for value in node.inputs:
            last_read[sharing.root(value)] = node
    found = set()
    for old, new in pairs:
        write, read = first_write.get(new), last_read.get(old)
        if write is None or new.producer is None:
            continue
        if read is None or order[read] < order[write] or (read is write and _overwrites(write, old, sharing, lanes)):
            found.add(new)
    return found


def _overwrites(node: Node, old: Value, sharing: Sharing, lanes: int) -> bool:
    """Whether `node` may write its output where it reads `old`."""
    readers = [i for i, v in enumerate(node.inputs) if sharing.root(v) is old]
    if node.op == "scatter":
        return readers == [0]
    if node.op != "map":
        return False
    y = node.output.type
    same = all(
        node.inputs[i].type.shape == y.shape and element_size(node.inputs[i].type) == element_size(y) for i in readers
    )
    return same and (y.size == 1 or has_whole_vectors(node, lanes, y.shape[-1] if y.rank else 1))
