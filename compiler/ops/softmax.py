"""`softmax`, and ONNX's Softmax, LogSoftmax and QLinearSoftmax."""

from collections.abc import Sequence
from math import prod

import numpy as np

from ..ir import arrays, elementary
from ..ir.attributes import bool_attr, int_attr
from ..ir.expr import In, call
from ..ir.graph import Array, Node, Value
from ..ir.integer import SOFTMAX_LIMIT
from ..ir.registry import OpDef, register
from ..ir.types import Quant, TensorType
from . import quantized
from .builder import Builder
from .float_sums import row_sums
from .onnx_node import MICROSOFT, OnnxNode, normalized_axis, onnx_op
from .qdq import quantized_output, quantized_value


def _infer(node: Node) -> tuple[TensorType, ...]:
    x = node.inputs[0].type
    if not 0 <= int_attr(node, "axis") < x.rank:
        raise ValueError(f"its axis {int_attr(node, 'axis')} is outside a tensor of {x.rank} dimensions")
    log = bool_attr(node, "log")
    if x.quant is None:
        if "float" not in x.dtype:
            raise ValueError(f"its input must be floating point or quantized, not {x.dtype}")
        return (x,)
    if log:
        raise ValueError("its input is quantized; log softmax of floating point is supported: dequantize it")
    if x.shape[int_attr(node, "axis")] > SOFTMAX_LIMIT:
        raise ValueError(f"a quantized softmax is over at most {SOFTMAX_LIMIT} elements")
    quantized.scalar(x.quant)
    return (TensorType(x.shape, "float32"),)


def _reference(node: Node, inputs: Sequence[Array]) -> tuple[Array, ...]:
    x, axis = inputs[0], int_attr(node, "axis")
    x_quant, y_quant = node.inputs[0].type.quant, node.output.type.quant
    if x_quant is not None and y_quant is not None:
        return (quantized.softmax(x, axis, x_quant, y_quant),)
    if x.size == 0:
        return (x.copy(),)
    rows = np.moveaxis(x, axis, -1)
    y = _of_rows(rows.reshape(-1, rows.shape[-1]), log=bool_attr(node, "log"))
    return (np.moveaxis(y.reshape(rows.shape), -1, axis),)


def _of_rows(x: Array, *, log: bool) -> Array:
    """The bits that kernels give."""
    shifted = x - x.max(axis=1, keepdims=True)
    e = elementary.decay(arrays.ARRAYS, shifted)
    total = row_sums(e)
    return np.asarray(shifted - arrays.FUNCTIONS["log"][1](total) if log else e * (x.dtype.type(1.0) / total))


register(OpDef("softmax", (1, 1), {"axis": -1, "log": False}, _infer, _reference, requantizes=True))


@onnx_op("Softmax", "LogSoftmax", since=13)
def _softmax(b: Builder, node: OnnxNode) -> Value:
    x, log = node.input(0), node.op_type == "LogSoftmax"
    return _emit_softmax(b, x, normalized_axis(node.integer("axis", -1), x.type.rank), log=log)


def _emit_softmax(b: Builder, x: Value, axis: int, *, log: bool, quant: Quant | None = None) -> Value:
    """`softmax`; that of float64 in its parts."""
    if x.type.dtype != "float64":
        return b.emit("softmax", x, axis=axis, log=log, quant=quant)
    shifted = b.map(call("sub", In(0), In(1)), x, b.emit("reduce", x, kind="max", axes=(axis,), keepdims=True))
    power = b.map(call("exp", In(0)), shifted)
    total = b.emit("reduce", power, kind="sum", axes=(axis,), keepdims=True)
    if log:
        return b.map(call("sub", In(0), call("log", In(1))), shifted, total)
    return b.map(call("div", In(0), In(1)), power, total)


@onnx_op("Softmax", "LogSoftmax")
def _softmax_before_13(b: Builder, node: OnnxNode) -> Value:
    return _of_matrix(b, node, node.input(0), log=node.op_type == "LogSoftmax")


@onnx_op("QLinearSoftmax", domain=MICROSOFT, takes_codes=True)
def _qlinear_softmax(b: Builder, node: OnnxNode) -> Value:
    x, quant = quantized_value(b, node, 0), quantized_output(b, node, 3)
    if node.integer("opset") < 13:
        return _of_matrix(b, node, x, quant)
    return b.emit("softmax", x, axis=normalized_axis(node.integer("axis", -1), x.type.rank), quant=quant)


def _of_matrix(b: Builder, node: OnnxNode, x: Value, quant: Quant | None = None, log: bool = False) -> Value:
    """Before opset 13 the dimensions from `axis` on count as one."""
    shape, axis = x.type.shape, normalized_axis(node.integer("axis", 1), x.type.rank)
    matrix = b.reshape(x, shape if axis == len(shape) - 1 else (prod(shape[:axis]), prod(shape[axis:])))
    return b.reshape(_emit_softmax(b, matrix, matrix.type.rank - 1, log=log, quant=quant), shape)
