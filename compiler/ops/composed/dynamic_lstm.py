"""ONNX Runtime's DynamicQuantizeLSTM: an LSTM whose inputs and states are rounded to 8 bits before their products."""

from collections.abc import Sequence
from dataclasses import replace

from ...ir.expr import In, call, clip
from ...ir.graph import Value
from ...ir.types import TensorType
from ..builder import Builder
from ..onnx_node import MICROSOFT, OnnxNode, onnx_op
from .recurrent import KINDS, Direction, emit_recurrent, lstm_cell

_LEVELS = 255.0


@onnx_op("DynamicQuantizeLSTM", domain=MICROSOFT)
def _dynamic_quantize_lstm(b: Builder, node: OnnxNode) -> Sequence[Value]:
    """Products are those of the rounded values in float32, with the weights [D, inputs or H, 4 * H] as real numbers.
    The range of X is that of all time steps; that of a state, of the whole batch."""
    if node.optional(4) is not None:
        raise ValueError("it has sequence lengths, which ranges would depend on; leave them out")
    if node.input(0).type.dtype != "float32":
        raise ValueError("it takes a float32 X")
    x, weights = _rounded(b, node.input(0)), [_real(b, *(node.input(i) for i in places)) for places in _WEIGHTS]
    inner = replace(node, op_type="LSTM", inputs=[x, *weights, *node.inputs[3:8]])
    return emit_recurrent(b, inner, replace(KINDS["LSTM"], cell=_cell))


_WEIGHTS = ((1, 8, 9), (2, 10, 11))
"""Where a node has weights, their scale and their zero point."""


def _cell(b: Builder, d: Direction, x: Value, states: Sequence[Value]) -> list[Value]:
    h, c = states
    return lstm_cell(b, d, x, [_rounded(b, h), c])


def _rounded(b: Builder, x: Value) -> Value:
    """`x` in the nearest of 256 steps that span its values and 0, as DynamicQuantizeLinear takes them."""
    axes = tuple(range(x.type.rank))
    least, largest = (b.emit("reduce", x, kind=kind, axes=axes, keepdims=True) for kind in ("min", "max"))
    low, high = call("min", In(0), 0.0), call("max", In(1), 0.0)
    step = b.map(call("div", call("sub", high, low), _LEVELS), least, largest)
    step = b.map(call("where", call("eq", In(0), 0.0), 1.0, In(0)), step)
    zero = b.map(clip(call("round", call("div", call("neg", low), In(1))), 0.0, _LEVELS), least, step)
    code = clip(call("add", call("round", call("div", In(0), In(1))), In(2)), 0.0, _LEVELS)
    return b.map(call("mul", call("sub", code, In(2)), In(1)), x, step, zero)


def _real(b: Builder, codes: Value, scale: Value, zero: Value) -> Value:
    """`codes` [D, K, N] as float32 [D, N, K]; scales and zero points are of a direction or of its columns."""
    directions, _, columns = codes.type.shape if codes.type.rank == 3 else (0, 0, 0)
    if codes.type.dtype not in ("int8", "uint8") or zero.type != TensorType(scale.type.shape, codes.type.dtype):
        raise ValueError("its weights must be int8 or uint8 of 3 dimensions, and their zero points of that type too")
    if scale.type.shape not in ((directions,), (directions, columns)) or scale.type.dtype != "float32":
        raise ValueError(f"scales {list(scale.type.shape)} do not fit weights of the shape {list(codes.type.shape)}")
    shape = (directions, 1, columns if scale.type.rank == 2 else 1)
    numbers = [call("cast", In(i), dtype="float32") for i in (0, 1)]
    value = call("mul", call("sub", *numbers), In(2))
    return b.transpose(b.map(value, codes, b.reshape(zero, shape), b.reshape(scale, shape)), (0, 2, 1))
