"""Elementary functions as vector code: polynomials in plain operations, so a bundle needs no libm.

float32 results are within about 2 ulp (`pow` too: it is computed in float64). exp, log and pow have float64 forms of
their own; what else is asked of float64 is computed in float32 (`scalar.py`).

LLVM fuses a product that feeds a sum into one rounding where the target can. Polynomials ask for that themselves
(`fused`), so they give the same bits everywhere. The float32 polynomials are those of Cephes, erf that of N. Juffa;
the logarithm of float64 is fdlibm's.
"""

from math import factorial, pi

from .builder import Value, bitcast, cast, const
from .floating import (
    INFINITY,
    at_least,
    at_most,
    element_type,
    floor,
    fused,
    keep,
    like,
    llvm_float,
    magnitude,
    polynomial,
    with_sign,
)
from .tir import tirx

_LOG2E, _LN2_HIGH, _LN2_LOW = 1.44269504088896341, 0.693359375, -2.12194440e-4
_LN2_HIGH64, _LN2_LOW64 = 6.93147180369123816490e-01, 1.90821492927058770002e-10
_LN2 = 0.6931471805599453


def exp(lanes: int, x: Value) -> Value:
    """e^x: x = n ln 2 + r, a polynomial in r, n added to the exponent (in two steps: subnormal results are right)."""
    if element_type(x) == "float64":
        return _exp64(lanes, x)
    x = keep(at_least(lanes, at_most(lanes, x, 89.0), -104.5))
    n = keep(floor(lanes, fused(lanes, x, like(x, _LOG2E, lanes), like(x, 0.5, lanes))))
    r = fused(lanes, n, like(x, -_LN2_HIGH, lanes), x)
    r = keep(fused(lanes, n, like(x, -_LN2_LOW, lanes), r))
    p = polynomial(
        lanes, r, [1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1]
    )
    y = fused(lanes, p, r * r, r) + like(x, 1.0, lanes)
    return _scaled(lanes, y, cast(n, "int32", lanes))


def _scaled(lanes: int, y: Value, n: Value) -> Value:
    """y * 2^n, rounded once, where 2^n itself need not be a number."""
    wide = element_type(y) == "float64"
    kind, bias, mantissa = ("int64", 1023, 52) if wide else ("int32", 127, 23)
    n = keep(n)
    half = keep(n >> const(1, "int32", lanes))
    for part in (half, n - half):
        exponent = cast(part, kind, lanes) if wide else part
        y = y * bitcast((exponent + const(bias, kind, lanes)) << const(mantissa, kind, lanes), element_type(y), lanes)
    return keep(y)


def _exp64(lanes: int, x: Value) -> Value:
    x = keep(at_least(lanes, at_most(lanes, x, 710.0), -746.0))
    n = keep(floor(lanes, fused(lanes, x, like(x, _LOG2E, lanes), like(x, 0.5, lanes))))
    r = fused(lanes, n, like(x, -_LN2_HIGH64, lanes), x)
    r = keep(fused(lanes, n, like(x, -_LN2_LOW64, lanes), r))
    p = polynomial(lanes, r, [1.0 / factorial(k) for k in range(13, 1, -1)])
    y = fused(lanes, p, r * r, r) + like(x, 1.0, lanes)
    return _scaled(lanes, y, cast(n, "int32", lanes))


def log(lanes: int, x: Value) -> Value:
    """ln x; -inf at 0, NaN below."""
    x = keep(x)
    wide = element_type(x) == "float64"
    kind, tiny, shift = ("int64", 2.2250738585072014e-308, 54) if wide else ("int32", 1.1754943508222875e-38, 25)
    mantissa_bits, bias, mask, half = (
        (52, 1022, 2**52 - 1, 0x3FE0000000000000) if wide else (23, 126, 2**23 - 1, 0x3F000000)
    )
    subnormal = x < like(x, tiny, lanes)
    bits = keep(bitcast(tirx.Select(subnormal, x * like(x, 2.0**shift, lanes), x), kind, lanes))
    exponent = cast((bits >> const(mantissa_bits, kind, lanes)) - const(bias, kind, lanes), "int32", lanes)
    mantissa = bitcast((bits & const(mask, kind, lanes)) | const(half, kind, lanes), element_type(x), lanes)
    mantissa = keep(mantissa)
    small = mantissa < like(x, 0.7071067811865476, lanes)
    one, zero = like(x, 1.0, lanes), like(x, 0.0, lanes)
    below = tirx.Select(subnormal, like(x, float(shift), lanes), zero)
    e = keep(cast(exponent, element_type(x), lanes) - tirx.Select(small, one, zero) - below)
    m = keep(mantissa - one + tirx.Select(small, mantissa, zero))
    y = (_log_of64 if wide else _log_of)(lanes, e, m)
    special = tirx.Select(x < zero, like(x, float("nan"), lanes), like(x, -INFINITY, lanes))
    y = tirx.Select(x < like(x, INFINITY, lanes), y, x)  # infinity and NaN are their own logarithms
    return keep(tirx.Select(tirx.Not(x > zero), tirx.Select(tirx.Or(x < zero, tirx.EQ(x, zero)), special, x), y))


def _log_of(lanes: int, e: Value, m: Value) -> Value:
    """e ln 2 + ln(1 + m), sqrt(1/2) <= 1 + m < sqrt(2)."""
    z = keep(m * m)
    p = polynomial(
        lanes,
        m,
        [7.0376836292e-2, -1.1514610310e-1, 1.1676998740e-1, -1.2420140846e-1, 1.4249322787e-1, -1.6668057665e-1,
         2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1],
    )  # fmt: skip
    y = fused(lanes, e, like(m, _LN2_LOW, lanes), m * z * p)
    y = fused(lanes, z, like(m, -0.5, lanes), y)
    return keep(fused(lanes, e, like(m, _LN2_HIGH, lanes), m + y))


def _log_of64(lanes: int, e: Value, m: Value) -> Value:
    s = keep(m / (m + like(m, 2.0, lanes)))
    z = keep(s * s)
    p = polynomial(
        lanes,
        z,
        [1.479819860511658591e-01, 1.531383769920937332e-01, 1.818357216161805012e-01, 2.222219843214978396e-01,
         2.857142874366239149e-01, 3.999999999940941908e-01, 6.666666666666735130e-01],
    )  # fmt: skip
    square = keep(m * m * like(m, 0.5, lanes))
    low = fused(lanes, e, like(m, _LN2_LOW64, lanes), s * (square + z * p))
    return keep(fused(lanes, e, like(m, _LN2_HIGH64, lanes), m - (square - low)))


def power(lanes: int, a: Value, b: Value) -> Value:
    """a^b = e^(b ln |a|), negated where a is negative and b odd; NaN where a is negative and b not an integer."""
    if element_type(a) == "float32":
        wide = power(lanes, keep(cast(a, "float64", lanes)), keep(cast(b, "float64", lanes)))
        return cast(wide, "float32", lanes)
    zero, one = like(a, 0.0, lanes), like(a, 1.0, lanes)
    whole = tirx.EQ(llvm_float("trunc", lanes, b), b)
    half = keep(b * like(b, 0.5, lanes))
    odd = tirx.And(whole, tirx.NE(llvm_float("trunc", lanes, half), half))
    size = keep(magnitude(lanes, a))
    value = exp(lanes, b * log(lanes, size))
    value = keep(tirx.Select(tirx.Or(tirx.EQ(b, zero), tirx.EQ(size, one)), one, value))
    value = keep(tirx.Select(tirx.EQ(a, one), one, value))
    rational = tirx.Select(size < like(a, INFINITY, lanes), like(a, float("nan"), lanes), value)
    even = tirx.Select(tirx.And(a < zero, tirx.Not(whole)), rational, value)
    return tirx.Select(odd, with_sign(lanes, value, a), even)


def tanh(lanes: int, x: Value) -> Value:
    """1 - 2 / (e^2x + 1); odd polynomial near 0, where the difference would cancel."""
    one = like(x, 1.0, lanes)
    far = one - like(x, 2.0, lanes) / (exp(lanes, x + x) + one)
    near = _odd(
        lanes, x, [-5.70498872745e-3, 2.06390887954e-2, -5.37397155531e-2, 1.33314422036e-1, -3.33332819422e-1]
    )
    return tirx.Select(magnitude(lanes, x) < like(x, 0.625, lanes), near, far)


def _odd(lanes: int, x: Value, coefficients: list[float]) -> Value:
    """x + x z P(z), z = x^2."""
    z = keep(x * x)
    return keep(fused(lanes, x * z, polynomial(lanes, z, coefficients), x))


def erf(lanes: int, x: Value) -> Value:
    """Polynomials of N. Juffa's `erff`: x P(x^2) near 0, 1 - e^P(|x|) beyond."""
    a, s = keep(magnitude(lanes, x)), keep(x * x)
    near = polynomial(
        lanes,
        s,
        [-5.96761703e-4, 4.99119423e-3, -2.67681349e-2, 1.12819925e-1, -3.76125336e-1, 1.28379166e-1],
    )
    near = fused(lanes, near, x, x)
    high = fused(lanes, like(x, -1.72853470e-5, lanes), a, like(x, 3.83197126e-4, lanes))
    low = fused(lanes, like(x, -3.88396438e-3, lanes), a, like(x, 2.42546219e-2, lanes))
    r = fused(lanes, high, s, low)
    for c in (-1.06777877e-1, -6.34846687e-1, -1.28717512e-1):
        r = fused(lanes, r, a, like(x, c, lanes))
    far = like(x, 1.0, lanes) - exp(lanes, fused(lanes, at_most(lanes, r, 0.0), a, -a))
    beyond = a > like(x, 4.0, lanes)  # the polynomial grows again
    far = tirx.Select(beyond, like(x, 1.0, lanes), far)
    return keep(tirx.Select(a > like(x, 0.927734375, lanes), with_sign(lanes, far, x), near))


def _reduced(lanes: int, x: Value) -> tuple[Value, Value]:
    """(r, n modulo 4): x = n pi/2 + r with |r| <= pi/4. In float64, so that r is right for |x| < 2^40."""
    wide = keep(cast(x, "float64", lanes))
    n = keep(llvm_float("roundeven", lanes, wide * like(wide, 2.0 / pi, lanes)))
    r = fused(lanes, n, like(wide, -1.5707963267948966, lanes), wide)
    r = fused(lanes, n, like(wide, -6.123233995736766e-17, lanes), r)
    r = at_least(lanes, at_most(lanes, r, 0.8), -0.8)  # whatever x is, the sine stays within [-1, 1]
    quarter = fused(lanes, floor(lanes, n * like(wide, 0.25, lanes)), like(wide, -4.0, lanes), n)
    quarter = at_most(lanes, at_least(lanes, quarter, 0.0), 3.0)
    known = magnitude(lanes, x) < like(x, INFINITY, lanes)
    r = tirx.Select(known, cast(r, "float32", lanes), like(x, float("nan"), lanes))
    return keep(r), keep(cast(quarter, "int32", lanes))


def _sine(lanes: int, r: Value) -> Value:
    """sin r, |r| <= pi/4."""
    return _odd(lanes, r, [-1.9515295891e-4, 8.3321608736e-3, -1.6666654611e-1])


def _cosine(lanes: int, r: Value) -> Value:
    """cos r, |r| <= pi/4."""
    z = keep(r * r)
    p = polynomial(lanes, z, [2.443315711809948e-5, -1.388731625493765e-3, 4.166664568298827e-2])
    return keep(fused(lanes, z * z, p, fused(lanes, z, like(r, -0.5, lanes), like(r, 1.0, lanes))))


def _bit(lanes: int, n: Value, bit: int) -> Value:
    return tirx.NE(n & const(bit, "int32", lanes), const(0, "int32", lanes))


def sin(lanes: int, x: Value) -> Value:
    """The sine."""
    r, n = _reduced(lanes, x)
    y = keep(tirx.Select(_bit(lanes, n, 1), _cosine(lanes, r), _sine(lanes, r)))
    return tirx.Select(_bit(lanes, n, 2), -y, y)


def cos(lanes: int, x: Value) -> Value:
    """The cosine."""
    r, n = _reduced(lanes, x)
    y = keep(tirx.Select(_bit(lanes, n, 1), _sine(lanes, r), _cosine(lanes, r)))
    return tirx.Select(_bit(lanes, n + const(1, "int32", lanes), 2), -y, y)


def tan(lanes: int, x: Value) -> Value:
    """The tangent: sine over cosine, or minus the inverse of that."""
    r, n = _reduced(lanes, x)
    s, c, odd = _sine(lanes, r), _cosine(lanes, r), _bit(lanes, n, 1)
    return tirx.Select(odd, -c, s) / tirx.Select(odd, s, c)


def atan(lanes: int, x: Value) -> Value:
    """The arc tangent: pi/2 - atan(1/x) and pi/4 + atan((x - 1)/(x + 1)) bring the argument below tan(pi/8)."""
    a, one = keep(magnitude(lanes, x)), like(x, 1.0, lanes)
    steep, middle = a > like(x, 2.414213562373095, lanes), a > like(x, 0.4142135623730950, lanes)
    above = tirx.Select(steep, -one, a - one) / tirx.Select(steep, a, a + one)
    r = keep(tirx.Select(middle, above, a))
    base = tirx.Select(steep, like(x, pi / 2, lanes), tirx.Select(middle, like(x, pi / 4, lanes), like(x, 0.0, lanes)))
    y = _odd(lanes, r, [8.05374449538e-2, -1.38776856032e-1, 1.99777106478e-1, -3.33329491539e-1])
    return with_sign(lanes, base + y, x)


def _asin_reduced(lanes: int, x: Value) -> tuple[Value, Value]:
    """(asin of |x| or of sqrt((1 - |x|) / 2), whether it is the latter): |x| > 1 gives NaN."""
    a = keep(magnitude(lanes, x))
    far = a > like(x, 0.5, lanes)
    z = keep(tirx.Select(far, (like(x, 1.0, lanes) - a) * like(x, 0.5, lanes), a * a))
    s = keep(tirx.Select(far, llvm_float("sqrt", lanes, z), a))
    p = polynomial(lanes, z, [4.2163199048e-2, 2.4181311049e-2, 4.5470025998e-2, 7.4953002686e-2, 1.6666752422e-1])
    return keep(fused(lanes, s * z, p, s)), far


def asin(lanes: int, x: Value) -> Value:
    """The arc sine; NaN outside [-1, 1]."""
    y, far = _asin_reduced(lanes, x)
    return with_sign(lanes, tirx.Select(far, like(x, pi / 2, lanes) - (y + y), y), x)


def acos(lanes: int, x: Value) -> Value:
    """The arc cosine; NaN outside [-1, 1]."""
    y, far = _asin_reduced(lanes, x)
    twice = keep(y + y)
    outer = tirx.Select(x < like(x, 0.0, lanes), like(x, pi, lanes) - twice, twice)
    return tirx.Select(far, outer, like(x, pi / 2, lanes) - with_sign(lanes, y, x))


def _half_exp(lanes: int, a: Value) -> Value:
    """e^a / 2, also where e^a is out of range."""
    h = keep(exp(lanes, a * like(a, 0.5, lanes)))
    return keep(h * like(a, 0.5, lanes) * h)


def sinh(lanes: int, x: Value) -> Value:
    """(e^x - e^-x) / 2; odd polynomial near 0."""
    a = keep(magnitude(lanes, x))
    h = _half_exp(lanes, a)
    near = _odd(lanes, x, [2.03721912945e-4, 8.33028376239e-3, 1.66667160211e-1])
    far = with_sign(lanes, h - like(x, 0.25, lanes) / h, x)
    return tirx.Select(a < like(x, 1.0, lanes), near, far)


def cosh(lanes: int, x: Value) -> Value:
    """(e^x + e^-x) / 2."""
    h = _half_exp(lanes, keep(magnitude(lanes, x)))
    return h + like(x, 0.25, lanes) / h


_LARGE = 1e4
"""Beyond it x^2 + 1 is x^2 in float32."""


def asinh(lanes: int, x: Value) -> Value:
    """ln(|x| + sqrt(x^2 + 1)) with the sign of x; odd polynomial near 0."""
    a, one = keep(magnitude(lanes, x)), like(x, 1.0, lanes)
    near = _odd(lanes, x, [2.0122003309e-2, -4.2699340972e-2, 7.4847586088e-2, -1.6666288134e-1])
    large = a > like(x, _LARGE, lanes)
    inner = tirx.Select(large, a, a + llvm_float("sqrt", lanes, fused(lanes, a, a, one)))
    far = log(lanes, inner) + tirx.Select(large, like(x, _LN2, lanes), like(x, 0.0, lanes))
    return tirx.Select(a < like(x, 0.5, lanes), near, with_sign(lanes, far, x))


def acosh(lanes: int, x: Value) -> Value:
    """ln(x + sqrt(x^2 - 1)), NaN below 1; sqrt(x - 1) P(x - 1) near 1."""
    t = keep(x - like(x, 1.0, lanes))
    p = polynomial(
        lanes, t, [1.7596881071e-3, -7.5272886713e-3, 2.6454905019e-2, -1.1784741703e-1, 1.4142135263e0]
    )
    near = p * llvm_float("sqrt", lanes, t)
    large = x > like(x, _LARGE, lanes)
    inner = tirx.Select(large, x, x + llvm_float("sqrt", lanes, t * (x + like(x, 1.0, lanes))))
    far = log(lanes, inner) + tirx.Select(large, like(x, _LN2, lanes), like(x, 0.0, lanes))
    return tirx.Select(t < like(x, 0.5, lanes), near, far)


def atanh(lanes: int, x: Value) -> Value:
    """ln((1 + x) / (1 - x)) / 2; odd polynomial near 0."""
    near = _odd(lanes, x, [1.81740078349e-1, 8.24370301058e-2, 1.46691431730e-1, 1.99782164500e-1, 3.33337300303e-1])
    one = like(x, 1.0, lanes)
    far = log(lanes, (one + x) / (one - x)) * like(x, 0.5, lanes)
    return tirx.Select(magnitude(lanes, x) < like(x, 0.5, lanes), near, far)
