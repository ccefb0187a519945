"""The functions of scalar expressions: how many operands each takes, and what it means in numpy.

Where numpy's answer differs between CPUs, or C leaves it open (integers divided by 0, shifts beyond the width), this is
the definition: the arithmetic contract of ARCHITECTURE.md.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def _erf(x: Array) -> Array:
    """erf by Abramowitz-Stegun is too coarse for a reference, so: math.erf per element (float64)."""
    x = np.asarray(x)
    return np.asarray(np.vectorize(math.erf, otypes=[np.float64])(x.astype(np.float64)), x.dtype)


def _gelu(x: Array) -> Array:
    """x * P(X <= x) of a normal X; at -inf it has the limit, 0."""
    x = np.asarray(x)
    share = np.vectorize(lambda a: math.erfc(-a / math.sqrt(2)) / 2, otypes=[np.float64])(x.astype(np.float64))
    return np.asarray(np.multiply(x, share, out=np.zeros_like(share), where=share != 0), x.dtype)


def _sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x)), of which exp never overflows."""
    small = np.exp(-np.abs(x))
    return np.asarray(np.where(np.less(x, 0), small, 1.0) / (1.0 + small))


def _rounded(fn: Callable[..., Array]) -> Callable[..., Array]:
    """`fn` computed in float64 and rounded once to the operands' dtype.

    numpy's float32 exp, log, tanh and power differ in the last bit between CPUs; int8 tables must not.
    """

    def compute(*args: Any) -> Array:
        dtype = np.result_type(*args)
        if dtype.kind != "f":
            return np.asarray(fn(*args))
        return np.asarray(fn(*(np.asarray(a, np.float64) for a in args)), dtype)

    return compute


def _is_integer(*args: Any) -> bool:
    return np.result_type(*args).kind in "iu"


def _div(a: Array, b: Array) -> Array:
    """IEEE division; integers truncate towards zero, as in C and ONNX, and the quotient by 0 is 0."""
    if not _is_integer(a, b):
        return np.asarray(np.divide(a, b))
    q = np.floor_divide(a, b)
    return np.asarray(np.where(np.equal(b, 0), q.dtype.type(0), q + ((q < 0) & (q * b != a)).astype(q.dtype)))


_EXPONENT_BITS = 16


def _pow(a: Array, b: Array) -> Array:
    """Of integers modulo the type's range. An exponent counts as at most 2^16 - 1, or the type's largest number; with
    a negative one 1 / a^|b| is rounded to zero, and 0 where a is 0."""
    if not _is_integer(a, b):
        return _rounded(np.power)(a, b)
    dtype = np.result_type(a, b)
    a, b = np.asarray(a, dtype), np.asarray(b, dtype)
    largest = dtype.type(min(2**_EXPONENT_BITS - 1, np.iinfo(dtype).max))
    size = np.abs(b)
    result = np.power(a, np.where((size > largest) | (size < 0), largest, size))
    return np.asarray(np.where((b >= 0) | (a == 1) | (a == -1), result, dtype.type(0)))


def _shift(a: Array, b: Array, fn: Callable[..., Array], beyond: Array) -> Array:
    """`fn` where b is one of the bits of the type of a, else `beyond`."""
    dtype = np.result_type(a, b)  # that of the other where one is a literal
    inside = np.greater_equal(b, 0) & np.less(b, dtype.itemsize * 8)
    return np.asarray(np.where(inside, fn(a, np.where(inside, b, 0).astype(dtype)), beyond), dtype)


def _shift_left(a: Array, b: Array) -> Array:
    return _shift(a, b, np.left_shift, np.zeros_like(a))


def _shift_right(a: Array, b: Array) -> Array:
    return _shift(a, b, np.right_shift, np.where(np.less(a, 0), np.invert(np.zeros_like(a)), np.zeros_like(a)))


def convert(x: Array, dtype: str) -> Array:
    """`x` as `dtype`. Floats become integers towards zero; out of range, the nearest that there is; NaN becomes 0."""
    if x.dtype.kind != "f" or np.dtype(dtype).kind not in "iu":
        return x.astype(dtype)
    info = np.iinfo(dtype)
    whole = np.nan_to_num(np.trunc(x.astype(np.float64)), nan=0.0, posinf=np.inf, neginf=-np.inf)
    high = whole >= float(info.max)  # 2^63 - 1 is 2^63 in float64
    bounded = np.where(high, 0.0, np.maximum(whole, float(info.min)))
    return np.asarray(np.where(high, np.array(info.max, dtype), bounded.astype(dtype)))


Functions = Mapping[str, tuple[int, Callable[..., Array]]]

FUNCTIONS: Functions = {
    "add": (2, np.add),
    "sub": (2, np.subtract),
    "mul": (2, np.multiply),
    "div": (2, _div),
    "min": (2, np.minimum),
    "max": (2, np.maximum),
    "pow": (2, _pow),
    "mod": (2, np.fmod),
    "floor_mod": (2, np.mod),
    "neg": (1, np.negative),
    "abs": (1, np.abs),
    "exp": (1, _rounded(np.exp)),
    "log": (1, _rounded(np.log)),
    "sqrt": (1, np.sqrt),
    "tanh": (1, _rounded(np.tanh)),
    "erf": (1, _erf),
    "gelu": (1, _gelu),
    "sigmoid": (1, _rounded(_sigmoid)),
    "sin": (1, _rounded(np.sin)),
    "cos": (1, _rounded(np.cos)),
    "tan": (1, _rounded(np.tan)),
    "asin": (1, _rounded(np.arcsin)),
    "acos": (1, _rounded(np.arccos)),
    "atan": (1, _rounded(np.arctan)),
    "sinh": (1, _rounded(np.sinh)),
    "cosh": (1, _rounded(np.cosh)),
    "asinh": (1, _rounded(np.arcsinh)),
    "acosh": (1, _rounded(np.arccosh)),
    "atanh": (1, _rounded(np.arctanh)),
    "floor": (1, np.floor),
    "ceil": (1, np.ceil),
    "round": (1, np.rint),
    "sign": (1, np.sign),
    "isnan": (1, np.isnan),
    "isinf": (1, np.isinf),
    "eq": (2, np.equal),
    "lt": (2, np.less),
    "le": (2, np.less_equal),
    "and": (2, np.logical_and),
    "or": (2, np.logical_or),
    "not": (1, np.logical_not),
    "bit_and": (2, np.bitwise_and),
    "bit_or": (2, np.bitwise_or),
    "bit_xor": (2, np.bitwise_xor),
    "bit_not": (1, np.bitwise_not),
    "shift_left": (2, _shift_left),
    "shift_right": (2, _shift_right),
    "where": (3, np.where),
}
"""name -> (arity, numpy meaning)."""
