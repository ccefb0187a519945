"""Room for scratch memory, known before the algorithm of any node is chosen: what its tensors leave of the memory that
a plan needs anyway."""

from dataclasses import dataclass
from itertools import accumulate

from ..ir.graph import Graph, Node
from .buffers import Storage
from .layout import Layout
from .plan import Space

CROWDED = 1.02
"""Of the memory that tensors need: what a plan may need with scratch memory."""

SMALL = 2 << 20
"""Bytes that a plan may always need for another algorithm."""

COPIES = 1.1
"""Of the memory that tensors need: what a plan may need with copies."""


@dataclass(frozen=True)
class Room:
    """Of a node: `live` bytes are in use there, and `most` where most are."""

    live: int
    most: int

    def beside(self, live: int) -> "Room":
        """Where so many more are in use."""
        return Room(self.live + live, self.most)

    def for_algorithm(self, scratch: int) -> bool:
        """Whether there are so many bytes for an algorithm that needs them."""
        return self.live + scratch <= max(CROWDED * self.most, SMALL)

    def for_copies(self, scratch: int) -> bool:
        """Whether there are so many bytes for copies of what an algorithm reads."""
        return self.live + scratch <= COPIES * self.most


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
