"""Views of all values: their memory, the padding around them, and copies for readers that cannot use the original.

What a convolution needs as padding becomes part of its input's buffer (a halo, filled once a run). Where that cannot
be, because the buffer is the user's or its bytes are shared in another shape, the node reads a padded copy. Kernels
that may read behind their operand read a copy of what is in the user's memory.
"""

from dataclasses import dataclass, field

from ..ir.graph import Graph, Node, Value
from .buffers import NO_HALO, Fill, Halo, Storage, View, allocate, zero_element
from .demands import halo_need, reads_past, union, writes_strided
from .plan import Space
from .sharing import Inside, plan_sharing


@dataclass
class Layout:
    """`views`: of all values but constants. `copies`: what a node reads in place of its input of that number; the same
    view for all nodes that share a copy. `fills`: the halos of storages."""

    views: dict[Value, View] = field(default_factory=dict)
    copies: dict[tuple[Node, int], View] = field(default_factory=dict)
    fills: dict[Storage, Fill] = field(default_factory=dict)


def plan_layout(graph: Graph, lanes: int) -> Layout:
    """The layout of `graph` (channels last, all shapes static); `lanes` as in `plan_sharing`."""
    return _Planner(graph, lanes).run()


class _Planner:
    def __init__(self, graph: Graph, lanes: int) -> None:
        self.graph, self.sharing, self.layout = graph, plan_sharing(graph, lanes), Layout()
        self.halos: dict[Value, Halo] = {}
        """Padding around values with memory of their own."""
        self.copied: dict[Value, Halo] = {}
        """Values that are copied for some of their readers, and the padding of the copy."""
        self.copy_readers: list[tuple[Node, int]] = []

    def run(self) -> Layout:
        """Padding first, then memory."""
        views = self.layout.views
        for index, value in enumerate(self.graph.inputs):
            views[value] = allocate(value.type, space=Space.INPUT, index=index)
        for index, value in enumerate(self.graph.outputs):
            if value.producer is not None:
                views.setdefault(value, allocate(value.type, space=Space.OUTPUT, index=index))
        for node in self.graph.nodes:
            for number in range(len(node.inputs)):
                self._place_halo(node, number)
        for node in self.graph.nodes:
            for value in node.outputs:
                self._view(value)
        self._make_copies()
        return self.layout

    def _place_halo(self, node: Node, number: int) -> None:
        """Around the value itself, if that can be, or around a copy."""
        value, halo = node.inputs[number], halo_need(node, number)
        root = self.sharing.root(value)
        users_memory = root in self.layout.views
        if users_memory and reads_past(node, number):
            self._copy_for(node, number, halo)
        elif halo != NO_HALO:
            producer = root.producer
            if users_memory or producer is None or not writes_strided(producer) or self.sharing.is_reshaped(value):
                self._copy_for(node, number, halo)
            else:
                self.halos[root] = union(self.halos.get(root, NO_HALO), halo)

    def _copy_for(self, node: Node, number: int, halo: Halo) -> None:
        value = node.inputs[number]
        self.copied[value] = union(self.copied.get(value, NO_HALO), halo)
        self.copy_readers.append((node, number))

    def _make_copies(self) -> None:
        views = {value: self._allocate(value, halo) for value, halo in self.copied.items()}
        for node, number in self.copy_readers:
            self.layout.copies[node, number] = views[node.inputs[number]]

    def _view(self, value: Value) -> View:
        """The value's view, and those of all values in whose memory it lies."""
        views = self.layout.views
        chain = [value]
        while chain[-1] not in views and chain[-1] in self.sharing.inside:
            chain.append(self.sharing.inside[chain[-1]].host)
        for link in reversed(chain):
            if link not in views:
                inside = self.sharing.inside.get(link)
                views[link] = (
                    self._allocate(link, self.halos.get(link, NO_HALO))
                    if inside is None
                    else (self._inside(link, inside))
                )
        return views[value]

    def _inside(self, value: Value, inside: Inside) -> View:
        host = self.layout.views[inside.host]
        if inside.channel is not None:
            return (
                host.channels(inside.channel, value.type.shape[-1]).typed(value.type)
                if value.type.rank
                else (host.typed(value.type))
            )
        # a reshape of what has gaps gets memory of its own, and becomes a copy
        return host.reshaped(value.type) if host.is_dense else self._allocate(value, NO_HALO)

    def _allocate(self, value: Value, halo: Halo) -> View:
        view = allocate(value.type, halo)
        if halo != NO_HALO:
            self.layout.fills[view.storage] = Fill(view, halo, zero_element(value.type))
        return view
