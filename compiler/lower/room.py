"""Room for scratch memory, known before the algorithm of any node is chosen: what its tensors leave of the memory that
a plan needs anyway."""

from collections.abc import Sequence
from itertools import accumulate

from ..ir.graph import Graph, Node
from .buffers import Storage
from .layout import Layout
from .plan import Space

CROWDED = 1.02
"""Of the memory that tensors need: what a plan may need with scratch memory."""

SMALL = 2 << 20
"""Bytes that a plan may always need."""


def allowed(live: Sequence[int]) -> int:
    """Bytes that a plan may need whose nodes have so many in use."""
    return max(int(CROWDED * max(live, default=0)), SMALL)


def bytes_in_use(graph: Graph, layout: Layout) -> list[int]:
    """Bytes of the arena that values in use take, at each node of `graph`."""
    spans: dict[Storage, tuple[int, int]] = {}
    for number, node in enumerate(graph.nodes):
        for storage in _storages(node, layout):
            spans[storage] = spans.get(storage, (number, number))[0], number
    changes = [0] * (len(graph.nodes) + 1)
    for storage, (first, last) in spans.items():
        changes[first] += storage.size
        changes[last + 1] -= storage.size
    return list(accumulate(changes[:-1]))


def _storages(node: Node, layout: Layout) -> set[Storage]:
    """Those in the arena that a node's steps read and write."""
    views = [layout.views.get(value) for value in (*node.inputs, *node.outputs)]
    views += [layout.copies.get((node, number)) for number in range(len(node.inputs))]
    return {view.storage for view in views if view is not None and view.storage.space == Space.ARENA}
