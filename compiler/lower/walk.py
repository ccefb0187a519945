"""The nodes of a graph, or of a region of a node, as steps."""

from ...errors import EdgeError
from ..ir.graph import Graph, Node
from .buffers import Storage, View
from .context import LOWERINGS, Context, Refusal
from .copies import copy
from .pictures import find_pictures, lower_picture
from .room import bytes_in_use


def walk(context: Context, graph: Graph) -> None:
    """Emit the steps of all nodes in order, each after the copies that it reads."""
    _Walk(context, graph).run()


def copied(context: Context, x: View, y: View) -> None:
    """A step that copies x to y, unless they are the same bytes."""
    if x.at() != y.at() and y.type.size:
        with context.part("copy"):
            copy(context, x, y)


class _Walk:
    def __init__(self, context: Context, graph: Graph) -> None:
        self.context, self.graph = context, graph
        self.pictures = find_pictures(graph)
        self.copied: set[Storage] = set()

    def run(self) -> None:
        merged, room = {*self.pictures.values(), *self.context.tables.values()}, self.context.room
        for node, live in zip(self.graph.nodes, bytes_in_use(self.graph, self.context.layout), strict=True):
            self.context.name, self.context.room = node.name or node.op, room.beside(live)
            if node in merged:
                continue
            quantize = self.pictures.get(node)
            if quantize is None:
                self._node(node)
            elif not lower_picture(self.context, quantize, node):
                self._node(quantize)
                self._node(node)
        self.context.room = room

    def _node(self, node: Node) -> None:
        for index, value in enumerate(node.inputs):
            target = self.context.layout.copies.get((node, index))
            if target is not None and target.storage not in self.copied:
                self.copied.add(target.storage)
                copied(self.context, self.context.view(value), target)
        try:
            LOWERINGS[node.op](self.context, node)
        except EdgeError as error:
            if self.context.refused is None:
                raise
            self.context.refused.append(Refusal(node.name, node.op, str(error)))
