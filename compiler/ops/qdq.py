"""Quantized tensors of ONNX: QuantizeLinear, DequantizeLinear, and how the QLinear ops state their quantization.

Inside, 8-bit codes are int8: a uint8 tensor is carried with codes and zero point moved by 128. `QuantizeLinear` and
`DequantizeLinear` are identity maps with a quantized type on one side.
"""

import numpy as np

from ..ir.expr import Call, In, call, leaky_relu, sigmoid
from ..ir.graph import Array, Value
from ..ir.types import Quant, TensorType
from .broadcast import emit_broadcast
from .builder import Builder
from .onnx_node import DTYPE_OF_ONNX, MICROSOFT, OnnxNode, normalized_axis, onnx_op
from .region_builder import RegionBuilder

_UINT8_OFFSET = 128


def quant_of(b: Builder, scale: Value, zero: Value | None, dtype: str, rank: int, axis: int) -> Quant:
    """The quantization that constants `scale` and `zero` state for codes of `dtype` carried as int8.

    A scale of one element is per tensor, else there is one per index of `axis`.
    """
    scales = b.array(scale, "scale").astype(np.float32).reshape(-1)
    if scale.type.rank > 1 and scale.type.size > 1:
        raise ValueError(
            f"its scale has the shape {list(scale.type.shape)}; per tensor and per channel (a vector) are supported"
        )
    zeros = (
        np.zeros(scales.size, np.int64) if zero is None else b.array(zero, "zero point").astype(np.int64).reshape(-1)
    )
    if zeros.size == 1:
        zeros = np.repeat(zeros, scales.size)
    if zeros.size != scales.size:
        raise ValueError(f"it has {scales.size} scales but {zeros.size} zero points")
    if dtype == "uint8":
        zeros = zeros - _UINT8_OFFSET
    if scales.size > 1 and not -rank <= axis < rank:
        raise ValueError(f"axis {axis} is outside a tensor of {rank} dimensions")
    per_channel = axis % rank if scales.size > 1 else None
    return Quant(tuple(float(s) for s in scales), tuple(int(z) for z in zeros), per_channel)


def carried(codes: Array) -> Array:
    """Codes as they are carried inside: uint8 as int8, moved by 128."""
    return (codes ^ 0x80).view(np.int8) if codes.dtype == np.uint8 else codes


def attach(b: Builder, value: Value, quant: Quant) -> Value:
    """`value`, known to hold codes, with the quantization `quant` (in terms of carried codes).

    An input of the graph takes the quantization into its type; a uint8 one is then converted by a map. What is computed
    as plain integers is converted by way of the numbers that the codes stand for.
    """
    if value.type.quant == quant:
        return value
    if value.data is not None and value.type.quant is None:
        return b.constant(carried(value.data), quant)
    if value.producer is None and value.type.quant is None and not _is_read(b, value):
        value.type = TensorType(value.type.shape, value.type.dtype, interface_quant(quant, value.type.dtype))
    if value.producer is None and value.type.quant == interface_quant(quant, value.type.dtype):
        return value if value.type.dtype != "uint8" else b.map(In(0), value, quant=quant)
    if value.type.quant is None and value.type.dtype in ("int8", "uint8") and quant.axis is None:
        own = interface_quant(quant, value.type.dtype)
        steps = call("sub", call("cast", In(0), dtype="int32"), own.zero_point[0])
        return b.map(call("mul", call("cast", steps, dtype="float32"), own.scale[0]), value, quant=quant)
    raise ValueError(
        f"{value.name!r} is read as codes of the quantization {quant}, but was made with {value.type.quant}"
    )


def _is_read(b: Builder, value: Value) -> bool:
    """Whether something relies on the type that the graph's input `value` has."""
    return isinstance(b, RegionBuilder) or any(value in node.inputs for node in b.nodes)


def interface_quant(quant: Quant, dtype: str) -> Quant:
    """The quantization of a graph input or output of `dtype` that is carried with `quant` inside."""
    offset = _UINT8_OFFSET if dtype == "uint8" else 0
    return Quant(quant.scale, tuple(z + offset for z in quant.zero_point), quant.axis)


def quantized_value(b: Builder, node: OnnxNode, index: int) -> Value:
    """Input `index` of a QLinear op, whose scale and zero point follow it: int8, per tensor."""
    x = node.input(index)
    codes = _codes_dtype(node, index, index + 2)
    return attach(b, x, quant_of(b, node.input(index + 1), node.optional(index + 2), codes, max(x.type.rank, 1), 0))


def quantized_constant(b: Builder, node: OnnxNode, index: int, axis: int) -> Value:
    """Like `quantized_value` for weights: constant, possibly per channel along `axis`."""
    w = node.input(index)
    b.array(w, "weights")
    dtype = w.type.dtype
    return attach(b, w, quant_of(b, node.input(index + 1), node.optional(index + 2), dtype, w.type.rank, axis))


def quantized_output(b: Builder, node: OnnxNode, index: int) -> Quant:
    """The quantization of a QLinear op's output: scale and zero point are inputs `index` and the next."""
    zero = node.optional(index + 1)
    dtype = "uint8" if zero is None else zero.type.dtype
    return quant_of(b, node.input(index), zero, dtype, 1, 0)


def quantized_bias(b: Builder, bias: Value, x: Value, w: Value) -> Value:
    """An int32 bias as a constant with the quantization of the accumulator: scale sx * sw, zero point 0."""
    data = b.array(bias, "bias")
    if data.dtype != np.int32:
        raise ValueError(f"its bias must be int32, not {data.dtype}")
    assert x.type.quant is not None and w.type.quant is not None
    scales = np.float32(x.type.quant.scale[0]) * np.array(w.type.quant.scale, np.float32)
    axis = 0 if scales.size > 1 else None
    return b.constant(data, Quant(tuple(float(s) for s in scales), (0,) * scales.size, axis))


def _codes_dtype(node: OnnxNode, index: int, zero: int) -> str:
    """The dtype of the codes in the model; that of the zero point tells, or else what they are carried with."""
    x, point = node.input(index), node.optional(zero)
    if point is not None:
        return point.type.dtype
    moved = x.type.quant is not None and x.type.dtype == "int8" and set(x.type.quant.zero_point) == {-_UINT8_OFFSET}
    return "uint8" if moved else x.type.dtype


@onnx_op("QuantizeLinear", since=10)
@onnx_op("QuantizeLinear", domain=MICROSOFT)
def _quantize_linear(b: Builder, node: OnnxNode) -> Value:
    """A map with a quantized type where that says it all, else arithmetic on plain integers."""
    x, scale, zero = node.input(0), node.input(1), node.optional(2)
    output = DTYPE_OF_ONNX.get(node.integer("output_dtype", 0))
    dtype = zero.type.dtype if zero is not None else output or "uint8"
    if dtype not in _CODES:
        raise ValueError(f"it quantizes to {dtype}; {', '.join(_CODES)} are supported")
    real = x if x.type.dtype == "float32" else b.map(call("cast", In(0), dtype="float32"), x)
    if dtype in ("int8", "uint8") and _is_known(scale, zero) and (scale.type.size == 1 or x.is_const):
        quant = quant_of(b, scale, zero, dtype, max(x.type.rank, 1), node.integer("axis", 1))
        return b.map(In(0), real, quant=quant)
    steps, offset = _operands(b, node, real, "float32")
    codes = call("add", call("round", call("div", In(0), In(1))), In(2))
    return b.map(call("cast", codes, dtype=dtype), real, steps, offset)


_CODES = ("int8", "uint8", "int16", "uint16", "int32")
"""Element types of codes."""


def _is_known(scale: Value, zero: Value | None) -> bool:
    """Whether a type can say the quantization: constants, one scale or a vector of them."""
    return scale.is_const and (zero is None or zero.is_const) and (scale.type.rank < 2 or scale.type.size == 1)


def _operands(b: Builder, node: OnnxNode, x: Value, dtype: str) -> tuple[Value, Value]:
    """Scale (float32) and zero point (`dtype`) as tensors that broadcast against `x`: one element, one an index of
    `axis`, or one a block of it."""
    operands = []
    for i, kind in ((1, "float32"), (2, dtype)):
        value = node.optional(i)
        if value is None:
            operands.append(b.constant(np.zeros((), kind)))
            continue
        spread = _spread(b, node, x, value)
        operands.append(spread if spread.type.dtype == kind else b.map(call("cast", In(0), dtype=kind), spread))
    return operands[0], operands[1]


def _spread(b: Builder, node: OnnxNode, x: Value, value: Value) -> Value:
    shape, rank = value.type.shape, x.type.rank
    if value.type.size == 1:
        return b.reshape(value, ())
    axis = normalized_axis(node.integer("axis", 1), rank)
    if len(shape) == 1:
        if shape[0] != x.type.shape[axis]:
            raise ValueError(f"it has {shape[0]} scales for the {x.type.shape[axis]} indices of axis {axis}")
        return b.reshape(value, tuple(d if i == axis else 1 for i, d in enumerate(x.type.shape)))
    block, extent = node.integer("block_size", 0), x.type.shape[axis]
    expected = tuple(-(-d // block) if i == axis and block > 0 else d for i, d in enumerate(x.type.shape))
    if block < 1 or shape != expected:
        raise ValueError(f"its scale has the shape {list(shape)}; with blocks of {block} it must be {list(expected)}")
    single = (*shape[: axis + 1], 1, *shape[axis + 1 :])
    blocks = emit_broadcast(b, b.reshape(value, single), (*shape[: axis + 1], block, *shape[axis + 1 :]))
    whole = b.reshape(blocks, tuple(d * block if i == axis else d for i, d in enumerate(shape)))
    if whole.type.shape[axis] == extent:
        return whole
    cut = TensorType(x.type.shape, whole.type.dtype)
    return b.emit("slice", whole, type=cut, starts=(0,) * rank, steps=(1,) * rank)


@onnx_op("DequantizeLinear", since=10, takes_codes=True)
@onnx_op("DequantizeLinear", domain=MICROSOFT, takes_codes=True)
def _dequantize_linear(b: Builder, node: OnnxNode) -> Value:
    x, scale, zero = node.input(0), node.input(1), node.optional(2)
    dtype = _codes_dtype(node, 0, 2)
    if x.type.dtype not in _CODES:
        raise ValueError(f"it dequantizes {x.type.dtype}; {', '.join(_CODES)} are supported")
    if not _is_known(scale, zero) or (x.type.quant is None and _computes(b, x, scale)):
        if x.type.quant is not None:
            raise ValueError(
                "it reads codes of a known quantization with a scale that is computed at run time; "
                "the scale must be a constant"
            )
        return _explicit(b, node, x)
    quant = quant_of(b, scale, zero, dtype, max(x.type.rank, 1), node.integer("axis", 1))
    return b.map(In(0), attach(b, x, quant))


def _computes(b: Builder, x: Value, scale: Value) -> bool:
    """Whether `x` is made or used as plain integers, or is of a kind of codes that no kernel but arithmetic knows."""
    if x.is_const:
        return False
    return x.producer is not None or _is_read(b, x) or scale.type.size > 1 or x.type.dtype not in ("int8", "uint8")


def _explicit(b: Builder, node: OnnxNode, x: Value) -> Value:
    """float32(x - z) * s: no type says that the integers are codes, so it is done in arithmetic."""
    scale, zero = _operands(b, node, x, "int32")
    steps: Call = call("sub", call("cast", In(0), dtype="int32"), In(1))
    return b.map(call("mul", call("cast", steps, dtype="float32"), In(2)), x, zero, scale)


def _binary(fn: str) -> None:
    """Register com.microsoft's QLinear form of a binary elementwise op."""

    @onnx_op(f"QLinear{fn.capitalize()}", domain=MICROSOFT, takes_codes=True)
    def _rule(b: Builder, node: OnnxNode) -> Value:
        return b.map(
            call(fn, In(0), In(1)),
            quantized_value(b, node, 0),
            quantized_value(b, node, 3),
            quant=quantized_output(b, node, 6),
        )


_binary("add")
_binary("mul")


@onnx_op("QLinearSigmoid", "QLinearLeakyRelu", domain=MICROSOFT, takes_codes=True)
def _qlinear_unary(b: Builder, node: OnnxNode) -> Value:
    expr = sigmoid(In(0)) if node.op_type == "QLinearSigmoid" else leaky_relu(In(0), node.number("alpha", 0.01))
    return b.map(expr, quantized_value(b, node, 0), quant=quantized_output(b, node, 3))
