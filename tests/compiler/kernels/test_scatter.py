"""Rows put into place by number, also by numbers that do not exist, and combined with what is there."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgec.compiler.kernels import scatter
from edgec.compiler.kernels.scatter import ScatterSpec
from edgec.tests.kernel_harness import Machine, examples, on_machines, reference, run_kernel


@on_machines
@pytest.mark.parametrize("index_dtype", ["int32", "int64"])
@pytest.mark.parametrize(
    ("dtype", "reduction"),
    [("int8", "none"), ("int64", "none"), ("float32", "add"), ("int32", "mul"), ("float32", "max"), ("int8", "min")],
)
@examples
@given(extent=st.integers(1, 9), row=st.integers(1, 50), count=st.integers(1, 20), chunk=st.integers(1, 50))
def test_rows(
    machine: Machine, dtype: str, reduction: str, index_dtype: str, extent: int, row: int, count: int, chunk: int
) -> None:
    rng = np.random.default_rng(row)
    x, updates = (rng.integers(-99, 100, (n, row)).astype(dtype) for n in (extent, count))
    if dtype == "float32":
        x[rng.random(x.shape) < 0.1] = np.nan
    w = rng.integers(-2, extent + 2, count).astype(index_dtype)
    chunk = min(chunk, row)
    params = {"extent": extent, "indices": count, "row": row, "chunk": chunk}
    spec = ScatterSpec(index_dtype, dtype, reduction)
    got = run_kernel(scatter, spec, machine, {"w": w, "x": updates, "y": x}, params, -(-row // chunk))["y"]
    np.testing.assert_array_equal(got, reference("scatter", [x, w, updates], [None] * 3, reduction=reduction))
