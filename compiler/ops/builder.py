"""Emits IR nodes: types inferred, constants folded, scalar operands written into expressions."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import prod

import numpy as np

from ..ir.expr import Call, Const, Expr, In, call, substitute, walk
from ..ir.expr_dtypes import infer_dtype
from ..ir.extent import is_symbolic, largest
from ..ir.graph import Array, Attr, Graph, Node, Value, constant
from ..ir.registry import lookup
from ..ir.specialize import is_dynamic
from ..ir.types import Quant, TensorType
from .constness import dequantized_constant, not_constant
from .extents import INTEGERS, folded, integers_of
from .intervals import Interval
from .reference import run_node

MAX_TENSOR_BYTES = 2**31
"""The largest tensor: more is a malformed model, not one for a device."""

MAX_FOLDED_BYTES = 2**31
"""What constant folding may compute in all; beyond it nodes stay in the graph."""

_NOT_FOLDED = frozenset({"conv2d", "conv_transpose2d", "matmul", "if", "loop"})
"""Too expensive to run in the importer on untrusted input."""


@dataclass
class _Shared:
    """What the builders of a graph and of its regions have in common: names that are taken, the last number given out
    for each name, the bytes that were folded, between which numbers inputs of regions are, and the values that are
    float16 in the model, but not yet rounded to it."""

    taken: set[str]
    numbers: dict[str, int] = field(default_factory=dict)
    folded_bytes: int = 0
    intervals: dict[Value, Interval] = field(default_factory=dict)
    unrounded: set[Value] = field(default_factory=set)


class Builder:
    """Collects the nodes of a graph in order.

    `taken` are value names that must not be invented. `begin` starts the next source node: what is emitted from then
    on carries its name, and values are called after its first output until `bind` gives them their own name.
    """

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self.nodes: list[Node] = []
        self._shared = _Shared(set(taken))
        self._fresh: set[Value] = set()
        self._node_name = ""
        self._hint = ""

    def begin(self, node_name: str, hint: str) -> None:
        """Nodes emitted from now on are called `node_name`, their values after `hint`."""
        self._node_name, self._hint = node_name, hint
        self._fresh.clear()

    def bind(self, value: Value, name: str) -> None:
        """Give `value` the name `name`, if it was made since `begin` and has none of its own yet."""
        if value in self._fresh:
            value.name = name
            self._fresh.discard(value)

    @contextmanager
    def inside(self) -> Iterator[None]:
        """What is emitted inside belongs to other source nodes; after it, the present one goes on. `bind` may name what
        they made anew."""
        saved, made = (self._node_name, self._hint, set(self._fresh)), len(self.nodes)
        yield
        self._node_name, self._hint, self._fresh = saved
        self._fresh.update(v for node in self.nodes[made:] for v in node.outputs)

    def fresh_name(self) -> str:
        """A value name that is not taken."""
        return self.claim(self._hint, first=False)

    def claim(self, name: str, first: bool = True) -> str:
        """A value name that is not taken: `name` itself, unless `first` forbids it, or `name.1`, `name.2` ..."""
        shared, hint = self._shared, name
        while not first or name in shared.taken:
            first = True
            shared.numbers[hint] = shared.numbers.get(hint, 0) + 1
            name = f"{hint}.{shared.numbers[hint]}"
        shared.taken.add(name)
        return name

    @property
    def intervals(self) -> Mapping[Value, Interval]:
        """Between which numbers inputs of regions are, where that is known."""
        return self._shared.intervals

    @property
    def unrounded(self) -> set[Value]:
        """What was cast to float16 and keeps the precision of float32 until it is cast on."""
        return self._shared.unrounded

    def capture(self, value: Value) -> Value:
        """`value`, as nodes of this graph read it."""
        return value

    def constant(self, data: Array, quant: Quant | None = None) -> Value:
        """A constant; `data` holds the codes where `quant` is given."""
        value = constant(self.fresh_name(), data, quant)
        self._fresh.add(value)
        return value

    def integers(self, elements: Array, dtype: str = "int64") -> Value:
        """A tensor of integers, given as an array of objects: a constant, or `extents` if a run decides some."""
        values = tuple(elements.reshape(-1))
        if not any(is_symbolic(v) for v in values):
            return self.constant(elements.astype(dtype))
        return self.emit_all("extents", values=values, shape=elements.shape, dtype=dtype)[0]  # `emit` takes `dtype`

    def emit(
        self,
        op: str,
        *inputs: Value,
        type: TensorType | None = None,
        quant: Quant | None = None,
        dtype: str = "int8",
        **attrs: Attr,
    ) -> Value:
        """The output of a new node, or a constant when all inputs are.

        `type` is the output's type where the op cannot infer it alone; with `quant` the output is quantized to `dtype`.
        """
        (inferred,) = self._infer(op, inputs, attrs, () if type is None else (type,))
        result = TensorType(inferred.shape, dtype, quant) if quant is not None else inferred
        return self._add(op, inputs, attrs, (result,))[0]

    def emit_all(self, op: str, *inputs: Value, regions: Sequence[Graph] = (), **attrs: Attr) -> tuple[Value, ...]:
        """The outputs of a new node of an op with several, or constants when all inputs are."""
        return self._add(op, inputs, attrs, self._infer(op, inputs, attrs, (), regions), regions)

    def _infer(
        self, op: str, inputs: Sequence[Value], attrs: Mapping[str, Attr], given: Sequence[TensorType],
        regions: Sequence[Graph] = (),
    ) -> tuple[TensorType, ...]:  # fmt: skip
        opdef = lookup(op)
        least, most = opdef.inputs
        if not least <= len(inputs) <= most:
            raise ValueError(f"{op} takes {least} to {most} inputs, not {len(inputs)}")
        outputs = [Value("", t) for t in given]
        return opdef.infer(Node(op, list(inputs), outputs, {**attrs}, self._node_name, list(regions)))

    def _add(
        self, op: str, inputs: Sequence[Value], attrs: Mapping[str, Attr], types: Sequence[TensorType],
        regions: Sequence[Graph] = (),
    ) -> tuple[Value, ...]:  # fmt: skip
        """The outputs, of `types`. A tensor without elements is a constant, whatever computes it."""
        for type in types:
            if largest(type.nbytes) > MAX_TENSOR_BYTES:
                raise ValueError(
                    f"its output {list(type.shape)} has {type.nbytes} bytes; at most {MAX_TENSOR_BYTES} are accepted"
                )
        if all(type.size == 0 for type in types):
            return tuple(self.constant(np.zeros(type.shape, type.dtype), type.quant) for type in types)
        outputs = [Value(self.fresh_name(), type) for type in types]
        node = Node(op, list(inputs), outputs, {**attrs}, self._node_name, list(regions))
        if len(outputs) == 1 and (elements := folded(node)) is not None:
            return (self.integers(elements, types[0].dtype),)
        if self._folds(node):
            return tuple(self.constant(data) for data in run_node(node, [v.data for v in inputs if v.data is not None]))
        self.nodes.append(node)
        self._fresh.update(outputs)
        return tuple(outputs)

    def _folds(self, node: Node) -> bool:
        """Whether `node` is evaluated now. Quantized constants keep their node: passes work on the codes."""
        if not node.inputs or node.op in _NOT_FOLDED or not all(v.is_const for v in node.inputs):
            return False
        if any(v.type.quant is not None for v in (*node.inputs, *node.outputs)) or is_dynamic(node):
            return False
        self._shared.folded_bytes += sum(largest(v.type.nbytes) for v in node.outputs)
        return self._shared.folded_bytes <= MAX_FOLDED_BYTES

    def map(self, expr: Expr, *inputs: Value, quant: Quant | None = None, dtype: str = "int8") -> Value:
        """An elementwise node, quantized to `dtype` codes if `quant` is given.

        Constants of one element become literals where that doesn't change the result's type, and literals that only a
        run knows become inputs.
        """
        expr, inputs = self._extents_as_inputs(expr, inputs)
        kept = self._tensors(inputs)
        literals: dict[int, Expr] = {}
        for i, value in enumerate(inputs):
            if i in kept:
                literals[i] = In(kept.index(i))
            else:
                assert value.data is not None
                literals[i] = Const(value.data.item())
        return self.emit("map", *(inputs[i] for i in kept), quant=quant, dtype=dtype, expr=substitute(expr, literals))

    def _extents_as_inputs(self, expr: Expr, inputs: tuple[Value, ...]) -> tuple[Expr, tuple[Value, ...]]:
        """`expr` with inputs in place of literals that are extents, and all inputs."""
        while (literal := _extent_in(expr)) is not None:
            lifted = _with_input(expr, literal, len(inputs))
            given = ["float32" if v.type.quant else v.type.dtype for v in inputs]
            dtype = next((d for d in INTEGERS if _is_typed(lifted, [*given, d])), None)
            if dtype is None:
                raise ValueError(
                    f"it computes in {', '.join(given)} with {literal.value}, which only a run knows; "
                    "cast to int32 or int64"
                )
            expr, inputs = lifted, (*inputs, self.integers(np.array(literal.value, object), dtype))
        return expr, inputs

    @staticmethod
    def _tensors(inputs: Sequence[Value]) -> list[int]:
        """The inputs of a map that are not scalar constants (the first, if all are)."""
        rank = max((v.type.rank for v in inputs if v.type.size != 1 or not v.is_const), default=-1)
        dtypes = {v.type.dtype for v in inputs if not v.is_const}

        def literal(v: Value) -> bool:
            same = not dtypes or v.type.dtype in dtypes
            return v.data is not None and v.type.quant is None and v.type.size == 1 and v.type.rank <= rank and same

        return [i for i, v in enumerate(inputs) if not literal(v)]

    def array(self, value: Value, what: str) -> Array:
        """The data of a constant, or of a dequantized one; ValueError that `what` must be constant otherwise."""
        codes = dequantized_constant(value)
        if codes is not None and codes.data is not None and value.producer is not None:
            return run_node(value.producer, [codes.data])[0]
        if value.data is None or value.type.quant is not None:
            raise not_constant(value, what)
        return value.data

    def ints(self, value: Value, what: str) -> tuple[int, ...]:
        """A constant integer tensor of at most 64 elements, or what shapes decide, as a tuple."""
        symbolic = integers_of(value) if value.producer is not None else None
        if symbolic is not None:
            return tuple(symbolic.reshape(-1))
        data = self.array(value, what)
        if data.dtype.kind not in "iu" or data.size > 64:
            raise ValueError(f"its {what} must be a list of up to 64 integers, not {data.dtype}{list(data.shape)}")
        return tuple(int(v) for v in data.reshape(-1))

    def reshape(self, value: Value, shape: Sequence[int]) -> Value:
        """`value` in another shape (all extents given); quantized constants are reshaped here and now."""
        if tuple(shape) == value.type.shape:
            return value
        moved = self._moved(value, lambda data: data.reshape(shape), lambda t: _reshaped_quant(t, tuple(shape)))
        return moved or self.emit("reshape", value, shape=tuple(shape))

    def transpose(self, value: Value, perm: Sequence[int]) -> Value:
        """`value` with its dimensions permuted; quantized constants are transposed here and now."""
        if tuple(perm) == tuple(range(value.type.rank)):
            return value
        moved = self._moved(value, lambda data: data.transpose(perm), lambda t: _transposed_quant(t, tuple(perm)))
        return moved or self.emit("transpose", value, perm=tuple(perm))

    def _moved(
        self, value: Value, move: Callable[[Array], Array], quant_of: Callable[[TensorType], Quant | None]
    ) -> Value | None:
        """A quantized constant, or the dequantization of one, with its elements moved; None if `value` is neither."""
        source = value if value.is_const else dequantized_constant(value)
        if source is None or source.data is None or source.type.quant is None:
            return None
        quant = quant_of(source.type)
        if quant is None:
            return None
        codes = self.constant(move(source.data), quant)
        return codes if source is value else self.map(In(0), codes)


def _extent_in(expr: Expr) -> Const | None:
    """A literal of `expr` that only a run knows, if there is one."""
    return next((e for e in walk(expr) if isinstance(e, Const) and is_symbolic(e.value)), None)


def _with_input(expr: Expr, literal: Const, number: int) -> Expr:
    """`expr` with input `number` in place of this occurrence of a literal."""
    if expr is literal:
        return In(number)
    if not isinstance(expr, Call):
        return expr
    return call(expr.fn, *(_with_input(a, literal, number) for a in expr.args), dtype=expr.dtype)


def _is_typed(expr: Expr, inputs: Sequence[str]) -> bool:
    """Whether operands of these dtypes go together."""
    try:
        infer_dtype(expr, inputs)
    except ValueError:
        return False
    return True


def _transposed_quant(type: TensorType, perm: tuple[int, ...]) -> Quant | None:
    quant = type.quant
    return (
        quant if quant is None or quant.axis is None else Quant(quant.scale, quant.zero_point, perm.index(quant.axis))
    )


def _reshaped_quant(type: TensorType, shape: tuple[int, ...]) -> Quant | None:
    """The quantization of a `type` reshaped to `shape`, or None if its channels would no longer lie along one axis."""
    quant = type.quant
    if quant is None or quant.axis is None:
        return quant
    before = prod(type.shape[: quant.axis])
    for axis, extent in enumerate(shape):
        if extent == len(quant.scale) and prod(shape[:axis]) == before:
            return Quant(quant.scale, quant.zero_point, axis)
    return None
