"""`cumulative`: running sums and products along an axis; ONNX's CumSum and CumProd."""

from collections.abc import Sequence

import numpy as np

from ..ir.attributes import bool_attr, int_attr, str_attr
from ..ir.graph import Array, Node, Value
from ..ir.registry import REQUIRED, OpDef, register
from ..ir.types import TensorType
from .builder import Builder
from .onnx_node import OnnxNode, normalized_axis, onnx_op

KINDS = ("sum", "prod")


def _infer(node: Node) -> tuple[TensorType, ...]:
    x = node.inputs[0].type
    str_attr(node, "kind", KINDS)
    bool_attr(node, "exclusive")
    bool_attr(node, "reverse")
    if int_attr(node, "axis", least=0) >= x.rank:
        raise ValueError(f"its axis {int_attr(node, 'axis')} is outside a tensor of {x.rank} dimensions")
    if x.quant is not None or x.dtype == "bool":
        raise ValueError("its elements are bool or quantized; numbers are supported: cast or dequantize them")
    return (x,)


def _reference(node: Node, inputs: Sequence[Array]) -> tuple[Array, ...]:
    """One operation an element, in order, each rounded to the dtype. `exclusive`: an element is what comes before it
    (0 or 1 for the first); `reverse`: from the end."""
    x, axis = inputs[0], int_attr(node, "axis")
    is_sum = str_attr(node, "kind", KINDS) == "sum"
    if bool_attr(node, "reverse"):
        x = np.flip(x, axis)
    if bool_attr(node, "exclusive"):
        first = np.full((*x.shape[:axis], 1, *x.shape[axis + 1 :]), 0 if is_sum else 1, x.dtype)
        x = np.concatenate([first, np.take(x, np.arange(x.shape[axis] - 1), axis)], axis)
    y = np.add.accumulate(x, axis, x.dtype) if is_sum else np.multiply.accumulate(x, axis, x.dtype)
    return (np.ascontiguousarray(np.flip(y, axis) if bool_attr(node, "reverse") else y),)


register(
    OpDef(
        "cumulative",
        (1, 1),
        {"kind": REQUIRED, "axis": REQUIRED, "exclusive": False, "reverse": False},
        _infer,
        _reference,
    )
)


@onnx_op("CumSum", "CumProd")
def _cumulative(b: Builder, node: OnnxNode) -> Value:
    x, (axis,) = node.input(0), b.ints(node.input(1), "axis")
    exclusive, reverse = (bool(node.integer(name, 0)) for name in ("exclusive", "reverse"))
    kind = "sum" if node.op_type == "CumSum" else "prod"
    axis = normalized_axis(axis, x.type.rank)
    return b.emit("cumulative", x, kind=kind, axis=axis, exclusive=exclusive, reverse=reverse)
