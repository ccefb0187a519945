"""Which values share memory, and what surrounds them.

Decided backwards through the graph, before any step exists:

- a concat along the channels is free: its inputs are written straight into slices of its buffer;
- a reshape is free: its output is the same bytes;
- a map of one quantized input to the same shape runs in place;
- what a convolution or pool needs as padding becomes part of its input's buffer (a halo, filled once a run), unless
  two users want different padding or the buffer is the user's own: then a padded copy is made before the node.
"""

from dataclasses import dataclass
from math import prod

import numpy as np

from ..ir.attributes import int_attr, ints_attr
from ..ir.graph import Graph, Node, Value
from .buffers import NO_HALO, Fill, Halo, Storage, View, allocate, image_dims
from .conv import transposed_phases
from .plan import Space

STRIDED_WRITERS = {"conv2d", "conv_transpose2d", "max_pool2d", "avg_pool2d", "map", "resize", "transpose", "concat", "pad"}
"""Ops whose kernels can write an image into a wider buffer."""


IN_PLACE_BYTES = 64
"""In place, a row must be whole vectors: kernels compute the elements of a cut-off last vector twice."""


@dataclass(frozen=True)
class Need:
    """Padding that a node wants around an input."""

    halo: Halo
    element: bytes


@dataclass
class Layout:
    """Views of all values, padded copies of inputs for single nodes, and the halos to fill."""

    views: dict[Value, View]
    padded: dict[tuple[Node, int], View]
    fills: dict[Storage, Fill]


@dataclass
class _Place:
    """A value's place: itself, or from channel `first` on in the buffer of another value of the same rows."""

    root: Value
    first: int = 0


def plan_layout(graph: Graph) -> Layout:
    """The layout of `graph` (channels last, all shapes static)."""
    uses = graph.uses()
    places: dict[Value, _Place] = {}
    same_bytes: dict[Value, Value] = {}  # reshape's output -> input
    outputs = set(graph.outputs)
    fixed = outputs | set(graph.inputs)
    for node in reversed(graph.nodes):
        if node.op == "concat" and _along_channels(node):
            _place_in_concat(node, places, fixed)
        elif node.op == "map" and _runs_in_place(node, uses, fixed | places.keys()):
            mine = places.get(node.output, _Place(node.output))
            places[node.inputs[0]] = mine
    for node in graph.nodes:
        if node.op == "reshape" and not fixed & {node.output, node.inputs[0]}:
            same_bytes[node.output] = node.inputs[0]
    return _Planner(graph, uses, places, same_bytes).run()


def _along_channels(node: Node) -> bool:
    out = node.output.type
    return int_attr(node, "axis") % out.rank == out.rank - 1


def _place_in_concat(node: Node, places: dict[Value, _Place], fixed: set[Value]) -> None:
    """Give every input that nobody else has placed its slice of the concat's buffer."""
    if node.output in fixed:
        return
    mine = places.get(node.output, _Place(node.output))
    first = mine.first
    for value in node.inputs:
        producer = value.producer
        free = value not in fixed and value not in places and node.inputs.count(value) == 1
        if free and producer is not None and producer.op in STRIDED_WRITERS:
            places[value] = _Place(mine.root, first)
        first += value.type.shape[-1]


def _runs_in_place(node: Node, uses: dict[Value, list[Node]], taken: "set[Value]") -> bool:
    x, y = node.inputs[0], node.output
    return (
        len(node.inputs) == 1
        and x.producer is not None
        and x not in taken
        and y not in taken
        and len(uses[x]) == 1
        and x.type.shape == y.type.shape
        and x.type.dtype == y.type.dtype == "int8"
        and x.producer.op in STRIDED_WRITERS
        and prod(image_dims(y.type.shape)[2:]) % IN_PLACE_BYTES == 0
    )


def padding_need(node: Node, index: int) -> Need | None:
    """What `node` wants around its input `index`, if anything."""
    if index != 0:
        return None
    x = node.inputs[0].type
    zero = x.quant.zero_point[0] if x.quant is not None else 0
    halo = NO_HALO
    fill: float = zero
    if node.op == "conv2d":
        top, left, bottom, right = ints_attr(node, "pads", 4)
        halo = (top, left, bottom, right)
    elif node.op == "conv_transpose2d":
        halo = _transposed_halo(node)
    if halo == NO_HALO:
        return None
    return Need(halo, np.array(fill, x.dtype).tobytes())


def _transposed_halo(node: Node) -> Halo:
    strides, pads = ints_attr(node, "strides", 2), ints_attr(node, "pads", 4)
    sides: list[tuple[int, int]] = []
    for axis in range(2):
        taps = node.inputs[1].type.shape[2 + axis]
        extent, out = node.inputs[0].type.shape[1 + axis], node.output.type.shape[1 + axis]
        before = after = 0
        for p, reach, origin in transposed_phases(taps, strides[axis], pads[axis], out):
            count = -(-(out - p) // strides[axis])
            before = max(before, -origin)
            after = max(after, origin + len(reach) - 1 + count - 1 - (extent - 1))
        sides.append((before, after))
    (top, bottom), (left, right) = sides
    return top, left, bottom, right


class _Planner:
    """Turns places into storages and views, collecting halos on the way."""

    def __init__(
        self, graph: Graph, uses: dict[Value, list[Node]], places: dict[Value, _Place], same_bytes: dict[Value, Value]
    ) -> None:
        self.graph, self.uses, self.places, self.same_bytes = graph, uses, places, same_bytes
        self.needs: dict[Value, Need] = {}
        self.layout = Layout({}, {}, {})

    def run(self) -> Layout:
        """Halos first, then storages, then views."""
        self._collect_needs()
        for index, value in enumerate(self.graph.inputs):
            self.layout.views[value] = allocate(value.type, space=Space.INPUT, index=index)
        outputs = list(dict.fromkeys(self.graph.outputs))
        for index, value in enumerate(self.graph.outputs):
            if value.producer is not None and outputs.count(value) == 1 and value not in self.uses:
                self.layout.views.setdefault(value, allocate(value.type, space=Space.OUTPUT, index=index))
        for node in self.graph.nodes:
            for value in node.outputs:
                self._view(value)
        return self.layout

    def _root(self, value: Value) -> Value:
        return self.places[value].root if value in self.places else value

    def _collect_needs(self) -> None:
        dense = {v for pair in self.same_bytes.items() for v in pair}
        immovable = dense | set(self.graph.inputs) | set(self.graph.outputs)
        for node in self.graph.nodes:
            for index, value in enumerate(node.inputs):
                need = padding_need(node, index)
                if need is None:
                    continue
                root = self._root(value)
                known = self.needs.get(root)
                if value.is_const or value in immovable or root in immovable or (known and known.element != need.element):
                    self._padded_copy(node, index, need)
                else:
                    self.needs[root] = need if known is None else Need(_union(known.halo, need.halo), need.element)

    def _padded_copy(self, node: Node, index: int, need: Need) -> None:
        view = allocate(node.inputs[index].type, need.halo)
        self.layout.padded[node, index] = view
        self.layout.fills[view.storage] = Fill(view, need.halo, need.element)

    def _view(self, value: Value) -> View:
        views = self.layout.views
        if value not in views:
            if value in self.same_bytes:
                views[value] = self._reshaped(value)
            elif value in self.places:
                place = self.places[value]
                whole = self._view(place.root)
                views[value] = _typed(whole.channels(place.first, value.type.shape[-1]), value)
            else:
                views[value] = self._allocate(value)
        return views[value]

    def _allocate(self, value: Value) -> View:
        need = self.needs.get(value)
        view = allocate(value.type, need.halo if need else NO_HALO)
        if need:
            self.layout.fills[view.storage] = Fill(view, need.halo, need.element)
        return view

    def _reshaped(self, value: Value) -> View:
        """The same bytes if they are dense; else memory of its own, and the reshape becomes a copy."""
        source = self.same_bytes[value]
        if source.is_const:
            return self._allocate(value)
        whole = self._view(source)
        if not whole.is_dense:
            return self._allocate(value)
        template = allocate(value.type)
        return View(whole.storage, value.type, template.dims, template.strides, whole.offset)


def _typed(view: View, value: Value) -> View:
    return View(view.storage, value.type, view.dims, view.strides, view.offset)


def _union(a: Halo, b: Halo) -> Halo:
    return max(a[0], b[0]), max(a[1], b[1]), max(a[2], b[2]), max(a[3], b[3])
