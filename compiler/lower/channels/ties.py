"""Which tensors have their channels in one order, and whether it can be another one: no byte of an output changes if
those who make the channels and those who read them are told. Channels are the last dimension of what is NHWC."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ...ir.attributes import int_attr, ints_attr, layout_attr
from ...ir.extent import is_symbolic
from ...ir.graph import Graph, Node, Value
from ...ops import epilogue as op


@dataclass(frozen=True)
class Operand:
    """A constant that `node` reads: dimension `axis` of its input number `index`."""

    node: Node
    index: int
    axis: int


@dataclass
class Tied:
    """`size` channels, and whatever follows their order: `makers`, the weights whose results they are, `readers`, those
    that they are multiplied by, both of dense int8 convolutions and products, and all `operands`."""

    size: int
    makers: list[Node] = field(default_factory=list)
    readers: list[Node] = field(default_factory=list)
    operands: list[Operand] = field(default_factory=list)


def tied_channels(graph: Graph) -> list[Tied]:
    """All that can be computed in another order."""
    found = _Ties()
    for value in (*graph.inputs, *graph.outputs):
        found.pin(value)
    for node in graph.nodes:
        rule = _RULES.get(node.op)
        if node.regions or rule is None or not rule(found, node):
            for value in (*node.inputs, *node.outputs):
                found.pin(value)
    return found.groups()


class _Ties:
    """Values in sets whose channels have one order."""

    def __init__(self) -> None:
        self._parent: dict[Value, Value] = {}
        self._pinned: set[Value] = set()
        self._makers: list[tuple[Value, Node]] = []
        self._readers: list[tuple[Value, Node]] = []
        self._operands: list[tuple[Value, Operand]] = []

    def pin(self, value: Value) -> None:
        """Its channels stay in their order."""
        self._pinned.add(value)

    def tie(self, *values: Value) -> None:
        """They have one order; that of a constant stays."""
        first = self._root(values[0])
        for value in values:
            self._parent[self._root(value)] = first
            if value.is_const:
                self.pin(value)

    def made(self, value: Value, node: Node) -> None:
        """Its channels are those of the results of the dense `node`."""
        self._makers.append((value, node))

    def read(self, value: Value, node: Node) -> None:
        """The dense `node` sums up its channels."""
        self._readers.append((value, node))

    def follow(self, value: Value, node: Node, index: int, axis: int) -> None:
        """A constant follows its order."""
        self._operands.append((value, Operand(node, index, axis)))

    def groups(self) -> list[Tied]:
        """The sets that are not pinned."""
        pinned = {self._root(value) for value in self._pinned}
        sizes = {self._root(v): v.type.shape[-1] for v, _ in (*self._makers, *self._readers, *self._operands)}
        groups = {root: Tied(size) for root, size in sizes.items() if root not in pinned}
        for value, node in self._makers:
            if group := groups.get(self._root(value)):
                group.makers.append(node)
        for value, node in self._readers:
            if group := groups.get(self._root(value)):
                group.readers.append(node)
        for value, operand in self._operands:
            if group := groups.get(self._root(value)):
                group.operands.append(operand)
        return list(groups.values())

    def _root(self, value: Value) -> Value:
        while (parent := self._parent.get(value, value)) is not value:
            value = parent
        return value


def _conv(found: _Ties, node: Node) -> bool:
    groups, channels = int_attr(node, "groups"), node.output.type.shape[-1]
    if layout_attr(node) != "NHWC" or not _is_int8(node) or groups not in (1, node.inputs[op.X].type.shape[-1]):
        return False
    if groups == 1:
        return _dense(found, node, reads=1, makes=0)
    if groups != channels:
        return False
    found.tie(node.output, node.inputs[op.X])
    found.follow(node.output, node, op.W, 0)
    _epilogue(found, node)
    return True


def _matmul(found: _Ties, node: Node) -> bool:
    return _is_int8(node) and node.inputs[op.W].type.rank == 2 and _dense(found, node, reads=0, makes=1)


def _is_int8(node: Node) -> bool:
    """Whether it multiplies int8 by constants. Sums of floats depend on the order of channels."""
    x, w, *more = node.inputs
    return x.type.quant is not None and x.type.dtype == "int8" and all(v.is_const for v in (w, *more[:1]))


def _dense(found: _Ties, node: Node, *, reads: int, makes: int) -> bool:
    """`reads`, `makes`: the dimensions of the weights."""
    found.read(node.inputs[op.X], node)
    found.follow(node.inputs[op.X], node, op.W, reads)
    found.made(node.output, node)
    found.follow(node.output, node, op.W, makes)
    _epilogue(found, node)
    return True


def _epilogue(found: _Ties, node: Node) -> None:
    if len(node.inputs) > op.BIAS:
        found.follow(node.output, node, op.BIAS, 0)
    if len(node.inputs) > op.RESIDUAL:
        found.tie(node.output, node.inputs[op.RESIDUAL])


def _map(found: _Ties, node: Node) -> bool:
    """Operands with as many channels, or one for all."""
    shape = node.output.type.shape
    if not shape or is_symbolic(shape[-1]):
        return False
    for index, value in enumerate(node.inputs):
        if value.type.shape[-1:] != shape[-1:]:
            continue
        if value.is_const:
            found.follow(node.output, node, index, value.type.rank - 1)
        else:
            found.tie(node.output, value)
    return True


def _channel_by_channel(found: _Ties, node: Node) -> bool:
    found.tie(node.output, node.inputs[0])
    return layout_attr(node) == "NHWC"


def _reduce(found: _Ties, node: Node) -> bool:
    last = node.inputs[0].type.rank - 1
    if last in ints_attr(node, "axes"):
        return False
    found.tie(node.output, node.inputs[0])
    return True


def _reshape(found: _Ties, node: Node) -> bool:
    before, after = (v.type.shape[-1:] for v in (node.inputs[0], node.output))
    if before != after:
        return False
    found.tie(node.output, node.inputs[0])
    return True


_RULES: Mapping[str, Callable[[_Ties, Node], bool]] = {
    "conv2d": _conv,
    "matmul": _matmul,
    "map": _map,
    "avg_pool2d": _channel_by_channel,
    "max_pool2d": _channel_by_channel,
    "resize": _channel_by_channel,
    "reduce": _reduce,
    "reshape": _reshape,
}
"""What ties the values of a node; it says whether nothing else depends on the order of their channels."""
