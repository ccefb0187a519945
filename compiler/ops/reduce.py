"""`reduce` and ONNX's reductions."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from ..ir import arrays
from ..ir.attributes import bool_attr, ints_attr, str_attr
from ..ir.expr import Expr, In, call, substitute
from ..ir.graph import Array, Node, Value
from ..ir.reduction import KINDS, identity
from ..ir.registry import REQUIRED, OpDef, register
from ..ir.types import FLOATS, TensorType
from . import quantized
from .builder import Builder
from .float_sums import Join, row_sums
from .onnx_node import OnnxNode, normalized_axis, onnx_op

_FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "sum": lambda x, **how: np.sum(x, dtype=x.dtype, **how),
    "mean": lambda x, **how: np.mean(x, dtype=x.dtype, **how),
    "max": lambda x, **how: np.max(x, initial=identity("max", str(x.dtype)), **how),
    "min": lambda x, **how: np.min(x, initial=identity("min", str(x.dtype)), **how),
    "prod": lambda x, **how: np.prod(x, dtype=x.dtype, **how),
    "l1": lambda x, **how: np.sum(np.abs(x), dtype=x.dtype, **how),
    "l2": lambda x, **how: np.sqrt(np.sum(x * x, dtype=x.dtype, **how)).astype(x.dtype),
    "sum_square": lambda x, **how: np.sum(x * x, dtype=x.dtype, **how),
}


def _add_square(total: Array, x: Array) -> Array:
    return arrays.ARRAYS.fma(x, x, total)


_JOINS: Mapping[str, Join] = {
    "sum": np.add,
    "mean": np.add,
    "l1": lambda total, x: total + np.abs(x),
    "l2": _add_square,
    "sum_square": _add_square,
}
"""How an element of a row of floats joins a sum."""


def _infer(node: Node) -> tuple[TensorType, ...]:
    x = node.inputs[0].type
    axes, kind = ints_attr(node, "axes", least=0), str_attr(node, "kind", KINDS)
    if len(set(axes)) != len(axes) or any(a >= x.rank for a in axes):
        raise ValueError(f"its axes {list(axes)} are not distinct dimensions of {list(x.shape)}")
    if x.dtype == "bool":
        raise ValueError("it reduces bool; numbers are supported: cast to int32")
    if kind in ("mean", "l2") and x.quant is None and "float" not in x.dtype:
        raise ValueError(f"it takes the {kind} of floating point or quantized elements, not of {x.dtype}")
    if kind == "mean" and x.quant is not None and any(x.shape[a] == 0 for a in axes):
        raise ValueError(f"the mean of no elements (shape {list(x.shape)}) does not exist")
    shape = _reduced_shape(x.shape, axes, keepdims=bool_attr(node, "keepdims"))
    if x.quant is None:
        return (TensorType(shape, x.dtype),)
    quantized.scalar(x.quant)
    if kind == "mean":
        return (TensorType(shape, "float32"),)
    if kind in ("max", "min"):
        return (x.with_shape(shape),)
    raise ValueError(f"a quantized tensor has no {kind}; mean, max and min are supported")


def _reduced_shape(shape: Sequence[int], axes: Sequence[int], *, keepdims: bool) -> tuple[int, ...]:
    if keepdims:
        return tuple(1 if i in axes else d for i, d in enumerate(shape))
    return tuple(d for i, d in enumerate(shape) if i not in axes)


def _reference(node: Node, inputs: Sequence[Array]) -> tuple[Array, ...]:
    x, axes, kind = inputs[0], ints_attr(node, "axes"), str_attr(node, "kind", KINDS)
    keepdims = bool_attr(node, "keepdims")
    x_quant, y_quant = node.inputs[0].type.quant, node.output.type.quant
    if kind in _JOINS and axes == (x.ndim - 1,) and x.dtype.kind == "f":
        shape = _reduced_shape(x.shape, axes, keepdims=keepdims)
        return (_of_rows(kind, x.reshape(prod(x.shape[:-1]), x.shape[-1])).reshape(shape),)
    if kind != "mean" or x_quant is None or y_quant is None:
        return (np.asarray(_FUNCTIONS[kind](x, axis=axes, keepdims=keepdims)),)
    acc = np.sum(x.astype(np.int32) - quantized.scalar(x_quant)[1], axis=axes, keepdims=keepdims, dtype=np.int32)
    count = int(np.prod([x.shape[a] for a in axes], dtype=np.int64))
    multiplier = quantized.mean_multiplier(x_quant, y_quant, count)
    return (quantized.requantize(np.asarray(acc), multiplier, quantized.scalar(y_quant)[1]),)


def _of_rows(kind: str, x: Array) -> Array:
    """The last dimension of floats: the bits that kernels give."""
    total = row_sums(x, _JOINS[kind])
    if kind == "mean":
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(total / x.dtype.type(x.shape[1]))
    return np.asarray(np.sqrt(total) if kind == "l2" else total)


register(
    OpDef(
        "reduce",
        (1, 1),
        {"kind": REQUIRED, "axes": REQUIRED, "keepdims": True},
        _infer,
        _reference,
        requantizes=True,
    )
)

_KIND_OF_ONNX = {
    "ReduceSum": "sum", "ReduceMean": "mean", "ReduceMax": "max", "ReduceMin": "min", "ReduceProd": "prod",
    "ReduceL1": "l1", "ReduceL2": "l2", "ReduceSumSquare": "sum_square",
}  # fmt: skip


@dataclass(frozen=True)
class _Reducer:
    """Emits reductions of one node over `axes`."""

    b: Builder
    axes: tuple[int, ...]
    keepdims: bool

    def __call__(self, kind: str, x: Value, *, keepdims: bool | None = None) -> Value:
        """`x` reduced. What has no elements to reduce is a constant."""
        keepdims = self.keepdims if keepdims is None else keepdims
        if x.type.size == 0 and x.type.quant is None:
            shape = _reduced_shape(x.type.shape, self.axes, keepdims=keepdims)
            empty = np.nan if kind == "mean" and x.type.dtype in FLOATS else identity(kind, x.type.dtype)
            return self.b.constant(np.full(shape, empty, x.type.dtype))
        return self.b.emit("reduce", x, kind=kind, axes=self.axes, keepdims=keepdims)


@onnx_op(*_KIND_OF_ONNX, "ReduceLogSum", "ReduceLogSumExp")
def _reduce(b: Builder, node: OnnxNode) -> Value:
    x, given = node.input(0), node.optional(1)
    axes = node.integers("axes", ()) if given is None else b.ints(given, "axes")
    if not axes and node.integer("noop_with_empty_axes", 0):
        return _of_single(b, node.op_type, x)
    resolved = [normalized_axis(a, x.type.rank) for a in axes or range(x.type.rank)]
    if len(set(resolved)) != len(resolved):
        raise ValueError(f"its axes {list(axes)} are not distinct")
    reduced = _Reducer(b, tuple(sorted(resolved)), bool(node.integer("keepdims", 1)))
    return _reduction(b, node.op_type, x, reduced)


def _of_single(b: Builder, op_type: str, x: Value) -> Value:
    """The reduction of every element for itself."""
    if op_type in ("ReduceL1", "ReduceL2"):
        return b.map(call("abs", In(0)), x)
    if op_type == "ReduceSumSquare":
        return b.map(call("mul", In(0), In(0)), x)
    return b.map(_in_floats(call("log", In(0)), x.type.dtype), x) if op_type == "ReduceLogSum" else x


def _reduction(b: Builder, op_type: str, x: Value, reduced: _Reducer) -> Value:
    dtype = x.type.dtype
    if dtype == "bool" and op_type in ("ReduceMax", "ReduceMin"):
        codes = reduced(_KIND_OF_ONNX[op_type], b.map(call("cast", In(0), dtype="uint8"), x))
        # no elements: the identities of uint8 are those of bool
        return b.map(call("cast", In(0), dtype="bool"), codes)
    if op_type == "ReduceLogSum":
        return b.map(_in_floats(call("log", In(0)), dtype), reduced("sum", x))
    if op_type == "ReduceLogSumExp":
        return _log_sum_exp(b, x, reduced)
    if dtype in FLOATS or x.type.quant is not None or op_type not in ("ReduceMean", "ReduceL2"):
        return reduced(_KIND_OF_ONNX[op_type], x)
    if op_type == "ReduceL2":
        return b.map(_in_floats(call("sqrt", In(0)), dtype), reduced("sum_square", x))
    count = b.integers(np.array(prod(x.type.shape[a] for a in reduced.axes), object))
    return b.map(call("div", In(0), call("cast", In(1), dtype=dtype)), reduced("sum", x), count)


def _log_sum_exp(b: Builder, x: Value, reduced: _Reducer) -> Value:
    """log(sum(exp(x - m))) + m with m the largest element, or 0 where that is infinite."""
    dtype = x.type.dtype
    if dtype not in FLOATS:
        x = b.map(call("cast", In(0), dtype="float64"), x)
    finite = call("where", call("isinf", In(0)), 0.0, In(0))
    largest = b.map(finite, reduced("max", x, keepdims=True))
    total = reduced("sum", b.map(call("exp", call("sub", In(0), In(1))), x, largest))
    result = b.map(call("add", call("log", In(0)), In(1)), total, b.reshape(largest, total.type.shape))
    return result if dtype in FLOATS else b.map(call("cast", In(0), dtype=dtype), result)


def _in_floats(expr: Expr, dtype: str) -> Expr:
    """`expr` of %0, computed in float64 for integers."""
    if dtype in FLOATS:
        return expr
    return call("cast", substitute(expr, {0: call("cast", In(0), dtype="float64")}), dtype=dtype)
