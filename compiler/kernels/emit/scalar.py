"""Expressions of the IR (`compiler/ir/expr.py`) as vector code.

Unary functions of int8 models are tables made at compile time. LLVM fuses a product that feeds a sum into one rounding
where the target can; operations are fenced off from it, so that every target gives the same bits.
"""

import operator
from collections.abc import Callable, Mapping, Sequence

from ...ir import elementary, half_functions
from ...ir.expr import Call, Const, Expr, In
from ...ir.vectors import Vectors
from . import integer
from .builder import BITS, Value, cast, const, intrinsic
from .floating import (
    bits_of,
    element_type,
    fenced,
    is_infinite,
    is_nan,
    keep,
    like,
    llvm_float,
    magnitude,
)
from .lanes import vectors_of
from .tir import tirx


def emit(expr: Expr, inputs: Sequence[Value], dtype: str, lanes: int, vectors: Vectors | None = None) -> Value:
    """The value of `expr` for vectors `inputs`, as its tree says: one IEEE operation a node. `vectors`: the operations
    of elementary functions, if others than usual.

    The inputs' types decide those of the operations; `dtype` is the type of an expression without inputs.
    ValueError where a function has no code for a type.
    """
    if isinstance(expr, In):
        return inputs[expr.index]
    if isinstance(expr, Const):
        return const(expr.value, dtype, lanes)
    args = _arguments(expr, inputs, dtype, lanes, vectors)
    if expr.fn == "cast":
        return _kept(convert(args[0], expr.dtype, lanes))
    if expr.fn in ("min", "max") and _is_float(args[0]):
        return keep(_extreme(expr, args, lanes))
    functions = half_functions.FUNCTIONS if element_type(args[0]) == "float16" else elementary.FUNCTIONS
    if expr.fn in functions and _is_float(args[0]):
        value = functions[expr.fn](vectors or vectors_of(lanes), *args)
    else:
        value = _FUNCTIONS[expr.fn](lanes, *args)
    if element_type(value) in ("float32", "float64"):
        value = fenced(lanes, value)
    return _kept(value)


def convert(value: Value, dtype: str, lanes: int) -> Value:
    """`value` as `dtype`, as `functions.convert` has it: towards zero, saturating from floats; != 0 for bool."""
    source = element_type(value)
    if dtype == source:
        return value
    if dtype == "bool":
        bits = bits_of(lanes, value) if _is_float(value) and source != "float16" else value
        return tirx.NE(bits, const(0, element_type(bits), lanes))
    if source == "bool":
        return tirx.Select(value, const(1, dtype, lanes), const(0, dtype, lanes))
    if "float" in source and "int" in dtype:
        return _rounded_to_zero(value, dtype, lanes)
    return cast(value, dtype, lanes)


def _rounded_to_zero(value: Value, dtype: str, lanes: int) -> Value:
    """A float as an integer; what is out of range is the nearest integer in it, NaN is 0."""
    signed = not dtype.startswith("u")
    if element_type(value) == "float16":
        value = keep(cast(value, "float32", lanes))
    bits = BITS[dtype]
    if bits < 32:  # its bounds are exact in float32, and the conversion to int32 is one instruction
        low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
        bounded = tirx.Select(value > like(value, low, lanes), value, like(value, low, lanes))
        bounded = keep(tirx.Select(bounded < like(value, high, lanes), bounded, like(value, high, lanes)))
        number = tirx.Select(is_nan(lanes, value), like(value, 0.0, lanes), bounded)
        return cast(cast(number, "int32", lanes), dtype, lanes)
    name = "fptosi" if signed else "fptoui"
    vectors = ("", "") if lanes == 1 else (f"v{lanes}", f"v{lanes}")
    target, source = f"{vectors[0]}i{bits}", f"{vectors[1]}f{BITS[element_type(value)]}"
    return intrinsic(f"llvm.{name}.sat.{target}.{source}", dtype, lanes, value)


def _arguments(expr: Call, inputs: Sequence[Value], dtype: str, lanes: int, vectors: Vectors | None) -> list[Value]:
    """The arguments' values; a literal takes the type of the operand it meets."""
    values = [None if isinstance(a, Const) else emit(a, inputs, dtype, lanes, vectors) for a in expr.args]
    condition = 1 if expr.fn == "where" else 0  # what the literals of a `where` meet comes after its condition
    met = next((element_type(v) for v in values[condition:] if v is not None), dtype)
    return [
        const(a.value, "bool" if i < condition else met, lanes) if isinstance(a, Const) else value
        for i, (a, value) in enumerate(zip(expr.args, values, strict=True))
    ]


def _kept(value: Value) -> Value:
    return value if element_type(value) == "bool" else keep(value)


def _is_float(value: Value) -> bool:
    return element_type(value).startswith("float")


def _extreme(expr: Call, args: Sequence[Value], lanes: int) -> Value:
    """min or max of floats; a NaN stays one. With a literal it is a single comparison."""
    (a, b), literal = args, [isinstance(x, Const) for x in expr.args]
    if not any(literal) or element_type(a) == "float16":  # which need not be exact in the signs of zeros
        return llvm_float({"min": "minimum", "max": "maximum"}[expr.fn], lanes, a, b)
    bound, x = (a, b) if literal[0] else (b, a)
    return tirx.Select(bound < x if expr.fn == "min" else bound > x, bound, x)


def _equal(lanes: int, a: Value, b: Value) -> Value:
    if element_type(a) == "bool":  # which TVM would compare as floats
        return tirx.Or(tirx.And(a, b), tirx.Not(tirx.Or(a, b)))
    return tirx.EQ(a, b)


def _absolute(lanes: int, x: Value) -> Value:
    return magnitude(lanes, x) if _is_float(x) else integer.magnitude(lanes, x)


def _divide(lanes: int, a: Value, b: Value) -> Value:
    return a / b if _is_float(a) else integer.divide(lanes, a, b)


def _modulo(lanes: int, a: Value, b: Value) -> Value:
    """The remainder with the sign of b."""
    r = keep(integer.remainder(lanes, a, b))
    zero = like(r, 0, lanes)
    if element_type(r).startswith("u"):
        return r
    differs = tirx.Or(tirx.And(r < zero, b > zero), tirx.And(r > zero, b < zero))
    return keep(tirx.Select(differs, r + b, r))


def _float(name: str) -> Callable[[int, Value], Value]:
    return lambda lanes, x: llvm_float(name, lanes, x)


_FUNCTIONS: Mapping[str, Callable[..., Value]] = {
    "add": integer.wrapping(operator.add),
    "sub": integer.wrapping(operator.sub),
    "mul": integer.wrapping(operator.mul),
    "div": _divide,
    "min": lambda n, a, b: tirx.min(a, b),
    "max": lambda n, a, b: tirx.max(a, b),
    "pow": integer.power,
    "mod": integer.remainder,
    "floor_mod": _modulo,
    "neg": lambda n, a: -a if _is_float(a) else integer.negative(n, a),
    "abs": _absolute,
    "sqrt": _float("sqrt"),
    "floor": _float("floor"),
    "ceil": _float("ceil"),
    "round": _float("roundeven"),
    "sign": integer.sign,
    "isnan": is_nan,
    "isinf": is_infinite,
    "eq": _equal,
    "lt": lambda n, a, b: a < b,
    "le": lambda n, a, b: a <= b,
    "and": lambda n, a, b: tirx.And(a, b),
    "or": lambda n, a, b: tirx.Or(a, b),
    "not": lambda n, a: tirx.Not(a),
    "bit_and": lambda n, a, b: a & b,
    "bit_or": lambda n, a, b: a | b,
    "bit_xor": lambda n, a, b: a ^ b,
    "bit_not": lambda n, a: ~a,
    "shift_left": integer.shift_left,
    "shift_right": integer.shift_right,
    "where": lambda n, c, a, b: tirx.Select(c, a, b),
}
