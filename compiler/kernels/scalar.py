"""Expressions of the IR (`compiler/ir/expr.py`) as vector code.

Transcendental functions are polynomials in plain float32 operations: a bundle needs no libm. They serve float models
(accuracy about 2 ulp); unary functions of int8 models are tables made at compile time.
"""

from collections.abc import Callable, Sequence

from tvm import tirx

from ..ir.expr import Call, Const, Expr, In
from .builder import Value, bitcast, cast, const, intrinsic, vector

_LOG2E, _LN2_HIGH, _LN2_LOW = 1.44269504088896341, 0.693359375, -2.12194440e-4


def emit(expr: Expr, inputs: Sequence[Value], dtype: str, lanes: int) -> Value:
    """The value of `expr` for vectors `inputs` of `dtype`."""
    if isinstance(expr, In):
        return inputs[expr.index]
    if isinstance(expr, Const):
        return const(expr.value, dtype, lanes)
    args = [emit(a, inputs, dtype, lanes) for a in expr.args]
    return _FUNCTIONS[expr.fn](lanes, *args)


def exp(lanes: int, x: Value) -> Value:
    """e^x after Cephes: x = n ln 2 + r, a degree-6 polynomial in r, n added to the exponent. Saturates to 0 and to
    the largest power below overflow."""
    x = tirx.max(tirx.min(x, const(88.3762626647950, "float32", lanes)), const(-87.3365478515625, "float32", lanes))
    n = floor(lanes, x * const(_LOG2E, "float32", lanes) + const(0.5, "float32", lanes))
    r = x - n * const(_LN2_HIGH, "float32", lanes) - n * const(_LN2_LOW, "float32", lanes)
    p = polynomial(
        lanes, r, [1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1]
    )
    y = p * r * r + r + const(1.0, "float32", lanes)
    power = (cast(n, "int32", lanes) + const(127, "int32", lanes)) << const(23, "int32", lanes)
    return y * bitcast(power, "float32", lanes)


def log(lanes: int, x: Value) -> Value:
    """ln x after Cephes for x > 0; -inf at 0 is approximated by ln of the smallest normal number."""
    x = tirx.max(x, const(1.17549435e-38, "float32", lanes))
    bits = bitcast(x, "int32", lanes)
    exponent = (bits >> const(23, "int32", lanes)) - const(126, "int32", lanes)
    mantissa = bitcast((bits & const(0x7FFFFF, "int32", lanes)) | const(0x3F000000, "int32", lanes), "float32", lanes)
    small = mantissa < const(0.70710678, "float32", lanes)
    one, zero = const(1.0, "float32", lanes), const(0.0, "float32", lanes)
    e = cast(exponent, "float32", lanes) - tirx.Select(small, one, zero)
    m = mantissa - one + tirx.Select(small, mantissa, zero)
    p = polynomial(
        lanes,
        m,
        [7.0376836292e-2, -1.1514610310e-1, 1.1676998740e-1, -1.2420140846e-1, 1.4249322787e-1, -1.6668057665e-1,
         2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1],
    )  # fmt: skip
    z = m * m
    y = m * z * p + e * const(_LN2_LOW, "float32", lanes) - z * const(0.5, "float32", lanes)
    return m + y + e * const(_LN2_HIGH, "float32", lanes)


def polynomial(lanes: int, x: Value, coefficients: Sequence[float]) -> Value:
    """Horner's scheme, highest power first."""
    y = const(coefficients[0], "float32", lanes)
    for c in coefficients[1:]:
        y = y * x + const(c, "float32", lanes)
    return y


def floor(lanes: int, x: Value) -> Value:
    """The largest integer not above x."""
    return _llvm_float("floor", lanes, x)


def _llvm_float(name: str, lanes: int, *args: Value) -> Value:
    suffix = "f32" if lanes == 1 else f"v{lanes}f32"
    return intrinsic(f"llvm.{name}.{suffix}", "float32", lanes, *args)


def _tanh(lanes: int, x: Value) -> Value:
    """1 - 2 / (e^2x + 1); odd polynomial near 0, where the difference would cancel."""
    one = const(1.0, "float32", lanes)
    far = one - const(2.0, "float32", lanes) / (exp(lanes, x + x) + one)
    z = x * x
    near = x + x * z * polynomial(lanes, z, [-5.70498872745e-3, 2.06390887954e-2, -5.37397155531e-2, 1.33314422036e-1, -3.33332819422e-1])
    return tirx.Select(_llvm_float("fabs", lanes, x) < const(0.625, "float32", lanes), near, far)


def _erf(lanes: int, x: Value) -> Value:
    """Abramowitz & Stegun 7.1.26: absolute error below 1.5e-7."""
    a = _llvm_float("fabs", lanes, x)
    one = const(1.0, "float32", lanes)
    t = one / (one + const(0.3275911, "float32", lanes) * a)
    p = t * polynomial(lanes, t, [1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592])
    y = one - p * exp(lanes, -(a * a))
    return _llvm_float("copysign", lanes, y, x)


def _sign(lanes: int, x: Value) -> Value:
    one, zero = const(1.0, "float32", lanes), const(0.0, "float32", lanes)
    return tirx.Select(x > zero, one, tirx.Select(x < zero, -one, zero))


def _power(lanes: int, a: Value, b: Value) -> Value:
    """a^b = e^(b ln a), for a >= 0."""
    return exp(lanes, b * log(lanes, a))


def _where(lanes: int, c: Value, a: Value, b: Value) -> Value:
    return tirx.Select(c, a, b)


_FUNCTIONS: dict[str, Callable[..., Value]] = {
    "add": lambda n, a, b: a + b,
    "sub": lambda n, a, b: a - b,
    "mul": lambda n, a, b: a * b,
    "div": lambda n, a, b: a / b,
    "min": lambda n, a, b: tirx.min(a, b),
    "max": lambda n, a, b: tirx.max(a, b),
    "pow": _power,
    "neg": lambda n, a: -a,
    "abs": lambda n, a: _llvm_float("fabs", n, a),
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

__all__ = ["Call", "emit", "exp", "floor", "log", "polynomial", "vector"]
