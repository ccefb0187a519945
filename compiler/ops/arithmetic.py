"""ONNX's elementwise arithmetic, comparisons, logic and casts, imported as `map`."""

from collections.abc import Mapping

from ..ir.expr import Expr, In, call
from ..ir.graph import Value
from .builder import Builder
from .onnx_node import DTYPE_OF_ONNX, OnnxNode, onnx_op

_UNARY = {
    "Abs": "abs", "Neg": "neg", "Exp": "exp", "Log": "log", "Sqrt": "sqrt", "Floor": "floor", "Ceil": "ceil",
    "Round": "round", "Sign": "sign", "Erf": "erf", "Tanh": "tanh", "Not": "not",
}  # fmt: skip

_BINARY: Mapping[str, Expr] = {
    "Add": call("add", In(0), In(1)),
    "Sub": call("sub", In(0), In(1)),
    "Mul": call("mul", In(0), In(1)),
    "Div": call("div", In(0), In(1)),
    "Equal": call("eq", In(0), In(1)),
    "Less": call("lt", In(0), In(1)),
    "LessOrEqual": call("le", In(0), In(1)),
    "Greater": call("lt", In(1), In(0)),
    "GreaterOrEqual": call("le", In(1), In(0)),
    "And": call("and", In(0), In(1)),
    "Or": call("or", In(0), In(1)),
}

_VARIADIC = {"Max": "max", "Min": "min", "Sum": "add", "Mean": "add"}


@onnx_op(*_UNARY)
def _unary(b: Builder, node: OnnxNode) -> Value:
    return b.map(call(_UNARY[node.op_type], In(0)), node.input(0))


@onnx_op("Reciprocal")
def _reciprocal(b: Builder, node: OnnxNode) -> Value:
    return b.map(call("div", 1.0, In(0)), node.input(0))


@onnx_op(*_BINARY, since=7)
def _binary(b: Builder, node: OnnxNode) -> Value:
    return b.map(_BINARY[node.op_type], node.input(0), node.input(1))


@onnx_op(*_VARIADIC)
def _variadic(b: Builder, node: OnnxNode) -> Value:
    result, expr = node.input(0), call(_VARIADIC[node.op_type], In(0), In(1))
    for i in range(1, len(node.inputs)):
        result = b.map(expr, result, node.input(i))
    return b.map(call("div", In(0), float(len(node.inputs))), result) if node.op_type == "Mean" else result


@onnx_op("Pow", since=7)
def _pow(b: Builder, node: OnnxNode) -> Value:
    """x ^ y, of the type of x; squares and square roots are what they are called."""
    x, y = node.input(0), node.input(1)
    if y.data is not None and y.type.size == 1 and y.type.rank <= x.type.rank and "float" in x.type.dtype:
        if y.data.item() == 2:
            return b.map(call("mul", In(0), In(0)), x)
        if y.data.item() == 0.5:
            return b.map(call("sqrt", In(0)), x)
    base: Expr = In(0)
    exponent: Expr = In(1)
    if x.type.dtype == y.type.dtype:
        return b.map(call("pow", base, exponent), x, y)
    common = x.type.dtype if "float" in x.type.dtype else y.type.dtype
    power = call("pow", call("cast", base, dtype=common), call("cast", exponent, dtype=common))
    return b.map(call("cast", power, dtype=x.type.dtype), x, y)


@onnx_op("Where")
def _where(b: Builder, node: OnnxNode) -> Value:
    return b.map(call("where", In(0), In(1), In(2)), node.input(0), node.input(1), node.input(2))


@onnx_op("Cast", "CastLike", since=6)
def _cast(b: Builder, node: OnnxNode) -> Value:
    x = node.input(0)
    dtype = node.input(1).type.dtype if node.op_type == "CastLike" else DTYPE_OF_ONNX.get(node.integer("to"))
    if dtype is None:
        raise ValueError(
            f"it casts to data type {node.integer('to')} of ONNX; "
            f"{', '.join(sorted(set(DTYPE_OF_ONNX.values())))} are supported"
        )
    return x if dtype == x.type.dtype else b.map(call("cast", In(0), dtype=dtype), x)
