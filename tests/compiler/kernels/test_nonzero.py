"""Positions of elements that are not zero."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgec.compiler.kernels import nonzero
from edgec.compiler.kernels.nonzero import NonzeroSpec
from edgec.tests.kernel_harness import Machine, examples, on_machines, run_kernel


@on_machines
@pytest.mark.parametrize("dtype", ["bool", "int8", "float32", "int64", "float64"])
@examples
@given(count=st.integers(1, 70), share=st.sampled_from([0.0, 0.5, 1.0]))
def test_positions(machine: Machine, dtype: str, count: int, share: float) -> None:
    rng = np.random.default_rng(count)
    values = [np.nan, -0.0, -1.5] if "float" in dtype else [1, 3]
    x = np.where(rng.random(count) < share, rng.choice(values, count), 0).astype(dtype)
    y, total = np.full(count, 7, np.int64), np.zeros(1, np.int64)
    got = run_kernel(nonzero, NonzeroSpec(dtype), machine, {"x": x, "y": y, "total": total}, {"count": count}, 1)
    (want,) = np.nonzero(x)
    assert got["total"] == len(want)
    np.testing.assert_array_equal(got["y"], np.pad(want, (0, count - len(want))))
