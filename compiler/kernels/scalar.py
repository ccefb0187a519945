"""Expressions of the IR (`compiler/ir/expr.py`) as vector code.

Transcendental functions are polynomials in plain float32 operations: a bundle needs no libm. They serve float models
(accuracy about 2 ulp); unary functions of int8 models are tables made at compile time.

LLVM fuses a product that feeds a sum into one rounding where the target can. Polynomials ask for that themselves
(`fused`), so they give the same bits everywhere; the products of an `exact` expression are fenced off from it.
"""

from collections.abc import Callable, Sequence

from ..ir.expr import Call, Const, Expr, In
from .builder import Register, Value, bitcast, cast, const, intrinsic
from .tir import tirx

_LOG2E, _LN2_HIGH, _LN2_LOW = 1.44269504088896341, 0.693359375, -2.12194440e-4


def emit(expr: Expr, inputs: Sequence[Value], dtype: str, lanes: int, *, exact: bool = False) -> Value:
    """The value of `expr` for vectors `inputs`, as its tree says: one IEEE operation a node if `exact`.

    The inputs' types decide those of the operations; `dtype` is the type of an expression without inputs.
    ValueError where a function has no code for a type.
    """
    if isinstance(expr, In):
        return inputs[expr.index]
    if isinstance(expr, Const):
        return const(expr.value, dtype, lanes)
    args = _arguments(expr, inputs, dtype, lanes, exact)
    if expr.fn == "cast":
        return _keep(convert(args[0], expr.dtype, lanes))
    value = _FUNCTIONS[expr.fn](lanes, *args)
    if exact and expr.fn == "mul" and element_type(value).startswith("float"):
        value = _llvm_float("arithmetic.fence", lanes, value)
    return value if element_type(value) == "bool" else _keep(value)


def element_type(value: Value) -> str:
    """`float32` for a vector or scalar of float32."""
    return str(value.ty).partition("x")[0]


def convert(value: Value, dtype: str, lanes: int) -> Value:
    """`value` as `dtype`: truncation towards zero, and != 0 for bool."""
    if dtype == "bool" and element_type(value) != "bool":
        return tirx.NE(value, const(0, element_type(value), lanes))
    if element_type(value) == "bool":
        return tirx.Select(value, const(1, dtype, lanes), const(0, dtype, lanes))
    return cast(value, dtype, lanes)


def _arguments(expr: Call, inputs: Sequence[Value], dtype: str, lanes: int, exact: bool) -> list[Value]:
    """The arguments' values; a literal takes the type of the operand it meets."""
    values = [None if isinstance(a, Const) else emit(a, inputs, dtype, lanes, exact=exact) for a in expr.args]
    condition = 1 if expr.fn == "where" else 0  # what the literals of a `where` meet comes after its condition
    met = next((element_type(v) for v in values[condition:] if v is not None), dtype)
    return [
        const(a.value, "bool" if i < condition else met, lanes) if isinstance(a, Const) else value
        for i, (a, value) in enumerate(zip(expr.args, values, strict=True))
    ]


def _keep(value: Value) -> Value:
    """Computed once, however often it is used (a TIR expression is a tree)."""
    dtype, _, lanes = str(value.ty).partition("x")
    return Register(dtype, int(lanes or 1), value).get()


def fused(lanes: int, a: Value, b: Value, c: Value) -> Value:
    """a * b + c with one rounding."""
    return _llvm_float("fma", lanes, a, b, c)


def exp(lanes: int, x: Value) -> Value:
    """e^x after Cephes: x = n ln 2 + r, a degree-6 polynomial in r, n added to the exponent. Saturates to 0 and to
    the largest power below overflow."""
    low, high = const(-87.3365478515625, "float32", lanes), const(88.3762626647950, "float32", lanes)
    x = _keep(tirx.max(tirx.min(x, high), low))
    n = _keep(floor(lanes, fused(lanes, x, const(_LOG2E, "float32", lanes), const(0.5, "float32", lanes))))
    r = fused(lanes, n, const(-_LN2_HIGH, "float32", lanes), x)
    r = _keep(fused(lanes, n, const(-_LN2_LOW, "float32", lanes), r))
    p = polynomial(
        lanes, r, [1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1]
    )
    y = fused(lanes, p, r * r, r) + const(1.0, "float32", lanes)
    power = (cast(n, "int32", lanes) + const(127, "int32", lanes)) << const(23, "int32", lanes)
    return _keep(y * bitcast(power, "float32", lanes))


def log(lanes: int, x: Value) -> Value:
    """ln x after Cephes; -inf at 0 (and for subnormal numbers), NaN below."""
    x = _keep(x)
    bits = _keep(bitcast(tirx.max(x, const(1.17549435e-38, "float32", lanes)), "int32", lanes))
    exponent = (bits >> const(23, "int32", lanes)) - const(126, "int32", lanes)
    mantissa = bitcast((bits & const(0x7FFFFF, "int32", lanes)) | const(0x3F000000, "int32", lanes), "float32", lanes)
    mantissa = _keep(mantissa)
    small = mantissa < const(0.70710678, "float32", lanes)
    one, zero = const(1.0, "float32", lanes), const(0.0, "float32", lanes)
    e = _keep(cast(exponent, "float32", lanes) - tirx.Select(small, one, zero))
    m = _keep(mantissa - one + tirx.Select(small, mantissa, zero))
    z = _keep(m * m)
    p = polynomial(
        lanes,
        m,
        [7.0376836292e-2, -1.1514610310e-1, 1.1676998740e-1, -1.2420140846e-1, 1.4249322787e-1, -1.6668057665e-1,
         2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1],
    )  # fmt: skip
    y = fused(lanes, e, const(_LN2_LOW, "float32", lanes), m * z * p)
    y = fused(lanes, z, const(-0.5, "float32", lanes), y)
    y = _keep(fused(lanes, e, const(_LN2_HIGH, "float32", lanes), m + y))
    special = tirx.Select(x < zero, const(float("nan"), "float32", lanes), const(float("-inf"), "float32", lanes))
    return _keep(tirx.Select(x < const(1.17549435e-38, "float32", lanes), special, y))


def polynomial(lanes: int, x: Value, coefficients: Sequence[float]) -> Value:
    """Horner's scheme, highest power first."""
    y = const(coefficients[0], "float32", lanes)
    for c in coefficients[1:]:
        y = fused(lanes, y, x, const(c, "float32", lanes))
    return y


def floor(lanes: int, x: Value) -> Value:
    """The largest integer not above x."""
    return _llvm_float("floor", lanes, x)


def _llvm_float(name: str, lanes: int, *args: Value) -> Value:
    if element_type(args[0]) != "float32":
        raise ValueError(f"{name} has no code for {element_type(args[0])}; only for float32")
    suffix = "f32" if lanes == 1 else f"v{lanes}f32"
    return intrinsic(f"llvm.{name}.{suffix}", "float32", lanes, *args)


def _tanh(lanes: int, x: Value) -> Value:
    """1 - 2 / (e^2x + 1); odd polynomial near 0, where the difference would cancel."""
    one = const(1.0, "float32", lanes)
    far = one - const(2.0, "float32", lanes) / (exp(lanes, x + x) + one)
    z = _keep(x * x)
    coefficients = [-5.70498872745e-3, 2.06390887954e-2, -5.37397155531e-2, 1.33314422036e-1, -3.33332819422e-1]
    near = fused(lanes, x * z, polynomial(lanes, z, coefficients), x)
    return tirx.Select(_llvm_float("fabs", lanes, x) < const(0.625, "float32", lanes), near, far)


def _erf(lanes: int, x: Value) -> Value:
    """Abramowitz & Stegun 7.1.26: absolute error below 1.5e-7."""
    a = _keep(_llvm_float("fabs", lanes, x))
    one = const(1.0, "float32", lanes)
    t = _keep(one / fused(lanes, const(0.3275911, "float32", lanes), a, one))
    p = t * polynomial(lanes, t, [1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592])
    return _llvm_float("copysign", lanes, fused(lanes, -p, exp(lanes, -(a * a)), one), x)


def _absolute(lanes: int, x: Value) -> Value:
    if element_type(x) == "float32":
        return _llvm_float("fabs", lanes, x)
    return tirx.max(x, const(0, element_type(x), lanes) - x)


def _sign(lanes: int, x: Value) -> Value:
    one, zero = const(1, element_type(x), lanes), const(0, element_type(x), lanes)
    return tirx.Select(x > zero, one, tirx.Select(x < zero, zero - one, zero))


def _divide(lanes: int, a: Value, b: Value) -> Value:
    return a / b if element_type(a) == "float32" else tirx.truncdiv(a, b)


def _modulo(lanes: int, a: Value, b: Value) -> Value:
    """The remainder with the sign of a."""
    if element_type(a) != "float32":
        return tirx.truncmod(a, b)
    return fused(lanes, -_llvm_float("trunc", lanes, a / b), b, a)


def _power(lanes: int, a: Value, b: Value) -> Value:
    """a^b = e^(b ln |a|), negated where a is negative and b odd; NaN where a is negative and b not an integer."""
    zero, one = const(0.0, "float32", lanes), const(1.0, "float32", lanes)
    whole = tirx.EQ(_llvm_float("trunc", lanes, b), b)
    half = _keep(b * const(0.5, "float32", lanes))
    odd = tirx.And(whole, tirx.NE(_llvm_float("trunc", lanes, half), half))
    size = exp(lanes, b * log(lanes, _llvm_float("fabs", lanes, a)))
    size = _keep(tirx.Select(tirx.EQ(b, zero), one, tirx.Select(tirx.And(tirx.EQ(a, zero), b > zero), zero, size)))
    negative = tirx.Select(odd, -size, tirx.Select(whole, size, const(float("nan"), "float32", lanes)))
    return tirx.Select(a < zero, negative, size)


def _where(lanes: int, c: Value, a: Value, b: Value) -> Value:
    return tirx.Select(c, a, b)


_FUNCTIONS: dict[str, Callable[..., Value]] = {
    "add": lambda n, a, b: a + b,
    "sub": lambda n, a, b: a - b,
    "mul": lambda n, a, b: a * b,
    "div": _divide,
    "min": lambda n, a, b: tirx.min(a, b),
    "max": lambda n, a, b: tirx.max(a, b),
    "pow": _power,
    "mod": _modulo,
    "neg": lambda n, a: -a,
    "abs": _absolute,
    "exp": exp,
    "log": log,
    "sqrt": lambda n, a: _llvm_float("sqrt", n, a),
    "tanh": _tanh,
    "erf": _erf,
    "floor": floor,
    "ceil": lambda n, a: _llvm_float("ceil", n, a),
    "round": lambda n, a: _llvm_float("roundeven", n, a),
    "sign": _sign,
    "eq": lambda n, a, b: tirx.EQ(a, b),
    "lt": lambda n, a, b: a < b,
    "le": lambda n, a, b: a <= b,
    "and": lambda n, a, b: tirx.And(a, b),
    "or": lambda n, a, b: tirx.Or(a, b),
    "not": lambda n, a: tirx.Not(a),
    "where": _where,
}

__all__ = ["convert", "element_type", "emit", "exp", "floor", "fused", "log", "polynomial"]
