"""`extents`: a tensor of integers that the shapes of a run decide, and how the importer computes with such tensors.

ONNX models compute shapes with tensors: Shape, Gather, Concat, Reshape. Where all operands are constants or `extents`,
the result is one again, element by element; what is left is what really computes with numbers that only a run knows.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..ir.attributes import bool_attr, expr_attr, int_attr, ints_attr, str_attr
from ..ir.expr import Const, Expr, In
from ..ir.extent import Undecided, bounds_of, is_symbolic, least, most
from ..ir.graph import Array, Node, Value
from ..ir.registry import REQUIRED, OpDef, register
from ..ir.types import TensorType

INTEGERS = ("int32", "int64")

MAX_ELEMENTS = 64
"""Of a tensor of extents: shapes are short."""

_MOVES = frozenset({"concat", "slice", "reshape", "transpose", "broadcast_to"})


def _infer(node: Node) -> tuple[TensorType, ...]:
    values, shape = ints_attr(node, "values"), ints_attr(node, "shape", least=0)
    if len(values) != int(np.prod(shape, dtype=np.int64)):
        raise ValueError(f"it has {len(values)} values for the shape {list(shape)}")
    return (TensorType(shape, str_attr(node, "dtype", INTEGERS)),)


def _reference(node: Node, inputs: Sequence[Array]) -> tuple[Array, ...]:
    return (np.array(ints_attr(node, "values"), str_attr(node, "dtype", INTEGERS)).reshape(ints_attr(node, "shape")),)


register(OpDef("extents", (0, 0), {"values": REQUIRED, "shape": REQUIRED, "dtype": "int64"}, _infer, _reference))


def integers_of(value: Value) -> Array | None:
    """The elements of a constant of integers, or of `extents`: an array of objects. None for any other value."""
    node = value.producer
    if node is not None and node.op == "extents":
        return _objects(ints_attr(node, "values"), ints_attr(node, "shape"))
    if value.data is not None and value.type.quant is None and value.data.dtype.kind in "iub":
        return value.data.astype(object)
    return None


def folded(node: Node) -> Array | None:
    """What `node` computes of constants and extents, or None if it has other operands, is no integer arithmetic, or
    decides by size."""
    if not any(v.producer is not None and v.producer.op == "extents" for v in node.inputs):
        return None
    if node.output.type.dtype not in (*INTEGERS, "bool") or node.output.type.quant is not None:
        return None
    if any(is_symbolic(d) for d in node.output.type.shape) or node.output.type.size > MAX_ELEMENTS:
        return None
    operands = [integers_of(v) for v in node.inputs]
    known = [x for x in operands if x is not None]
    if len(known) != len(operands):
        return None
    try:
        return _computed(node, known)
    except (Undecided, _NotOfExtents):
        return None


class _NotOfExtents(Exception):
    """What a node computes is no arithmetic that extents have."""


def _computed(node: Node, inputs: Sequence[Array]) -> Array:
    from ..ir.registry import lookup

    if node.op == "gather":
        taken = np.take(inputs[0], inputs[1].astype(np.int64), int_attr(node, "axis"), mode="clip")
        return np.array(taken, object)  # of one element, numpy gives the element
    if node.op in _MOVES:
        return lookup(node.op).reference(node, inputs)[0]
    if node.op == "map":
        return _mapped(expr_attr(node, "expr"), inputs, node.output.type.shape)
    if node.op == "reduce":
        return _reduced(node, inputs[0])
    raise _NotOfExtents


def _reduced(node: Node, x: Array) -> Array:
    kinds: Mapping[str, Callable[[Any, Any], Any]] = {
        "sum": lambda a, b: a + b, "prod": lambda a, b: a * b, "max": most, "min": least,
    }  # fmt: skip
    kind, axes = str_attr(node, "kind", ("sum", "prod", "max", "min", "mean", "l1", "l2")), ints_attr(node, "axes")
    if kind not in kinds:
        raise _NotOfExtents
    for axis in sorted(axes, reverse=True):
        x = np.asarray(np.frompyfunc(kinds[kind], 2, 1).reduce(x, axis=axis), object)
    shape = node.output.type.shape
    assert bool_attr(node, "keepdims") or len(shape) == x.ndim
    return x.reshape(shape)


def _mapped(expr: Expr, inputs: Sequence[Array], shape: tuple[int, ...]) -> Array:
    whole = [np.broadcast_to(x, shape).reshape(-1) for x in inputs]
    elements = [_element(expr, [x[i] for x in whole]) for i in range(int(np.prod(shape, dtype=np.int64)))]
    return _objects(elements, shape)


def _element(expr: Expr, inputs: Sequence[Any]) -> Any:
    if isinstance(expr, In):
        return inputs[expr.index]
    if isinstance(expr, Const):
        if isinstance(expr.value, float):
            raise _NotOfExtents
        return expr.value
    args = [_element(a, inputs) for a in expr.args]
    if expr.fn == "cast":
        if expr.dtype not in (*INTEGERS, "bool"):
            raise _NotOfExtents
        return _differs(args[0], 0) if expr.dtype == "bool" else args[0] * 1
    if expr.fn not in _FUNCTIONS:
        raise _NotOfExtents
    return _FUNCTIONS[expr.fn](*args)


def _differs(a: int, b: int) -> bool:
    """Whether a != b, in every run."""
    low, high = bounds_of(a - b)
    if low <= 0 <= high and low != high:
        raise Undecided(f"whether {a} is {b} changes from run to run")
    return not low == high == 0


def _quotient(a: int, b: int) -> int:
    """Rounded towards zero, as in C; only of numbers that are not negative."""
    if a >= 0 and b > 0:
        return a // b
    raise _NotOfExtents


_FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": _quotient,
    "mod": lambda a, b: a - b * _quotient(a, b),
    "min": least,
    "max": most,
    "neg": lambda a: -a,
    "eq": lambda a, b: not _differs(a, b),
    "lt": lambda a, b: a < b,
    "le": lambda a, b: a <= b,
    "and": lambda a, b: bool(a) and bool(b),
    "or": lambda a, b: bool(a) or bool(b),
    "not": lambda a: not a,
    "where": lambda c, a, b: a if c else b,
}


def _objects(values: Sequence[int], shape: Sequence[int]) -> Array:
    array = np.empty(len(values), object)
    array[:] = values
    return array.reshape(shape)
