"""Which values share memory, decided before any memory exists.

- A concat along the channels is free: its inputs are written straight into slices of its buffer.
- A reshape, a bitcast, a trim and a require are free: their output is the same bytes, or the first of them.
- A slice of channels is free: its readers read the others' memory with gaps.
- A transpose of a product is free: the product is written in its order.
- A map runs in place where it is the last reader of an operand of the same size and shape.
"""

from collections.abc import Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from ..ir.attributes import int_attr, ints_attr
from ..ir.graph import Graph, Node, Value
from ..kernels import arith, map, table
from ..ops.map import integer_form
from .buffers import NO_HALO, element_size, image_dims
from .demands import halo_need, writes_strided

_SAME_BYTES = ("reshape", "bitcast")
"""Ops whose output is their input's bytes, which may be the user's."""

_FIRST_BYTES = (*_SAME_BYTES, "trim", "require")
"""Ops whose output is their input's bytes, or the first of them."""

NEAR = 32
"""Nodes between a value and its last reader, at most, if that shall write over it: more would take long to look at."""


@dataclass(frozen=True)
class Inside:
    """A value's memory is that of `host`: its channels from number `channel` on or, if None, its bytes in another
    shape. `perm`: `host` is the value transposed so."""

    host: Value
    channel: int | None = 0
    perm: tuple[int, ...] | None = None


@dataclass
class Sharing:
    """`inside`: the values that live in the memory of others. Following it leads to a value with memory of its own."""

    inside: dict[Value, Inside] = field(default_factory=dict)

    def root(self, value: Value) -> Value:
        """The value in whose memory `value` lives."""
        while value in self.inside:
            value = self.inside[value].host
        return value

    def is_reshaped(self, value: Value) -> bool:
        """Whether a reshape lies between the value and its root."""
        while value in self.inside:
            if self.inside[value].channel is None:
                return True
            value = self.inside[value].host
        return False


def plan_sharing(
    graph: Graph, lanes: int, states: AbstractSet[Value] = frozenset(), tables: Collection[Node] = ()
) -> Sharing:
    """Who shares memory in `graph`, for kernels with vectors of `lanes` 32-bit elements.

    Inputs and outputs of the graph are never placed inside others: their memory is the user's. Outputs among `states`
    may be computed where an input lies that others still read: no map or reshape writes there early. `tables`: maps
    that what computes their input computes too.
    """
    plan = _Plan(graph)
    for node in reversed(graph.nodes):
        if node.op == "concat":
            plan.concat(node)
        elif node.op == "scatter" and node.inputs.count(node.inputs[0]) == 1:
            plan.in_place(node, node.inputs[:1])
        elif not states.isdisjoint(node.outputs):
            continue
        elif node in tables or (node.op == "map" and has_whole_vectors(node, lanes, plan.row_elements(node.output))):
            plan.in_place(node, node.inputs)
        elif node.op in _SAME_BYTES and node.output in plan.outputs:
            plan.reshaped_output(node)
        elif node.op == "transpose":
            plan.transposed(node)
    for node in graph.nodes:
        if node.op in _FIRST_BYTES:
            plan.read_inside(node, None)
        elif node.op == "slice" and (first := sliced_channels(node)) is not None:
            plan.read_inside(node, first)
    return Sharing(plan.inside)


def has_whole_vectors(node: Node, lanes: int, row: int) -> bool:
    """Whether the rows that a map walks are whole vectors; `row` elements of its output surely have no gaps.

    Kernels align the last vector of a row to its end, and in place they would compute the elements that it shares
    with the vector before it from results.
    """
    y = node.output
    # other operands, repeated or with gaps between their pixels, may end a row with every pixel
    elements = row if len(node.inputs) == 1 else image_dims(y.type.shape)[3]
    return elements % (_vectors(node) * lanes) == 0


def _vectors(node: Node) -> int:
    """Vectors of the ISA in the widest one that the kernel of a map walks rows by."""
    form = integer_form(node)
    if form is None:
        return map.VECTORS
    return table.VECTORS if form.kind == "table" else arith.MAX_VECTORS


def sliced_channels(node: Node) -> int | None:
    """The first channel of a slice that takes neighbouring channels of every pixel, else None."""
    x, y = node.inputs[0].type, node.output.type
    starts, steps = ints_attr(node, "starts"), ints_attr(node, "steps")
    whole = x.shape[:-1] == y.shape[:-1] and not any(starts[:-1]) and all(s == 1 for s in steps)
    return starts[-1] if whole and starts else None


class _Plan:
    def __init__(self, graph: Graph) -> None:
        self.uses: Mapping[Value, list[Node]] = graph.uses()
        self.outputs = set(graph.outputs)
        self.order = {value: number for number, node in enumerate(graph.nodes) for value in node.outputs}
        self.inside: dict[Value, Inside] = {}
        self.overwritten: set[Value] = set()
        """Values whose memory gets other contents before their storage dies."""

    def is_free(self, value: Value) -> bool:
        """Whether the value may be written into the memory of another one, with gaps between its pixels."""
        producer = value.producer
        return (
            producer is not None and writes_strided(producer) and value not in self.outputs and value not in self.inside
        )

    def concat(self, node: Node) -> None:
        """Give every input that can have it its slice of the concat's buffer."""
        y = node.output
        if int_attr(node, "axis") != y.type.rank - 1:
            return
        first = 0
        for value in node.inputs:
            lasts = y not in self.overwritten or len(self.uses[value]) == 1
            if self.is_free(value) and node.inputs.count(value) == 1 and lasts:
                self.inside[value] = Inside(y, first)
                if y in self.overwritten:
                    self.overwritten.add(value)
            first += value.type.shape[-1]

    def in_place(self, node: Node, operands: Sequence[Value]) -> None:
        """Let a node write over the first of `operands` that nobody else reads then."""
        y = node.output
        for x in operands:
            same = x.type.shape == y.type.shape and element_size(x.type) == element_size(y.type)
            if same and self.is_free(x) and self.reads_last(node, x) and not self.is_channels(x):
                self.inside[x] = Inside(y)
                self.overwritten.add(x)
                return

    def reads_last(self, node: Node, x: Value) -> bool:
        """Whether the others that read `x` have done so when `node` runs, as it reads what they computed, and leave no
        trace of theirs in its memory: neither values nor padding."""
        others = [reader for reader in self.uses[x] if reader is not node]
        if any(reader.op in (*_FIRST_BYTES, "slice") or reader.regions for reader in others):
            return False
        if any(halo_need(r, i) != NO_HALO for r in others for i, value in enumerate(r.inputs) if value is x):
            return False
        return not others or self.sources(node, x).issuperset(others)

    def sources(self, node: Node, x: Value) -> set[Node]:
        """The nodes from which `node` gets its data, back to where `x` is computed; none if that is far."""
        first, found, left = self.order[x], set[Node](), [node]
        if self.order[node.outputs[0]] - first > NEAR:
            return found
        while left:
            for value in left.pop().inputs:
                source = value.producer
                if source is not None and source not in found and self.order[value] > first:
                    found.add(source)
                    left.append(source)
        return found

    def is_channels(self, value: Value) -> bool:
        """Whether the value is a slice of channels, which is nothing to compute unless it gets memory of its own."""
        producer = value.producer
        return producer is not None and producer.op == "slice" and sliced_channels(producer) is not None

    def row_elements(self, value: Value) -> int:
        """Elements that surely follow each other without gaps in the value's memory."""
        _, _, w, c = image_dims(value.type.shape)
        in_slice = False
        while value in self.inside:
            value = self.inside[value].host
            in_slice |= value.type.shape[-1:] != (c,)
        return c if in_slice else w * c

    def reshaped_output(self, node: Node) -> None:
        """What is reshaped into an output of the graph is written there in the first place."""
        x = node.inputs[0]
        if x.producer is not None and x not in self.outputs and x not in self.inside:
            self.inside[x] = Inside(node.output, None)

    def transposed(self, node: Node) -> None:
        """Let a product of which nobody reads more than its transpose be written into that. Its rows stay whole, and
        views of fewer than four dimensions have no others."""
        x, perm = node.inputs[0], ints_attr(node, "perm")
        free = self.is_free(x) and len(self.uses[x]) == 1 and node.output not in self.inside
        if free and x.producer is not None and x.producer.op == "matmul" and len(perm) == 4 and perm[3] == 3:
            self.inside[x] = Inside(node.output, perm=tuple(perm))

    def read_inside(self, node: Node, channel: int | None) -> None:
        """The output is the input's bytes, or the channels from number `channel` on."""
        x, y = node.inputs[0], node.output
        if not x.is_const and y not in self.outputs and y not in self.inside:
            self.inside[y] = Inside(x, channel)
