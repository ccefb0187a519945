"""Rows of float32 as int8 codes, each row with a scale of its own that its largest element decides at run time.

A product of such codes and int8 weights loses no more where a few rows, or a few runs, are far larger than others.
"""

import numpy as np

from ..ir.graph import Array

LEAST = 2.0**-100
"""Rows without a larger element are zeros: no quotient below is out of range."""


def row_codes(x: Array) -> tuple[Array, Array]:
    """x [.., K] -> codes int8 [.., K], scales float32 [.., 1].

    m = max |x|, scale = m / 127, code = rne(x * (127 / m)), each operation in float32. Codes are zeros where m is less
    than `LEAST`, and where it is infinite or NaN: so is the scale then.
    """
    largest = np.abs(x).max(axis=-1, keepdims=True, initial=0.0)
    factor = np.zeros_like(largest)
    np.divide(np.float32(127.0), largest, out=factor, where=(largest >= LEAST) & (largest < np.inf))
    with np.errstate(invalid="ignore"):
        steps = np.nan_to_num(np.rint(x * factor), nan=0.0)
    return steps.astype(np.int8), largest / np.float32(127.0)


def scaled(sums: Array, row_scales: Array, column_scales: Array) -> Array:
    """(float32(sum) * row scale) * column scale: int32 sums of products of codes -> float32."""
    with np.errstate(invalid="ignore", over="ignore"):
        return np.asarray(sums.astype(np.float32) * row_scales * column_scales)
