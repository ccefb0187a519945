"""ONNX's activation functions, imported as `map`."""

import math
from collections.abc import Callable, Mapping

import numpy as np

from ...ir.expr import Expr, In, call, clip, hard_sigmoid, hard_swish, leaky_relu, relu, sigmoid, substitute
from ...ir.graph import Value
from ..builder import Builder
from ..onnx_node import OnnxNode, onnx_op

X = In(0)


def _softplus() -> Expr:
    """log(1 + exp(x)), written so that exp does not overflow."""
    return call("add", call("max", X, 0.0), call("log", call("add", call("exp", call("neg", call("abs", X))), 1.0)))


def _exponential_below_zero(alpha: float) -> Expr:
    """x where x > 0, else alpha * (exp(x) - 1)."""
    return call("where", call("lt", 0.0, X), X, call("mul", call("sub", call("exp", X), 1.0), alpha))


def _gelu(node: OnnxNode) -> Expr:
    if node.text("approximate", "none") == "tanh":
        inner = call("add", X, call("mul", call("mul", call("mul", X, X), X), 0.044715))
        bell = call("tanh", call("mul", inner, math.sqrt(2 / math.pi)))
    else:
        bell = call("erf", call("div", X, math.sqrt(2)))
    return call("mul", call("mul", X, 0.5), call("add", bell, 1.0))


def _selu(node: OnnxNode) -> Expr:
    alpha, gamma = node.number("alpha", 1.6732631921768188), node.number("gamma", 1.0507010221481323)
    return call("mul", _exponential_below_zero(alpha), gamma)


def _celu(alpha: float) -> Expr:
    """max(x, 0) + min(alpha * (exp(x / alpha) - 1), 0)."""
    below = call("mul", call("sub", call("exp", call("div", X, alpha)), 1.0), alpha)
    return call("add", call("max", X, 0.0), call("min", below, 0.0))


def _shrink(threshold: float, bias: float) -> Expr:
    """x + bias below -threshold, x - bias above threshold, else 0."""
    above = call("where", call("lt", threshold, X), call("sub", X, bias), 0.0)
    return call("where", call("lt", X, -threshold), call("add", X, bias), above)


_FUNCTIONS: Mapping[str, Callable[[OnnxNode], Expr]] = {
    "Relu": lambda node: relu(X),
    "LeakyRelu": lambda node: leaky_relu(X, node.number("alpha", 0.01)),
    "Sigmoid": lambda node: sigmoid(X),
    "HardSigmoid": lambda node: hard_sigmoid(X, node.number("alpha", 0.2), node.number("beta", 0.5)),
    "HardSwish": lambda node: hard_swish(X),
    "Elu": lambda node: _exponential_below_zero(node.number("alpha", 1.0)),
    "Selu": _selu,
    "Celu": lambda node: _celu(node.number("alpha", 1.0)),
    "ThresholdedRelu": lambda node: call("where", call("lt", node.number("alpha", 1.0), X), X, 0.0),
    "Shrink": lambda node: _shrink(node.number("lambd", 0.5), node.number("bias", 0.0)),
    "Softplus": lambda node: _softplus(),
    "Softsign": lambda node: call("div", X, call("add", call("abs", X), 1.0)),
    "Mish": lambda node: call("mul", X, call("tanh", _softplus())),
    "Gelu": _gelu,
    "Swish": lambda node: call("mul", X, sigmoid(call("mul", X, node.number("alpha", 1.0)))),
}


@onnx_op(*_FUNCTIONS)
def _activation(b: Builder, node: OnnxNode) -> Value:
    x = node.input(0)
    expr = _FUNCTIONS[node.op_type](node)
    if "float" in x.type.dtype:
        return b.map(expr, x)
    if node.op_type == "Relu":
        return b.map(call("max", X, 0), x)
    real = substitute(expr, {0: call("cast", X, dtype="float32")})  # Shrink takes integers too
    return b.map(call("cast", real, dtype=x.type.dtype), x)


@onnx_op("SwiGLU")
def _swiglu(b: Builder, node: OnnxNode) -> Value:
    """x * sigmoid(alpha * x) * gate."""
    x, gate = node.input(0), node.input(1)
    if x.type.shape != gate.type.shape:
        raise ValueError(f"its inputs have the shapes {list(x.type.shape)} and {list(gate.type.shape)}, not the same")
    swish = call("mul", X, sigmoid(call("mul", X, node.number("alpha", 1.0))))
    return b.map(call("mul", swish, In(1)), x, gate)


@onnx_op("PRelu", since=7)
def _prelu(b: Builder, node: OnnxNode) -> Value:
    below = call("mul", X, In(1))
    zero = 0.0 if "float" in node.input(0).type.dtype else 0
    return b.map(call("where", call("lt", X, zero), below, X), node.input(0), node.input(1))


@onnx_op("Clip", since=6)
def _clip_6(b: Builder, node: OnnxNode) -> Value:
    return b.map(clip(X, node.number("min", -np.inf), node.number("max", np.inf)), node.input(0))


@onnx_op("Clip", since=11)
def _clip(b: Builder, node: OnnxNode) -> Value:
    operands = [node.input(0)]
    expr: Expr = X
    for fn, index in (("max", 1), ("min", 2)):
        if (bound := node.optional(index)) is not None:
            expr = call(fn, expr, In(len(operands)))
            operands.append(bound)
    return operands[0] if len(operands) == 1 else b.map(expr, *operands)
