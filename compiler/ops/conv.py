"""`conv2d`, and ONNX's Conv and QLinearConv (1-d convolutions have height 1)."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..ir.attributes import int_attr, ints_attr
from ..ir.expr import Expr, In, call, clip, hard_sigmoid, leaky_relu, relu, sigmoid
from ..ir.graph import Array, Node, Value
from ..ir.registry import OpDef, register
from ..ir.types import Quant, TensorType
from . import epilogue
from .builder import Builder
from .channels_last import as_given, channels_second
from .constness import known
from .onnx_node import MICROSOFT, OnnxNode, onnx_op
from .padding import Window, planar, unplanar, window
from .qdq import quantized_bias, quantized_constant, quantized_output, quantized_value
from .spatial import from_nchw, in_layout, nchw_shape, taps, to_nchw, window_extents
from .volumes import conv3d

ATTRS = {"strides": (1, 1), "pads": (0, 0, 0, 0), "dilations": (1, 1), "groups": 1, "layout": "NCHW", **epilogue.ATTRS}


def _infer(node: Node) -> tuple[TensorType, ...]:
    x, w = (v.type for v in node.inputs[:2])
    n, c, height, width = nchw_shape(node, x)
    groups = int_attr(node, "groups", least=1)
    if w.rank != 4 or w.shape[0] % groups or w.shape[1] * groups != c or 0 in w.shape:
        raise ValueError(f"weights {list(w.shape)} in {groups} groups do not fit an input of {c} channels")
    if w.quant is not None and w.quant.axis not in (None, 0):
        raise ValueError("its weights must be quantized per tensor or per output channel (axis 0)")
    oh, ow = window_extents(node, (height, width), w.shape[2:], ints_attr(node, "dilations", 2, least=1))
    y = TensorType(in_layout(node, n, w.shape[0], oh, ow), epilogue.sums_dtype(x))
    epilogue.check(node, channels=w.shape[0])
    epilogue.check_residual(node, y)
    return (y,)


def sums_of_products(node: Node, x: Array, w: Array) -> Array:
    """The bare convolution: x [N, C, H, W], w [O, C/g, kh, kw] of one float dtype -> [N, O, OH, OW].

    A matrix product a kernel element; a depthwise convolution is an elementwise one.
    """
    groups, (outputs, depth, *kernel) = int_attr(node, "groups"), w.shape
    acc: Array | None = None
    for i, j, seen in taps(
        x, kernel, ints_attr(node, "strides"), ints_attr(node, "pads"), ints_attr(node, "dilations")
    ):
        n, _, oh, ow = seen.shape
        columns = seen.reshape(n, groups, depth, oh * ow)
        weights = w[:, :, i, j].reshape(groups, outputs // groups, depth)
        product = weights * columns if depth == 1 else weights @ columns
        acc = product if acc is None else np.add(acc, product, out=acc)
    assert acc is not None
    return acc.reshape(n, outputs, oh, ow)


def _reference(node: Node, inputs: Sequence[Array]) -> tuple[Array, ...]:
    x, w = to_nchw(node, inputs[0]), inputs[1]
    if node.inputs[0].type.dtype != "int8":
        acc = sums_of_products(node, x, w)
    else:
        x, w = epilogue.integer_operands(node, x, w, products=w[0].size)
        acc = epilogue.to_int32(sums_of_products(node, x, w))
    inputs = [v if i != epilogue.RESIDUAL else to_nchw(node, v) for i, v in enumerate(inputs)]
    return (from_nchw(node, epilogue.finish(node, epilogue.biased(acc, inputs, 1), inputs, 1)),)


register(OpDef("conv2d", (2, 4), ATTRS, _infer, _reference, requantizes=True))


def biased(b: Builder, op: str, operands: Sequence[Value], bias: Value | None, **more: Any) -> Value:
    """A convolution with a bias [O], which is added in a node of its own where it is computed."""
    if bias is None or known(bias):
        return b.emit(op, *operands, *([] if bias is None else [bias]), **more)
    y = b.emit(op, *operands, **more)
    return b.map(call("add", In(0), In(1)), y, b.reshape(bias, (bias.type.size, 1, 1)))


def emit_conv(b: Builder, node: OnnxNode, x: Value, w: Value, bias: Value | None, quant: Quant | None = None) -> Value:
    """The convolution of `x` with weights `w` that the attributes of `node` say."""
    require_spatial(x, w)
    if "kernel_shape" in node.attrs and node.integers("kernel_shape") != w.type.shape[2:]:
        raise ValueError(
            f"kernel_shape {list(node.integers('kernel_shape'))} contradicts weights of shape {list(w.type.shape)}"
        )
    where, groups = window(node, x.type.shape[2:], w.type.shape[2:]), node.integer("group", 1)

    def conv(x: Value, w: Value, where: Window) -> Value:
        return biased(
            b, "conv2d", (x, w), bias, quant=quant,
            strides=where.strides, pads=where.pads, dilations=where.dilations, groups=groups,
        )  # fmt: skip

    if x.type.rank == 5:
        require_groups(x.type.shape[1], w.type.shape[1] * groups, groups)
        return conv3d(b, x, w, where, groups, conv)
    return unplanar(b, conv(planar(b, x), planar(b, w), where.planar()), x.type.rank)


def require_spatial(x: Value, w: Value) -> None:
    """ValueError unless data and weights have one to three spatial dimensions."""
    if not 3 <= x.type.rank <= 5 or w.type.rank != x.type.rank:
        raise ValueError(
            f"data {list(x.type.shape)} and weights {list(w.type.shape)}; 1-d, 2-d and 3-d convolutions are supported"
        )


def require_groups(channels: int, expected: int, groups: int) -> None:
    """ValueError unless `groups` groups of an input of `channels` are the `expected` ones."""
    if groups < 1 or channels != expected or channels % groups:
        raise ValueError(f"its weights in {groups} groups do not fit an input of {channels} channels")


@onnx_op("Conv")
def _conv(b: Builder, node: OnnxNode) -> Value:
    return emit_conv(b, node, node.input(0), node.input(1), node.optional(2))


@onnx_op("FusedConv", domain=MICROSOFT)
def _fused_conv(b: Builder, node: OnnxNode) -> Value:
    """activation(convolution + Z)."""
    y, z = emit_conv(b, node, node.input(0), node.input(1), node.optional(2)), node.optional(3)
    if z is not None:
        y = b.map(call("add", In(0), In(1)), y, z)
    return b.map(_activation(node), y)


_ACTIVATIONS = ("", "Relu", "Sigmoid", "Tanh", "LeakyRelu", "Clip", "HardSigmoid")


def _activation(node: OnnxNode) -> Expr:
    name, given = node.text("activation", ""), node.attrs.get("activation_params")
    p = [float(v) for v in given if isinstance(v, float)] if isinstance(given, Sequence) else []
    wanted = {"LeakyRelu": 1, "Clip": 2, "HardSigmoid": 2}.get(name, 0)
    if name not in _ACTIVATIONS or len(p) < wanted:
        known = ", ".join(n for n in _ACTIVATIONS if n)
        raise ValueError(f"its activation {name!r} with the parameters {p} is unknown; {known} are supported")
    activations: Mapping[str, Callable[[], Expr]] = {
        "": lambda: In(0), "Relu": lambda: relu(In(0)), "Sigmoid": lambda: sigmoid(In(0)),
        "Tanh": lambda: call("tanh", In(0)), "LeakyRelu": lambda: leaky_relu(In(0), p[0]),
        "Clip": lambda: clip(In(0), p[0], p[1]), "HardSigmoid": lambda: hard_sigmoid(In(0), p[0], p[1]),
    }  # fmt: skip
    return activations[name]()


@onnx_op("QLinearConv", takes_codes=True)
@onnx_op("QLinearConv", domain=MICROSOFT, takes_codes=True)
def _qlinear_conv(b: Builder, node: OnnxNode) -> Value:
    x = channels_second(b, node, quantized_value(b, node, 0))
    w = quantized_constant(b, node, 3, axis=0)
    bias = None if node.optional(8) is None else quantized_bias(b, node.input(8), x, w)
    return as_given(b, node, emit_conv(b, node, x, w, bias, quantized_output(b, node, 6)))
