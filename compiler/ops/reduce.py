"""`reduce` and ONNX's reductions."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..ir.attributes import bool_attr, ints_attr, str_attr
from ..ir.graph import Array, Node, Value
from ..ir.registry import REQUIRED, OpDef, register
from ..ir.types import TensorType
from . import quantized
from .builder import Builder
from .onnx_node import OnnxNode, onnx_op

_KINDS: Mapping[str, Callable[..., Any]] = {
    "sum": lambda x, **how: np.sum(x, dtype=x.dtype, **how),
    "mean": lambda x, **how: _mean(x, **how),
    "max": np.max,
    "min": np.min,
    "prod": lambda x, **how: np.prod(x, dtype=x.dtype, **how),
    "l1": lambda x, **how: np.sum(np.abs(x), dtype=x.dtype, **how),
    "l2": lambda x, **how: np.sqrt(np.sum(x * x, dtype=x.dtype, **how)).astype(x.dtype),
}


def _mean(x: Array, **how: Any) -> Array:
    """The mean; that of integers is truncated towards zero."""
    if x.dtype.kind == "f":
        return np.asarray(np.mean(x, dtype=x.dtype, **how))
    return np.asarray(np.trunc(np.mean(x, dtype=np.float64, **how)).astype(x.dtype))


def _infer(node: Node) -> tuple[TensorType, ...]:
    x = node.inputs[0].type
    axes, kind = ints_attr(node, "axes", least=0), str_attr(node, "kind", tuple(_KINDS))
    if len(set(axes)) != len(axes) or any(a >= x.rank for a in axes):
        raise ValueError(f"its axes {list(axes)} are not distinct dimensions of {list(x.shape)}")
    if x.dtype == "bool":
        raise ValueError("it does not take bool")
    if kind in ("max", "min", "mean") and any(x.shape[a] == 0 for a in axes):
        raise ValueError(f"the {kind} of no elements (shape {list(x.shape)}) does not exist")
    if bool_attr(node, "keepdims"):
        shape = tuple(1 if i in axes else d for i, d in enumerate(x.shape))
    else:
        shape = tuple(d for i, d in enumerate(x.shape) if i not in axes)
    if x.quant is None:
        return (TensorType(shape, x.dtype),)
    quantized.scalar(x.quant)
    if kind == "mean":
        return (TensorType(shape, "float32"),)
    if kind in ("max", "min"):
        return (x.with_shape(shape),)
    raise ValueError(f"a quantized tensor has no {kind}; mean, max and min are supported")


def _reference(node: Node, inputs: Sequence[Array]) -> tuple[Array, ...]:
    x, axes, kind = inputs[0], ints_attr(node, "axes"), str_attr(node, "kind", tuple(_KINDS))
    keepdims = bool_attr(node, "keepdims")
    x_quant, y_quant = node.inputs[0].type.quant, node.output.type.quant
    if kind != "mean" or x_quant is None or y_quant is None:
        return (np.asarray(_KINDS[kind](x, axis=axes, keepdims=keepdims)),)
    acc = np.sum(x.astype(np.int32) - quantized.scalar(x_quant)[1], axis=axes, keepdims=keepdims, dtype=np.int32)
    count = int(np.prod([x.shape[a] for a in axes], dtype=np.int64))
    multiplier = quantized.mean_multiplier(x_quant, y_quant, count)
    return (quantized.requantize(np.asarray(acc), multiplier, quantized.scalar(y_quant)[1]),)


REDUCE = register(
    OpDef(
        "reduce",
        (1, 1),
        {"kind": REQUIRED, "axes": REQUIRED, "keepdims": True},
        _infer,
        _reference,
        requantizes=True,
        doc=__doc__,
    )
)

_KIND_OF_ONNX = {
    "ReduceSum": "sum", "ReduceMean": "mean", "ReduceMax": "max", "ReduceMin": "min", "ReduceProd": "prod",
    "ReduceL1": "l1", "ReduceL2": "l2",
}  # fmt: skip


@onnx_op(*_KIND_OF_ONNX)
def _reduce(b: Builder, node: OnnxNode) -> Value:
    x, given = node.input(0), node.optional(1)
    axes = node.integers("axes", ()) if given is None else b.ints(given, "axes")
    if not axes:
        if node.integer("noop_with_empty_axes", 0):
            return x
        axes = tuple(range(x.type.rank))
    if any(not -x.type.rank <= a < x.type.rank for a in axes):
        raise ValueError(f"its axes {list(axes)} are outside a tensor of {x.type.rank} dimensions")
    resolved = tuple(sorted(a % x.type.rank for a in axes))
    return b.emit(
        "reduce", x, kind=_KIND_OF_ONNX[node.op_type], axes=resolved, keepdims=bool(node.integer("keepdims", 1))
    )
