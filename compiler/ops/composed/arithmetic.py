"""ONNX's elementwise arithmetic, comparisons, logic and casts, imported as `map`."""

from collections.abc import Mapping

from ...ir.expr import Expr, In, call
from ...ir.graph import Value
from ..builder import Builder
from ..onnx_node import FLOAT16, OnnxNode, dtype_of, onnx_op

_UNARY = {
    "Abs": "abs", "Neg": "neg", "Exp": "exp", "Log": "log", "Sqrt": "sqrt", "Floor": "floor", "Ceil": "ceil",
    "Round": "round", "Sign": "sign", "Erf": "erf", "Tanh": "tanh", "Not": "not", "IsNaN": "isnan",
    "BitwiseNot": "bit_not",
    "Sin": "sin", "Cos": "cos", "Tan": "tan", "Asin": "asin", "Acos": "acos", "Atan": "atan", "Sinh": "sinh",
    "Cosh": "cosh", "Asinh": "asinh", "Acosh": "acosh", "Atanh": "atanh",
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
    "Xor": call("not", call("eq", In(0), In(1))),
    "BitwiseAnd": call("bit_and", In(0), In(1)),
    "BitwiseOr": call("bit_or", In(0), In(1)),
    "BitwiseXor": call("bit_xor", In(0), In(1)),
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


@onnx_op("Mod")
def _mod(b: Builder, node: OnnxNode) -> Value:
    """fmod: the remainder has the sign of the dividend; else that of the divisor."""
    fn = "mod" if node.integer("fmod", 0) else "floor_mod"
    return b.map(call(fn, In(0), In(1)), node.input(0), node.input(1))


@onnx_op("BitShift")
def _bit_shift(b: Builder, node: OnnxNode) -> Value:
    direction = node.text("direction")
    if direction not in ("LEFT", "RIGHT"):
        raise ValueError(f"attribute 'direction' is {direction!r}; LEFT and RIGHT are accepted")
    return b.map(call(f"shift_{direction.lower()}", In(0), In(1)), node.input(0), node.input(1))


@onnx_op("IsInf")
def _is_inf(b: Builder, node: OnnxNode) -> Value:
    found: Expr = call("isinf", In(0))
    if not node.integer("detect_negative", 1):
        found = call("and", found, call("lt", 0.0, In(0)))
    if not node.integer("detect_positive", 1):
        found = call("and", found, call("lt", In(0), 0.0))
    return b.map(found, node.input(0))


_POWERS: Mapping[float, Expr] = {
    1: In(0),
    2: call("mul", In(0), In(0)),
    3: call("mul", call("mul", In(0), In(0)), In(0)),
}
_FLOAT_POWERS: Mapping[float, Expr] = {
    0.5: call("sqrt", In(0)),
    -0.5: call("div", 1.0, call("sqrt", In(0))),
    -1: call("div", 1.0, In(0)),
}


@onnx_op("Pow", since=7)
def _pow(b: Builder, node: OnnxNode) -> Value:
    """x ^ y, of the type of x; squares, square roots and the like are what they are called."""
    x, y = node.input(0), node.input(1)
    if y.data is not None and y.type.size == 1 and y.type.rank <= x.type.rank:
        known = {**_POWERS, **_FLOAT_POWERS} if "float" in x.type.dtype else _POWERS
        if (expr := known.get(y.data.item())) is not None:
            return b.map(expr, x)
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
    """float16 is computed in float32, so a cast to it loses nothing yet; what casts the result on rounds it first, to
    the nearest float16 (half to even, infinite beyond 65504)."""
    x = node.input(0)
    if node.op_type == "Cast" and node.integer("to") == FLOAT16:
        single = b.map(call("cast", In(0), dtype="float32"), x)
        b.unrounded.add(single)
        return single
    dtype = node.input(1).type.dtype if node.op_type == "CastLike" else dtype_of(node.integer("to"), "it casts to")
    if x in b.unrounded:
        half = call("cast", In(0), dtype="float16")
        return b.map(call("cast", half, dtype=dtype), x)
    return x if dtype == x.type.dtype else b.map(call("cast", In(0), dtype=dtype), x)
