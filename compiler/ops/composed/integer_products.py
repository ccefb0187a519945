"""Products of 8-bit integers whose sums are the result: ONNX's MatMulInteger and ConvInteger.

Zero points may be computed. `matmul` and `conv2d` of int8 without quantization give the sums of products of the codes
as they are; what the zero points add is emitted beside them.
"""

import numpy as np

from ...ir.expr import Expr, In, call
from ...ir.graph import Value
from ..builder import Builder
from ..conv import emit_conv
from ..matmul import with_vectors
from ..onnx_node import OnnxNode, onnx_op

_OFFSET = 128
"""uint8 codes and zero points are moved by that, to int8."""


def _int32(x: Expr) -> Expr:
    return call("cast", x, dtype="int32")


def _signed(b: Builder, codes: Value, zero: Value | None) -> tuple[Value, Value | None]:
    """(int8 codes, int32 zero points or None for 0) of an int8 or uint8 operand."""
    if codes.type.dtype not in ("int8", "uint8") or (zero is not None and zero.type.dtype != codes.type.dtype):
        raise ValueError(f"it takes int8 and uint8 with zero points of the same dtype, not {codes.type.dtype}")
    if codes.type.dtype == "int8":
        point = None if zero is None else b.map(_int32(In(0)), zero)
    else:
        codes = b.map(call("cast", call("sub", _int32(In(0)), _OFFSET), dtype="int8"), codes)
        point = b.constant(np.array(0, np.int32)) if zero is None else b.map(_int32(In(0)), zero)
        point = b.map(call("sub", In(0), _OFFSET), point)
    if point is not None and point.data is not None and not point.data.any():
        point = None
    return codes, point


@onnx_op("MatMulInteger")
def _matmul_integer(b: Builder, node: OnnxNode) -> Value:
    x, x_zero = _signed(b, node.input(0), node.optional(2))
    w, w_zero = _signed(b, node.input(1), node.optional(3))
    if x.type.rank == 1 or w.type.rank == 1:
        for zero in (x_zero, w_zero):
            if zero is not None and zero.type.size > 1:
                raise ValueError("it multiplies a vector with zero points per row or column; one is supported")
    return with_vectors(b, x, w, lambda x, w: _sums(b, x, x_zero, w, w_zero))


def _sums(b: Builder, x: Value, x_zero: Value | None, w: Value, w_zero: Value | None) -> Value:
    """sum (x - xz) * (w - wz) = sum x * w - xz * sum w - wz * (sum x - K * xz)."""
    y = b.emit("matmul", x, w)
    depth = x.type.shape[-1]
    if x_zero is not None:  # one, or one a row
        x_zero = _matrix(b, x_zero, x, -2)
        y = b.map(call("sub", In(0), call("mul", In(1), In(2))), y, x_zero, _sum(b, w, -2))
    if w_zero is not None:  # one, or one a column
        w_zero = _matrix(b, w_zero, w, -1)
        rows = _sum(b, x, -1)
        if x_zero is not None:
            rows = b.map(call("sub", In(0), call("mul", In(1), depth)), rows, x_zero)
        y = b.map(call("sub", In(0), call("mul", In(1), In(2))), y, rows, w_zero)
    return y


def _matrix(b: Builder, zero: Value, operand: Value, axis: int) -> Value:
    """Zero points as a tensor that broadcasts against matrices, along their rows (axis -2) or columns (-1)."""
    if zero.type.size == 1:
        return b.reshape(zero, (1, 1))
    if zero.type.rank > 1:  # one a row or column of each matrix
        return zero
    if zero.type.shape != (operand.type.shape[axis],):
        raise ValueError(f"{zero.type.size} zero points do not fit an operand of shape {list(operand.type.shape)}")
    return b.reshape(zero, (zero.type.size, 1) if axis == -2 else (1, zero.type.size))


def _sum(b: Builder, x: Value, axis: int) -> Value:
    """int32 sums along an axis, which stays."""
    return b.emit("reduce", b.map(_int32(In(0)), x), kind="sum", axes=(x.type.rank + axis,), keepdims=True)


@onnx_op("ConvInteger")
def _conv_integer(b: Builder, node: OnnxNode) -> Value:
    """Padding stands for the zero point, so that is subtracted before: the nine bits which this takes are two
    convolutions, of the upper eight and of the last one."""
    x, w = (_parts(b, *_signed(b, node.input(i), node.optional(i + 2))) for i in (0, 1))
    total: Value | None = None
    for x_factor, data in x:
        for w_factor, weights in w:
            y, factor = emit_conv(b, node, data, weights, None), x_factor * w_factor
            scaled = In(1) if factor == 1 else call("mul", In(1), factor)
            if total is None:
                total = y if factor == 1 else b.map(call("mul", In(0), factor), y)
            else:
                total = b.map(call("add", In(0), scaled), total, y)
    assert total is not None
    return total


def _parts(b: Builder, codes: Value, zero: Value | None) -> list[tuple[int, Value]]:
    """(factor, int8) whose sum of products is codes - zero."""
    if zero is None:
        return [(1, codes)]
    if zero.type.size > 1:  # of weights, one an output channel
        zero = b.reshape(zero, (zero.type.size, *[1] * (codes.type.rank - 1)))
    else:
        zero = b.reshape(zero, ())
    steps = call("sub", _int32(In(0)), In(1))
    upper, last = call("shift_right", steps, 1), call("bit_and", steps, 1)
    return [(f, b.map(call("cast", e, dtype="int8"), codes, zero)) for f, e in ((2, upper), (1, last))]
