"""Elementary functions in plain operations: what kernels compute, so that a bundle needs no libm.

They are written once, over `Vectors`: kernels emit them as code, the numpy reference of maps over quantized operands
computes them, and the two agree to the bit. float32 results are within about 2 ulp (`power` too: it is computed in
float64). exp, log and power have float64 forms of their own; what else is asked of float64 is computed in float32.

Products that feed a sum are fused with it where that is written (`fma`), and nowhere else. The float32 polynomials are
those of Cephes, that of erf near 0 is N. Juffa's; the logarithm of float64 is fdlibm's.
"""

from collections.abc import Callable, Mapping
from math import factorial, inf, pi

from .vectors import Value, Vectors

_LOG2E, _LN2_HIGH, _LN2_LOW = 1.44269504088896341, 0.693359375, -2.12194440e-4
_LN2_HIGH64, _LN2_LOW64 = 6.93147180369123816490e-01, 1.90821492927058770002e-10
_LN2 = 0.6931471805599453


def exp(v: Vectors, x: Value) -> Value:
    """e^x: x = n ln 2 + r, a polynomial in r, n added to the exponent (in two steps: subnormal results are right)."""
    if v.dtype(x) == "float64":
        return _exp64(v, x)
    x = v.keep(v.at_least(v.at_most(x, 89.0), -104.5))
    n = v.keep(v.floor(v.fma(x, v.like(x, _LOG2E), v.like(x, 0.5))))
    r = v.fma(n, v.like(x, -_LN2_HIGH), x)
    r = v.keep(v.fma(n, v.like(x, -_LN2_LOW), r))
    p = v.polynomial(
        r, [1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1]
    )
    y = v.fma(p, r * r, r) + v.like(x, 1.0)
    return _scaled(v, y, v.cast(n, "int32"))


def _scaled(v: Vectors, y: Value, n: Value) -> Value:
    """y * 2^n, rounded once, where 2^n itself need not be a number."""
    wide = v.dtype(y) == "float64"
    kind, bias, mantissa = ("int64", 1023, 52) if wide else ("int32", 127, 23)
    n = v.keep(n)
    half = v.keep(n >> v.const(1, "int32"))
    for part in (half, n - half):
        exponent = v.cast(part, kind) if wide else part
        y = y * v.bitcast((exponent + v.const(bias, kind)) << v.const(mantissa, kind), v.dtype(y))
    return v.keep(y)


def decay(v: Vectors, x: Value) -> Value:
    """e^x of float32 x <= 0, 0 below -87.7: as `exp`, but 2^n is a number, or 0 for n = -127. The last bits of a sum
    with 1.5 * 2^23 + 127 are n + 127. The error is less than 1.2e-7 of the result above x = -20,
    and 3.1e-7 of all."""
    x = v.keep(v.at_least(x, -88.0))
    shifted = v.keep(v.fma(x, v.like(x, _LOG2E), v.addend(x, 1.5 * 2**23 + 127)))
    n = v.keep(shifted - v.like(x, 1.5 * 2**23 + 127))
    r = v.keep(v.fma(n, v.like(x, -_LN2), x))
    p = v.paired_polynomial(
        r, [5.0000001201e-1, 1.6666665459e-1, 4.1665795894e-2, 8.3334519073e-3, 1.3981999507e-3, 1.9875691500e-4]
    )
    y = v.fma(p, r * r, r) + v.like(x, 1.0)
    return v.keep(y * v.bitcast(v.bitcast(shifted, "int32") << v.const(23, "int32"), "float32"))


def _exp64(v: Vectors, x: Value) -> Value:
    x = v.keep(v.at_least(v.at_most(x, 710.0), -746.0))
    n = v.keep(v.floor(v.fma(x, v.like(x, _LOG2E), v.like(x, 0.5))))
    r = v.fma(n, v.like(x, -_LN2_HIGH64), x)
    r = v.keep(v.fma(n, v.like(x, -_LN2_LOW64), r))
    p = v.polynomial(r, [1.0 / factorial(k) for k in range(13, 1, -1)])
    y = v.fma(p, r * r, r) + v.like(x, 1.0)
    return _scaled(v, y, v.cast(n, "int32"))


def log(v: Vectors, x: Value) -> Value:
    """ln x; -inf at 0, NaN below."""
    x = v.keep(x)
    wide = v.dtype(x) == "float64"
    kind, tiny, shift = ("int64", 2.2250738585072014e-308, 54) if wide else ("int32", 1.1754943508222875e-38, 25)
    mantissa_bits, bias, mask, half = (
        (52, 1022, 2**52 - 1, 0x3FE0000000000000) if wide else (23, 126, 2**23 - 1, 0x3F000000)
    )
    subnormal = x < v.like(x, tiny)
    bits = v.keep(v.bitcast(v.where(subnormal, x * v.like(x, 2.0**shift), x), kind))
    exponent = v.cast((bits >> v.const(mantissa_bits, kind)) - v.const(bias, kind), "int32")
    mantissa = v.bitcast((bits & v.const(mask, kind)) | v.const(half, kind), v.dtype(x))
    mantissa = v.keep(mantissa)
    small = mantissa < v.like(x, 0.7071067811865476)
    one, zero = v.like(x, 1.0), v.like(x, 0.0)
    below = v.where(subnormal, v.like(x, float(shift)), zero)
    e = v.keep(v.cast(exponent, v.dtype(x)) - v.where(small, one, zero) - below)
    m = v.keep(mantissa - one + v.where(small, mantissa, zero))
    y = (_log_of64 if wide else _log_of)(v, e, m)
    special = v.where(x < zero, v.like(x, float("nan")), v.like(x, -inf))
    y = v.where(x < v.like(x, inf), y, x)  # infinity and NaN are their own logarithms
    return v.keep(v.where(v.negated(x > zero), v.where(v.either(x < zero, v.equal(x, zero)), special, x), y))


def _log_of(v: Vectors, e: Value, m: Value) -> Value:
    """e ln 2 + ln(1 + m), sqrt(1/2) <= 1 + m < sqrt(2)."""
    z = v.keep(m * m)
    p = v.polynomial(m,
        [7.0376836292e-2, -1.1514610310e-1, 1.1676998740e-1, -1.2420140846e-1, 1.4249322787e-1, -1.6668057665e-1,
         2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1],
    )  # fmt: skip
    y = v.fma(e, v.like(m, _LN2_LOW), m * z * p)
    y = v.fma(z, v.like(m, -0.5), y)
    return v.keep(v.fma(e, v.like(m, _LN2_HIGH), m + y))


def _log_of64(v: Vectors, e: Value, m: Value) -> Value:
    s = v.keep(m / (m + v.like(m, 2.0)))
    z = v.keep(s * s)
    p = v.polynomial(z,
        [1.479819860511658591e-01, 1.531383769920937332e-01, 1.818357216161805012e-01, 2.222219843214978396e-01,
         2.857142874366239149e-01, 3.999999999940941908e-01, 6.666666666666735130e-01],
    )  # fmt: skip
    square = v.keep(m * m * v.like(m, 0.5))
    low = v.fma(e, v.like(m, _LN2_LOW64), s * v.fma(z, p, square))
    return v.keep(v.fma(e, v.like(m, _LN2_HIGH64), m - (square - low)))


def power(v: Vectors, a: Value, b: Value) -> Value:
    """a^b = e^(b ln |a|), negated where a is negative and b odd; NaN where a is negative and b not an integer."""
    if v.dtype(a) == "float32":
        wide = power(v, v.keep(v.cast(a, "float64")), v.keep(v.cast(b, "float64")))
        return v.cast(wide, "float32")
    zero, one = v.like(a, 0.0), v.like(a, 1.0)
    whole = v.equal(v.trunc(b), b)
    half = v.keep(b * v.like(b, 0.5))
    odd = v.both(whole, v.different(v.trunc(half), half))
    size = v.keep(v.magnitude(a))
    value = exp(v, b * log(v, size))
    value = v.keep(v.where(v.either(v.equal(b, zero), v.equal(size, one)), one, value))
    value = v.keep(v.where(v.equal(a, one), one, value))
    rational = v.where(size < v.like(a, inf), v.like(a, float("nan")), value)
    even = v.where(v.both(a < zero, v.negated(whole)), rational, value)
    return v.where(odd, v.with_sign(value, a), even)


def tanh(v: Vectors, x: Value) -> Value:
    """1 - 2 / (e^2x + 1); odd polynomial near 0, where the difference would cancel."""
    one = v.like(x, 1.0)
    far = one - v.like(x, 2.0) / (exp(v, x + x) + one)
    near = _odd(v, x, [-5.70498872745e-3, 2.06390887954e-2, -5.37397155531e-2, 1.33314422036e-1, -3.33332819422e-1])
    return v.where(v.magnitude(x) < v.like(x, 0.625), near, far)


def _odd(v: Vectors, x: Value, coefficients: list[float]) -> Value:
    """x + x z P(z), z = x^2."""
    z = v.keep(x * x)
    return v.keep(v.fma(x * z, v.polynomial(z, coefficients), x))


def erf(v: Vectors, x: Value) -> Value:
    """x P(x^2) near 0 (of N. Juffa's `erff`); beyond 1 - P(|x|)^4: the fourth root of what is missing to 1 is smooth
    enough for few terms, fitted to [0.927734375, 3.9], behind which it is 1."""
    a, s = v.keep(v.magnitude(x)), v.keep(x * x)
    near = v.paired_polynomial(
        s, [1.28379166e-1, -3.76125336e-1, 1.12819925e-1, -2.67681349e-2, 4.99119423e-3, -5.96761703e-4]
    )
    near = v.fma(near, x, x)
    t = v.keep(v.at_most(a - v.like(x, 1.3), 2.6))
    root = v.keep(v.paired_polynomial(
        t,
        [5.068423496e-1, -3.997777530e-1, 4.671901710e-2, 4.210877867e-2, -1.016690362e-2, -3.077260379e-3,
         1.277352117e-3, -1.903991757e-5, -2.870392327e-5],
    ))  # fmt: skip
    square = v.keep(root * root)
    far = v.fma(-square, square, v.like(x, 1.0))
    return v.keep(v.where(a > v.like(x, 0.927734375), v.with_sign(far, x), near))


def gelu(v: Vectors, x: Value) -> Value:
    """x * P(X <= x) of a normal X = max(x, 0) - |x| P(X <= -|x|). The eighth root of that P is smooth enough for few
    terms, fitted to [0, 8], behind which it stays (then results below 0 are -3e-12). The error is less than 4e-7 |x|
    and 2.5e-7, or a unit in the last place of large results."""
    t = v.keep(v.at_most(v.magnitude(x), 8.0))
    root = v.keep(v.paired_polynomial(
        t,
        [9.170040488e-1, -9.145797789e-2, -3.192562237e-2, -6.768289022e-4, 1.509445370e-3, 3.133622158e-5,
         -5.929510007e-5, 7.316677511e-6, -2.847602047e-7],
    ))  # fmt: skip
    square = v.keep(root * root)
    fourth = v.keep(square * square)
    share = v.keep(v.rounded(fourth * fourth))
    bits, zero = v.bitcast(x, "int32"), v.const(0, "int32")  # max(x, 0) as integers is one instruction, and never -0
    return v.keep(v.fma(-share, t, v.bitcast(v.where(bits > zero, bits, zero), "float32")))


def sigmoid(v: Vectors, x: Value) -> Value:
    """1 / (1 + e^-x): e^-x = 2^n e^-s with s = x + n ln 2, where x is within +-87, so that 2^n is a number; the last
    bits of a sum with 1.5 * 2^23 + 127 are n + 127. The error is less than 5e-7 of the result, and 1e-7 above x = 0."""
    x = v.keep(v.at_least(v.at_most(x, 87.0), -87.0))
    shifted = v.keep(v.fma(x, v.like(x, -_LOG2E), v.like(x, 1.5 * 2**23 + 127)))
    n = shifted - v.like(x, 1.5 * 2**23 + 127)
    s = v.keep(v.fma(n, v.like(x, _LN2), x))
    p = v.paired_polynomial(
        s, [5.0000001201e-1, -1.6666665459e-1, 4.1665795894e-2, -8.3334519073e-3, 1.3981999507e-3, -1.9875691500e-4]
    )
    y = v.fma(p, s * s, v.like(x, 1.0) - s)
    power = v.bitcast(v.bitcast(shifted, "int32") << v.const(23, "int32"), "float32")
    return v.keep(v.like(x, 1.0) / v.fma(y, power, v.like(x, 1.0)))


def _reduced(v: Vectors, x: Value) -> tuple[Value, Value]:
    """(r, n modulo 4): x = n pi/2 + r with |r| <= pi/4. In float64, so that r is right for |x| < 2^40."""
    wide = v.keep(v.cast(x, "float64"))
    n = v.keep(v.roundeven(wide * v.like(wide, 2.0 / pi)))
    r = v.fma(n, v.like(wide, -1.5707963267948966), wide)
    r = v.fma(n, v.like(wide, -6.123233995736766e-17), r)
    r = v.at_least(v.at_most(r, 0.8), -0.8)  # whatever x is, the sine stays within [-1, 1]
    quarter = v.fma(v.floor(n * v.like(wide, 0.25)), v.like(wide, -4.0), n)
    quarter = v.at_most(v.at_least(quarter, 0.0), 3.0)
    known = v.magnitude(x) < v.like(x, inf)
    r = v.where(known, v.cast(r, "float32"), v.like(x, float("nan")))
    return v.keep(r), v.keep(v.cast(quarter, "int32"))


def _sine(v: Vectors, r: Value) -> Value:
    """sin r, |r| <= pi/4."""
    return _odd(v, r, [-1.9515295891e-4, 8.3321608736e-3, -1.6666654611e-1])


def _cosine(v: Vectors, r: Value) -> Value:
    """cos r, |r| <= pi/4."""
    z = v.keep(r * r)
    p = v.polynomial(z, [2.443315711809948e-5, -1.388731625493765e-3, 4.166664568298827e-2])
    return v.keep(v.fma(z * z, p, v.fma(z, v.like(r, -0.5), v.like(r, 1.0))))


def _bit(v: Vectors, n: Value, bit: int) -> Value:
    return v.different(n & v.const(bit, "int32"), v.const(0, "int32"))


def sin(v: Vectors, x: Value) -> Value:
    """The sine."""
    r, n = _reduced(v, x)
    y = v.keep(v.where(_bit(v, n, 1), _cosine(v, r), _sine(v, r)))
    return v.where(_bit(v, n, 2), -y, y)


def cos(v: Vectors, x: Value) -> Value:
    """The cosine."""
    r, n = _reduced(v, x)
    y = v.keep(v.where(_bit(v, n, 1), _sine(v, r), _cosine(v, r)))
    return v.where(_bit(v, n + v.const(1, "int32"), 2), -y, y)


def tan(v: Vectors, x: Value) -> Value:
    """The tangent: sine over cosine, or minus the inverse of that."""
    r, n = _reduced(v, x)
    s, c, odd = _sine(v, r), _cosine(v, r), _bit(v, n, 1)
    return v.where(odd, -c, s) / v.where(odd, s, c)


def atan(v: Vectors, x: Value) -> Value:
    """The arc tangent: pi/2 - atan(1/x) and pi/4 + atan((x - 1)/(x + 1)) bring the argument below tan(pi/8)."""
    a, one = v.keep(v.magnitude(x)), v.like(x, 1.0)
    steep, middle = a > v.like(x, 2.414213562373095), a > v.like(x, 0.4142135623730950)
    above = v.where(steep, -one, a - one) / v.where(steep, a, a + one)
    r = v.keep(v.where(middle, above, a))
    base = v.where(steep, v.like(x, pi / 2), v.where(middle, v.like(x, pi / 4), v.like(x, 0.0)))
    y = _odd(v, r, [8.05374449538e-2, -1.38776856032e-1, 1.99777106478e-1, -3.33329491539e-1])
    return v.with_sign(base + y, x)


def _asin_reduced(v: Vectors, x: Value) -> tuple[Value, Value]:
    """(asin of |x| or of sqrt((1 - |x|) / 2), whether it is the latter): |x| > 1 gives NaN."""
    a = v.keep(v.magnitude(x))
    far = a > v.like(x, 0.5)
    z = v.keep(v.where(far, (v.like(x, 1.0) - a) * v.like(x, 0.5), a * a))
    s = v.keep(v.where(far, v.sqrt(z), a))
    p = v.polynomial(z, [4.2163199048e-2, 2.4181311049e-2, 4.5470025998e-2, 7.4953002686e-2, 1.6666752422e-1])
    return v.keep(v.fma(s * z, p, s)), far


def asin(v: Vectors, x: Value) -> Value:
    """The arc sine; NaN outside [-1, 1]."""
    y, far = _asin_reduced(v, x)
    return v.with_sign(v.where(far, v.like(x, pi / 2) - (y + y), y), x)


def acos(v: Vectors, x: Value) -> Value:
    """The arc cosine; NaN outside [-1, 1]."""
    y, far = _asin_reduced(v, x)
    twice = v.keep(y + y)
    outer = v.where(x < v.like(x, 0.0), v.like(x, pi) - twice, twice)
    return v.where(far, outer, v.like(x, pi / 2) - v.with_sign(y, x))


def _half_exp(v: Vectors, a: Value) -> Value:
    """e^a / 2, also where e^a is out of range."""
    h = v.keep(exp(v, a * v.like(a, 0.5)))
    return v.keep(v.rounded(h * v.like(a, 0.5) * h))


def sinh(v: Vectors, x: Value) -> Value:
    """(e^x - e^-x) / 2; odd polynomial near 0."""
    a = v.keep(v.magnitude(x))
    h = _half_exp(v, a)
    near = _odd(v, x, [2.03721912945e-4, 8.33028376239e-3, 1.66667160211e-1])
    far = v.with_sign(h - v.like(x, 0.25) / h, x)
    return v.where(a < v.like(x, 1.0), near, far)


def cosh(v: Vectors, x: Value) -> Value:
    """(e^x + e^-x) / 2."""
    h = _half_exp(v, v.keep(v.magnitude(x)))
    return h + v.like(x, 0.25) / h


_LARGE = 1e4
"""Beyond it x^2 + 1 is x^2 in float32."""


def asinh(v: Vectors, x: Value) -> Value:
    """ln(|x| + sqrt(x^2 + 1)) with the sign of x; odd polynomial near 0."""
    a, one = v.keep(v.magnitude(x)), v.like(x, 1.0)
    near = _odd(v, x, [2.0122003309e-2, -4.2699340972e-2, 7.4847586088e-2, -1.6666288134e-1])
    large = a > v.like(x, _LARGE)
    inner = v.where(large, a, a + v.sqrt(v.fma(a, a, one)))
    far = log(v, inner) + v.where(large, v.like(x, _LN2), v.like(x, 0.0))
    return v.where(a < v.like(x, 0.5), near, v.with_sign(far, x))


def acosh(v: Vectors, x: Value) -> Value:
    """ln(x + sqrt(x^2 - 1)), NaN below 1; sqrt(x - 1) P(x - 1) near 1."""
    t = v.keep(x - v.like(x, 1.0))
    p = v.polynomial(t, [1.7596881071e-3, -7.5272886713e-3, 2.6454905019e-2, -1.1784741703e-1, 1.4142135263e0])
    near = p * v.sqrt(t)
    large = x > v.like(x, _LARGE)
    inner = v.where(large, x, x + v.sqrt(t * (x + v.like(x, 1.0))))
    far = log(v, inner) + v.where(large, v.like(x, _LN2), v.like(x, 0.0))
    return v.where(t < v.like(x, 0.5), near, far)


def atanh(v: Vectors, x: Value) -> Value:
    """ln((1 + x) / (1 - x)) / 2; odd polynomial near 0."""
    near = _odd(v, x, [1.81740078349e-1, 8.24370301058e-2, 1.46691431730e-1, 1.99782164500e-1, 3.33337300303e-1])
    one = v.like(x, 1.0)
    far = log(v, (one + x) / (one - x)) * v.like(x, 0.5)
    return v.where(v.magnitude(x) < v.like(x, 0.5), near, far)


def remainder(v: Vectors, a: Value, b: Value) -> Value:
    """The remainder with the sign of a. In float64, so that the quotient's integer part is right below 2^53."""
    if v.dtype(a) == "float32":
        return v.cast(remainder(v, v.keep(v.cast(a, "float64")), v.keep(v.cast(b, "float64"))), "float32")
    zero, infinite = v.like(a, 0.0), v.like(a, inf)
    size, divisor = v.keep(v.magnitude(a)), v.keep(v.magnitude(b))
    r = v.keep(v.fma(-v.trunc(size / divisor), divisor, size))
    r = v.keep(v.where(r < zero, r + divisor, r))  # the quotient was rounded up to an integer
    r = v.where(v.both(size < infinite, v.equal(divisor, infinite)), size, r)
    return v.keep(v.with_sign(r, a))


def modulo(v: Vectors, a: Value, b: Value) -> Value:
    """The remainder with the sign of b."""
    r = v.keep(remainder(v, a, b))
    zero = v.like(r, 0.0)
    differs = v.either(v.both(r < zero, b > zero), v.both(r > zero, b < zero))
    moved = v.keep(v.where(differs, r + b, r))
    return v.with_sign(moved, v.where(v.equal(moved, zero), b, moved))


def sign(v: Vectors, x: Value) -> Value:
    """-1 or 1; zeros and NaN stay."""
    one, zero = v.like(x, 1.0), v.like(x, 0.0)
    return v.where(x > zero, one, v.where(x < zero, -one, x))


def _in_float32(function: Callable[[Vectors, Value], Value]) -> Callable[[Vectors, Value], Value]:
    """`function` of float32, of float64 rounded to it too."""

    def compute(v: Vectors, x: Value) -> Value:
        if v.dtype(x) == "float64":
            return v.cast(function(v, v.keep(v.cast(x, "float32"))), "float64")
        return function(v, x)

    return compute


FUNCTIONS: Mapping[str, Callable[..., Value]] = {
    "exp": exp, "log": log, "pow": power, "mod": remainder, "floor_mod": modulo, "sign": sign,
    **{f.__name__: _in_float32(f) for f in (
        tanh, erf, gelu, sigmoid, sin, cos, tan, asin, acos, atan, sinh, cosh, asinh, acosh, atanh,
    )},
}  # fmt: skip
"""The name that expressions know it by -> the function of `Vectors` and float32 or float64 operands."""
