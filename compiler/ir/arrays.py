"""The functions of expressions as kernels compute them, in numpy: to the bit, on every machine.

That is what a `map` means. `functions.FUNCTIONS`, which tables are made of, are more precise.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from . import elementary, functions
from .expr import Call, Expr, walk
from .vectors import Vectors

Array = np.ndarray[Any, Any]

_CALLS: Mapping[str, Callable[..., Array]] = {
    "floor": np.floor,
    "trunc": np.trunc,
    "roundeven": np.rint,
    "sqrt": np.sqrt,
    "fabs": np.abs,
    "copysign": np.copysign,
    "maximum": np.maximum,
}


class _Arrays(Vectors):
    def dtype(self, x: Array) -> str:
        return str(x.dtype)

    def const(self, value: float, dtype: str) -> Array:
        return np.array(value, dtype)

    def keep(self, x: Array) -> Array:
        return x

    def rounded(self, x: Array) -> Array:
        return x

    def fma(self, a: Array, b: Array, c: Array) -> Array:
        return (fma32 if a.dtype == np.float32 else fma64)(a, b, c)

    def cast(self, x: Array, dtype: str) -> Array:
        return x.astype(dtype)

    def bitcast(self, x: Array, dtype: str) -> Array:
        return np.asarray(x).view(dtype)

    def where(self, condition: Array, a: Array, b: Array) -> Array:
        return np.where(condition, a, b)

    def both(self, a: Array, b: Array) -> Array:
        return np.logical_and(a, b)

    def either(self, a: Array, b: Array) -> Array:
        return np.logical_or(a, b)

    def negated(self, a: Array) -> Array:
        return np.logical_not(a)

    def equal(self, a: Array, b: Array) -> Array:
        return np.equal(a, b)

    def different(self, a: Array, b: Array) -> Array:
        return np.not_equal(a, b)

    def call(self, name: str, *args: Array) -> Array:
        return _CALLS[name](*args)


ARRAYS = _Arrays()
"""The operations in numpy."""


class _Recorder(_Arrays):
    """Remembers what literals of one dtype it was asked for."""

    def __init__(self, dtype: str) -> None:
        self.wanted, self.literals = dtype, dict[float, None]()

    def const(self, value: float, dtype: str) -> Array:
        if dtype == self.wanted:
            self.literals[value] = None
        return super().const(value, dtype)


def literals(expr: Expr) -> tuple[float, ...]:
    """The float32 literals that elementary functions of `expr` compute with, each once."""
    calls = [part for part in walk(expr) if isinstance(part, Call) and part.fn in elementary.FUNCTIONS]
    found = (number for call in calls for number in literals_of(elementary.FUNCTIONS[call.fn], len(call.args)))
    return tuple(dict.fromkeys(found))


def literals_of(function: Callable[..., Array], operands: int, dtype: str = "float32") -> tuple[float, ...]:
    """The literals that a function of `Vectors` and so many operands of `dtype` computes with, each once."""
    recorder = _Recorder(dtype)
    with np.errstate(all="ignore"):
        function(recorder, *[np.ones(1, dtype)] * operands)
    return tuple(recorder.literals)


def fma32(a: Array, b: Array, c: Array) -> Array:
    """a * b + c of float32, rounded once: the product is exact in float64, and so is what matters of the sum unless it
    lies between two float32; then it is rounded there to odd."""
    product, addend = a.astype(np.float64) * b.astype(np.float64), c.astype(np.float64)
    total = product + addend
    between = (total.view(np.int64) & _BELOW_FLOAT32) == _HALF
    if between.any() or (np.abs(total) < _SMALLEST_NORMAL).any():
        total = _sum_to_odd(product, addend)
    return np.asarray(total.astype(np.float32))


_BELOW_FLOAT32, _HALF = 2**29 - 1, 2**28
"""The bits of a float64 that float32 lacks, and what they are halfway between two float32."""

_SMALLEST_NORMAL = 2.0**-126
"""Of float32: below, it lacks more bits."""


def fma64(a: Array, b: Array, c: Array) -> Array:
    """a * b + c of float64, rounded once, where nothing on the way overflows or underflows.

    S. Boldo, G. Melquiond: Emulation of FMA and correctly rounded sums, 2008.
    """
    product, low = _product(a, b)
    carry, rest = _sum(c, low)
    high, middle = _sum(product, carry)
    fused = high + _sum_to_odd(rest, middle)
    return np.where(np.isfinite(fused) & (fused != 0), fused, a * b + c)  # which has the signs of zeros


def _sum(a: Array, b: Array) -> tuple[Array, Array]:
    """(a + b rounded, what that lost), exactly (D. Knuth)."""
    total = a + b
    part = total - a
    return total, (a - (total - part)) + (b - part)


def _product(a: Array, b: Array) -> tuple[Array, Array]:
    """(a * b rounded, what that lost), exactly (T. Dekker)."""
    product = a * b
    (a_high, a_low), (b_high, b_low) = _halves(a), _halves(b)
    return product, a_low * b_low - (((product - a_high * b_high) - a_low * b_high) - a_high * b_low)


def _halves(x: Array) -> tuple[Array, Array]:
    """x as a sum of two numbers of 26 bits."""
    scaled = x * np.float64(2**27 + 1)
    high = scaled - (scaled - x)
    return high, x - high


def _sum_to_odd(a: Array, b: Array) -> Array:
    """a + b; if that is no float64, the neighbour whose last bit is 1: rounding it again is rounding the sum once."""
    total, lost = _sum(a, b)
    bits = np.asarray(total).view(np.int64)
    inexact = np.isfinite(total) & (lost != 0) & (bits & 1 == 0)
    away = np.where((lost > 0) == (total > 0), 1, -1)
    return np.asarray(bits + np.where(inexact, away, 0)).view(np.float64)


def _elementary(name: str) -> tuple[int, Callable[..., Array]]:
    """`elementary.FUNCTIONS[name]` of floats; of what else there is, and of literals alone, the usual function."""
    arity, usual = functions.FUNCTIONS[name]

    def compute(*args: Any) -> Array:
        dtype = np.result_type(*args)
        if not any(isinstance(a, np.ndarray) for a in args) or dtype not in (np.float32, np.float64):
            return usual(*args)
        return np.asarray(elementary.FUNCTIONS[name](ARRAYS, *(np.asarray(a, dtype) for a in args)))

    return arity, compute


def _extreme(name: str, less: Callable[..., Array]) -> tuple[int, Callable[..., Array]]:
    """min or max of floats. With a literal it is a comparison that NaN and zeros pass; of zeros with two signs, -0 is
    the smaller one."""
    arity, usual = functions.FUNCTIONS[name]

    def compute(a: Any, b: Any) -> Array:
        literal = [not isinstance(x, np.ndarray) for x in (a, b)]
        if all(literal) or np.result_type(a, b).kind != "f":
            return usual(a, b)
        if any(literal):
            bound, x = (a, b) if literal[0] else (b, a)
            bound = np.asarray(bound, x.dtype)
            return np.where(less(bound, x), bound, x)
        negative = np.signbit(a) if name == "min" else np.signbit(b)
        return np.where((a == b) & negative, a, np.where(a == b, b, usual(a, b)))

    return arity, compute


FUNCTIONS = {
    **functions.FUNCTIONS,
    **{name: _elementary(name) for name in elementary.FUNCTIONS},
    "min": _extreme("min", np.less),
    "max": _extreme("max", np.greater),
}
"""name -> (arity, numpy meaning)."""
