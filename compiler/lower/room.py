"""Room for scratch memory, known before the algorithm of any node is chosen: what its tensors leave of the memory that
a plan needs anyway."""

from dataclasses import dataclass
from itertools import accumulate
from math import prod

from ..ir.extent import largest
from ..ir.graph import Graph, Node, Value
from ..ops import epilogue as op
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
    """Bytes of the arena that values in use take, at each node of `graph`. A product of codes of rows reads these: its
    data are not in use any more, unless another node reads them."""
    spans: dict[Storage | Value, tuple[int, int, int]] = {}
    for number, node in enumerate(graph.nodes):
        for part, size in _parts(node, layout).items():
            spans[part] = spans.get(part, (number,))[0], number, size
    changes = [0] * (len(graph.nodes) + 1)
    for first, last, size in spans.values():
        changes[first] += size
        changes[last + 1] -= size
    return list(accumulate(changes[:-1]))


def _parts(node: Node, layout: Layout) -> dict[Storage | Value, int]:
    """Storages in the arena that a node's steps read and write, and its data if it reads codes of them, with the bytes
    of each."""
    inputs = dict(enumerate(node.inputs))
    coded = [inputs.pop(op.X)] if node.op == "matmul" and op.codes_rows(node) else []
    views = [layout.views.get(value) for value in (*inputs.values(), *node.outputs)]
    views += [layout.copies.get((node, number)) for number in inputs]
    storages = {view.storage for view in views if view is not None and view.storage.space == Space.ARENA}
    return {s: s.size for s in storages} | {x: largest(prod(x.type.shape)) for x in coded}
