"""Products and sums with one rounding, against exact fractions."""

from fractions import Fraction

import numpy as np
import pytest

from edgec.compiler.ir.arrays import ARRAYS, Array

COUNT = 5000


def is_nearest(found: Array, exact: list[Fraction]) -> bool:
    """Whether no float is nearer than `found`, and of two that are as near, its last bit is 0."""
    last = found.view(f"int{found.dtype.itemsize * 8}") & 1
    for value, odd, wanted, *others in zip(
        found, last, exact, np.nextafter(found, -np.inf), np.nextafter(found, np.inf), strict=True
    ):
        error = abs(Fraction(float(value)) - wanted)
        nearest = min(abs(Fraction(float(other)) - wanted) for other in others)
        if error > nearest or (error == nearest and odd):
            return False
    return True


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_fma_rounds_once(dtype: str) -> None:
    """Sums that cancel, terms far apart, and sums next to a tie: rounded to float64 first, they are one."""
    rng, eps = np.random.default_rng(0), np.finfo(dtype).eps
    a, b = (rng.normal(0, 1, COUNT).astype(dtype) for _ in range(2))
    near = -(a * b) * (1 + rng.choice([0, 1, -2, 2**10], COUNT) * eps)
    far = a * b * 2.0 ** rng.integers(-60, 60, COUNT)
    c = np.where(rng.random(COUNT) < 0.5, near, far).astype(dtype)
    step = rng.integers(-9, 9, COUNT // 5) * eps
    a[::5], b[::5], c[::5] = 1 + step, (1 - step) * eps / 2, 1 + rng.integers(0, 2**20, COUNT // 5) * eps
    exact = [Fraction(float(x)) * Fraction(float(y)) + Fraction(float(z)) for x, y, z in zip(a, b, c, strict=True)]
    assert is_nearest(ARRAYS.fma(a, b, c), exact)
    assert not is_nearest((a.astype(np.float64) * b + c).astype(dtype), exact)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_fma_of_zeros_and_infinities(dtype: str) -> None:
    """All sums are exact in float64; float32 also of what overflows on the way."""
    values = np.array([0.0, -0.0, 1.0, -2.0, np.inf, -np.inf, np.nan, 3e38 if dtype == "float32" else 3.0], dtype)
    a, b, c = (v.ravel() for v in np.meshgrid(values, values, values))
    with np.errstate(all="ignore"):
        expected = (a.astype(np.float64) * b + c).astype(dtype)
        found = ARRAYS.fma(a, b, c)
    np.testing.assert_array_equal(found, expected)
    numbers = ~np.isnan(expected)
    np.testing.assert_array_equal(np.signbit(found[numbers]), np.signbit(expected[numbers]))


def test_fma_of_small_float32_rounds_once() -> None:
    """Subnormal results lie further apart than others."""
    rng = np.random.default_rng(1)
    a, b = (rng.normal(0, 1, COUNT).astype(np.float32) * np.float32(2.0**-70) for _ in range(2))
    c = rng.integers(-(2**20), 2**20, COUNT).astype(np.float32) * np.float32(2.0**-149)
    a[::2], b[::2] = 2.0**-75 * (1 + 2.0**-23), 2.0**-75 * (1 - 2.0**-23)  # a little less than half a step
    exact = [Fraction(float(x)) * Fraction(float(y)) + Fraction(float(z)) for x, y, z in zip(a, b, c, strict=True)]
    assert is_nearest(ARRAYS.fma(a, b, c), exact)
    assert not is_nearest((a.astype(np.float64) * b + c).astype(np.float32), exact)
