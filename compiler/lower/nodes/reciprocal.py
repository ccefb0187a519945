"""Division by a scale, before a number is rounded to a code, as a product and a multiply-add."""

from fractions import Fraction

import numpy as np

from ...ir.arrays import fma32
from ...ir.graph import Array
from .pack import float_bits

LARGEST = 256
"""Codes and zero points are less apart: where quotients are larger, they saturate however they are rounded."""

_NEAR = 8
"""Floats on either side of a middle between two integers: elsewhere no error of a last place rounds otherwise."""


def quantization_params(name: str, scale: float, zero_point: int) -> tuple[bool, dict[str, int]]:
    """Whether `quantize` needs no division, and its parameters for the operand `name`."""
    parts, zero = reciprocal(scale), {f"{name}_zero_point": zero_point}
    if parts is None:
        return False, {f"{name}_scale": float_bits(scale), **zero}
    return True, {f"{name}_reciprocal": float_bits(parts[0]), f"{name}_rest": float_bits(parts[1]), **zero}


def reciprocal(scale: float) -> tuple[float, float] | None:
    """float32 (r, rest) of which fma(x, r, x * rest) rounds to the integer that x / scale does, or saturates as that
    does, for every float32 x. None where some number in the middle between two integers falls to the other side.

    r is less than 1 / scale and rest what is missing: both are positive, so infinite x stay infinite.
    """
    if not 2.0**-100 < scale < 2.0**100:
        return None
    divisor = np.array(scale, np.float32)
    exact = 1 / Fraction(float(divisor))
    r = np.array(float(exact), np.float32)
    if Fraction(float(r)) >= exact:
        r = np.asarray(np.nextafter(r, np.float32(0)))
    rest = np.array(float(exact - Fraction(float(r))), np.float32)
    x = _near_middles(divisor)
    same = np.array_equal(np.rint(fma32(x, r, x * rest)), np.rint(x / divisor))
    return (float(r), float(rest)) if same else None


def _near_middles(scale: Array) -> Array:
    """float32 whose quotients are next to the middle between two integers; those of negative ones mirror these."""
    middles = ((np.arange(LARGEST) + 0.5) * float(scale)).astype(np.float32)
    steps = np.arange(-_NEAR, _NEAR + 1, dtype=np.int32)
    return (middles.view(np.int32)[:, None] + steps).view(np.float32)
