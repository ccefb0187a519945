"""Views of all values: their memory, the padding around them, and copies for readers that cannot use the original.

What a convolution needs as padding becomes part of its input's buffer (a halo, filled once a run). Where that cannot
be, because the buffer is the user's or its bytes are shared in another shape, the node reads a padded copy. Kernels
that may read behind their operand read a copy of what is in the user's memory.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..ir.graph import Graph, Node, Value
from .buffers import NO_HALO, Fill, Halo, Storage, View, allocate, zero_element
from .demands import halo_need, reads_past, union, writes_strided
from .plan import Space
from .sharing import Inside, Sharing


@dataclass
class Layout:
    """`views`: of all values but constants. `copies`: what a node reads in place of its input of that number; the same
    view for all nodes that share a copy. `fills`: the halos of storages."""

    views: dict[Value, View] = field(default_factory=dict)
    copies: dict[tuple[Node, int], View] = field(default_factory=dict)
    fills: dict[Storage, Fill] = field(default_factory=dict)

    def add(self, other: "Layout") -> None:
        """Take over the layout of a region."""
        self.views |= other.views
        self.copies |= other.copies
        self.fills |= other.fills


def plan_layout(graph: Graph, sharing: Sharing, placed: Mapping[Value, View]) -> Layout:
    """The layout of `graph` (channels last, all shapes static), whose inputs, and outputs that its nodes compute, lie
    where `placed` says."""
    return _Planner(graph, sharing, placed).run()


class _Planner:
    def __init__(self, graph: Graph, sharing: Sharing, placed: Mapping[Value, View]) -> None:
        self.graph, self.sharing = graph, sharing
        self.layout = Layout({v: view for v, view in placed.items() if v in graph.inputs or v.producer is not None})
        self.halos: dict[Value, Halo] = {}
        """Padding around values with memory of their own."""
        self.copied: dict[Value, Halo] = {}
        """Values that are copied for some of their readers, and the padding of the copy."""
        self.copy_readers: list[tuple[Node, int]] = []

    def run(self) -> Layout:
        """Padding first, then memory."""
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
        placed = self.layout.views.get(root)
        if placed is not None and placed.storage.space in (Space.INPUT, Space.OUTPUT) and reads_past(node, number):
            self._copy_for(node, number, halo)
        elif halo != NO_HALO:
            producer = root.producer if placed is None else None
            if producer is None or not writes_strided(producer) or self.sharing.is_reshaped(value):
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
        if inside.perm is not None:
            return host.before(inside.perm)
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
