"""ONNX's normalizations: `normalize` where the last dimensions are normalized, else reductions and maps."""

from collections.abc import Sequence
from math import prod

import numpy as np

from ...ir.expr import Expr, In, call
from ...ir.graph import Value
from ..broadcast import emit_broadcast
from ..builder import Builder
from ..constness import known
from ..onnx_node import OnnxNode, normalized_axis, onnx_op

_CENTERED = call("sub", In(0), In(1))
_SQUARE = call("mul", In(0), In(0))


def _shifted(x: Value, count: int) -> tuple[int, ...]:
    """The shape that makes a vector of `count` elements broadcast along the channels of `x`."""
    return (1, count, *[1] * (x.type.rank - 2))


@onnx_op("BatchNormalization", since=7)
def _batch_normalization(b: Builder, node: OnnxNode) -> Value | Sequence[Value]:
    """x * (scale / sqrt(var + epsilon)) + (bias - mean * scale / sqrt(var + epsilon)); in training mode with the
    mean and the variance of x, and the running ones as further outputs."""
    if not node.integer("spatial", 1):
        raise ValueError("spatial is 0; only 1 is supported")
    x, *parameters = (node.input(i) for i in range(5))
    if x.type.rank < 2 or any(p.type.shape != (x.type.shape[1],) for p in parameters):
        raise ValueError(f"its parameters do not have one element a channel of its input {list(x.type.shape)}")
    scale, bias, mean, var = parameters
    if node.opset < 14 and any(node.has_output(i) for i in range(1, 5)):
        raise ValueError("it is in training mode; export the model for inference")
    if not node.integer("training_mode", 0):
        return _normalized_channels(b, node, x, (scale, bias, mean, var))
    axes = tuple(a for a in range(x.type.rank) if a != 1)
    found = b.emit("reduce", x, kind="mean", axes=axes, keepdims=True)
    spread = b.map(_SQUARE, b.map(_CENTERED, x, found))
    variance = b.emit("reduce", spread, kind="mean", axes=axes, keepdims=False)
    found = b.reshape(found, mean.type.shape)
    momentum = node.number("momentum", 0.9)
    running = call("add", call("mul", In(0), momentum), call("mul", In(1), 1.0 - momentum))
    y = _normalized_channels(b, node, x, (scale, bias, found, variance))
    return y, b.map(running, mean, found), b.map(running, var, variance)


def _normalized_channels(b: Builder, node: OnnxNode, x: Value, parameters: Sequence[Value]) -> Value:
    """`parameters`: scale, bias, mean and variance of the channels. Constants are folded in float64."""
    count, dtype = x.type.shape[1], x.type.dtype
    epsilon = node.number("epsilon", 1e-5)
    if all(map(known, parameters)):
        scale, bias, mean, var = (b.array(p, "parameters").astype(np.float64) for p in parameters)
        with np.errstate(all="ignore"):
            factor = scale / np.sqrt(var + epsilon)
            offset = bias - mean * factor
        operands = [b.constant(p.astype(dtype).reshape(_shifted(x, count))) for p in (factor, offset)]
    else:
        cast: Expr = call("cast", In(0), dtype=dtype)
        same = [p if p.type.dtype == dtype else b.map(cast, p) for p in parameters]
        rate = b.map(call("div", In(0), call("sqrt", call("add", In(1), epsilon))), same[0], same[3])
        shift = b.map(call("sub", In(0), call("mul", In(1), In(2))), same[1], same[2], rate)
        operands = [b.reshape(p, _shifted(x, count)) for p in (rate, shift)]
    return b.map(call("add", call("mul", In(0), In(1)), In(2)), x, *operands)


@onnx_op("LayerNormalization", since=17)
def _layer_normalization(b: Builder, node: OnnxNode) -> Sequence[Value]:
    """Outputs: the result, and if they are used the mean and 1 / sqrt(variance + epsilon)."""
    x, axis = node.input(0), normalized_axis(node.integer("axis", -1), node.input(0).type.rank)
    outputs = [emit_normalize(b, x, axis, node.number("epsilon", 1e-5), node.optional(1), node.optional(2))]
    if node.has_output(1) or node.has_output(2):
        axes = tuple(range(axis, x.type.rank))
        mean = b.emit("reduce", x, kind="mean", axes=axes, keepdims=True)
        squares = b.map(_SQUARE, b.map(_CENTERED, x, mean))
        variance = b.emit("reduce", squares, kind="mean", axes=axes, keepdims=True)
        deviation = call("sqrt", call("add", In(0), node.number("epsilon", 1e-5)))
        outputs += [mean, b.map(call("div", 1.0, deviation), variance)]
    return outputs


@onnx_op("RMSNormalization", since=23)
def _rms_normalization(b: Builder, node: OnnxNode) -> Value:
    x = node.input(0)
    axis = normalized_axis(node.integer("axis", -1), x.type.rank)
    return emit_normalize(b, x, axis, node.number("epsilon", 1e-5), node.optional(1), None, rms=True)


def emit_normalize(
    b: Builder, x: Value, axis: int, epsilon: float, scale: Value | None, bias: Value | None, *, rms: bool = False
) -> Value:
    """`normalize` of the dimensions from `axis` on; scale and bias broadcast to the shape of `x`."""
    trailing = x.type.shape[axis:]
    fused: list[Value] = []
    rest: list[tuple[str, Value]] = []
    for fn, operand in (("mul", scale), ("add", bias)):
        if operand is not None and operand.type.dtype != x.type.dtype and x.type.quant is None:
            operand = b.map(call("cast", In(0), dtype=x.type.dtype), operand)
        if operand is None:
            continue
        whole = prod(operand.type.shape) == prod(trailing) and operand.type.shape[-len(trailing) :] == trailing
        if whole and len(fused) == (fn == "add") and not rest:
            fused.append(b.reshape(operand, trailing))
        else:
            rest.append((fn, operand))
    y = b.emit("normalize", x, *fused, axis=axis, epsilon=epsilon, rms=rms)
    for fn, operand in rest:
        y = b.map(call(fn, In(0), In(1)), y, operand)
    return y


@onnx_op("InstanceNormalization", since=6)
def _instance_normalization(b: Builder, node: OnnxNode) -> Value:
    """Over the planes of each channel. Reductions and maps work in any layout, so convolutions keep theirs."""
    x = node.input(0)
    y = _standardized(b, x, tuple(range(2, x.type.rank)), node.number("epsilon", 1e-5))
    return _scaled_channels(b, y, node.input(1), node.input(2))


def _standardized(b: Builder, x: Value, axes: tuple[int, ...], epsilon: float) -> Value:
    """(x - mean) / sqrt(variance + epsilon) over `axes`."""
    centered = b.map(_CENTERED, x, b.emit("reduce", x, kind="mean", axes=axes, keepdims=True))
    variance = b.emit("reduce", b.map(_SQUARE, centered), kind="mean", axes=axes, keepdims=True)
    return b.map(call("div", In(0), call("sqrt", call("add", In(1), epsilon))), centered, variance)


def _scaled_channels(b: Builder, x: Value, scale: Value, bias: Value) -> Value:
    shape = _shifted(x, x.type.shape[1])
    if any(v.type.shape != shape[1:2] for v in (scale, bias)):
        raise ValueError(f"its scale and bias do not have one element a channel of its input {list(x.type.shape)}")
    return b.map(call("add", call("mul", In(0), In(1)), In(2)), x, b.reshape(scale, shape), b.reshape(bias, shape))


@onnx_op("GroupNormalization", since=18)
def _group_normalization(b: Builder, node: OnnxNode) -> Value:
    """Over the channels of a group and their planes. Scale and bias are those of groups before opset 21, then of
    channels."""
    x, groups = node.input(0), node.integer("num_groups")
    n, channels, *plane = x.type.shape
    if groups < 1 or channels % groups:
        raise ValueError(f"{channels} channels do not make {groups} groups")
    grouped = b.reshape(x, (n, groups, channels // groups, *plane))
    y = _standardized(b, grouped, tuple(range(2, grouped.type.rank)), node.number("epsilon", 1e-5))
    if node.opset < 21:
        return b.reshape(_scaled_channels(b, y, node.input(1), node.input(2)), x.type.shape)
    return _scaled_channels(b, b.reshape(y, x.type.shape), node.input(1), node.input(2))


@onnx_op("MeanVarianceNormalization", since=9)
def _mean_variance_normalization(b: Builder, node: OnnxNode) -> Value:
    """(x - mean) / (sqrt(variance) + 1e-9)."""
    x = node.input(0)
    axes = tuple(sorted({normalized_axis(a, x.type.rank) for a in node.integers("axes", (0, 2, 3))}))
    centered = b.map(_CENTERED, x, b.emit("reduce", x, kind="mean", axes=axes, keepdims=True))
    variance = b.emit("reduce", b.map(_SQUARE, centered), kind="mean", axes=axes, keepdims=True)
    return b.map(call("div", In(0), call("add", call("sqrt", In(1)), 1e-9)), centered, variance)


@onnx_op("LpNormalization")
def _lp_normalization(b: Builder, node: OnnxNode) -> Value:
    """x / (sum |x|^p)^(1/p), 0 where that is 0."""
    p = node.integer("p", 2)
    if p not in (1, 2):
        raise ValueError(f"attribute 'p' is {p}; 1 and 2 are accepted")
    axis = normalized_axis(node.integer("axis", -1), node.input(0).type.rank)
    return _divided(b, node.input(0), b.emit("reduce", node.input(0), kind=f"l{p}", axes=(axis,), keepdims=True))


def _divided(b: Builder, x: Value, norm: Value) -> Value:
    """x / norm, 0 where the norm is 0."""
    return b.map(call("where", call("eq", In(1), 0.0), 0.0, call("div", In(0), In(1))), x, norm)


@onnx_op("Normalizer", domain="ai.onnx.ml")
def _normalizer(b: Builder, node: OnnxNode) -> Value:
    """Rows of a matrix divided by their largest element, the sum of magnitudes or the length."""
    x, norm = node.input(0), node.text("norm", "MAX")
    kinds = {"MAX": "max", "L1": "l1", "L2": "l2"}
    if norm not in kinds:
        raise ValueError(f"attribute 'norm' is {norm!r}; MAX, L1 and L2 are accepted")
    if x.type.dtype != "float32":
        x = b.map(call("cast", In(0), dtype="float32"), x)
    return _divided(b, x, b.emit("reduce", x, kind=kinds[norm], axes=(x.type.rank - 1,), keepdims=True))


@onnx_op("Dropout", takes_codes=True)
def _dropout(b: Builder, node: OnnxNode) -> Sequence[Value]:
    """Nothing is dropped in inference, nor by a ratio of 0; the mask says so."""
    x, ratio, training = node.input(0), node.optional(1), node.optional(2)
    dropping = training is not None and b.array(training, "training mode").any()
    if dropping and (ratio is None or b.array(ratio, "ratio").any()):
        raise ValueError("it drops elements at random (training mode); export the model for inference")
    return x, emit_broadcast(b, b.constant(np.array(True)), x.type.shape)
