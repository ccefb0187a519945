"""Products that round as a quotient does."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from edgec.compiler.ir.arrays import fma32
from edgec.compiler.ir.graph import Array
from edgec.compiler.lower.nodes.reciprocal import LARGEST, quantization_params, reciprocal


def _products(x: Array, parts: tuple[float, float]) -> Array:
    """What kernels round."""
    r, rest = (np.array(part, np.float32) for part in parts)
    return fma32(x, r, x * rest)


@given(scale=st.floats(2.0**-90, 2.0**90, width=32), seed=st.integers(0, 1000))
def test_integers_of_quotients(scale: float, seed: int) -> None:
    """Of any numbers, and of all floats around the middles between two integers."""
    found = reciprocal(scale)
    if found is None:
        return
    rng = np.random.default_rng(seed)
    middles = (rng.integers(-LARGEST, LARGEST, 100) + 0.5) * scale
    around = middles.astype(np.float32)[:, None].view(np.int32) + np.arange(-40, 41, dtype=np.int32)
    x = np.concatenate([around.view(np.float32).ravel(), (rng.normal(0, 100, 4000) * scale).astype(np.float32)])
    np.testing.assert_array_equal(np.rint(_products(x, found)), np.rint(x / np.float32(scale)))


def test_infinity() -> None:
    """Also where the reciprocal is a float32: its rest would be nothing, and infinity times that no number."""
    ends = np.array([-np.inf, np.inf], np.float32)
    for scale in (0.25, 1.0, 3.0):
        found = reciprocal(scale)
        assert found is not None
        np.testing.assert_array_equal(_products(ends, found), ends)


def test_scales_that_are_divided_by() -> None:
    """Where parts would leave float32; and where a quotient is so near to the middle between two float32, next to that
    between two integers, that the sum is rounded to the other one."""
    assert reciprocal(2.0**-120) is None
    assert reciprocal(2.0**120) is None
    assert reciprocal(1.7656248807907104) is None
    assert reciprocal(1.1406248807907104) is None
    bits = int(np.float32(2.0**-120).view(np.int32))
    assert quantization_params("y", 2.0**-120, 3) == (False, {"y_scale": bits, "y_zero_point": 3})
