"""Running sums and products along the middle of a tensor."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgec.compiler.kernels import cumulative
from edgec.compiler.kernels.cumulative import CumulativeSpec
from edgec.tests.kernel_harness import Machine, examples, on_machines, reference, run_kernel


@on_machines
@pytest.mark.parametrize("kind", ["sum", "prod"])
@pytest.mark.parametrize("dtype", ["float32", "int64"])
@pytest.mark.parametrize("exclusive", [False, True])
@examples
@given(
    outer=st.integers(1, 3), count=st.integers(1, 9), inner=st.integers(1, 40), chunk=st.integers(1, 40),
    reverse=st.booleans(),
)  # fmt: skip
def test_axes(
    machine: Machine, kind: str, dtype: str, exclusive: bool, outer: int, count: int, inner: int, chunk: int,
    reverse: bool,
) -> None:  # fmt: skip
    x = np.random.default_rng(inner).normal(1, 100 if dtype == "int64" else 0.5, (outer, count, inner)).astype(dtype)
    chunk = min(chunk, inner)
    params = {"count": count, "inner": inner, "chunk": chunk, "chunks": -(-inner // chunk)}
    params |= {"first": count - 1, "step": -1} if reverse else {"first": 0, "step": 1}
    spec = CumulativeSpec(kind, dtype, exclusive)
    y = np.zeros_like(x)
    got = run_kernel(cumulative, spec, machine, {"x": x, "y": y}, params, outer * params["chunks"])["y"]
    want = reference("cumulative", [x], [None], kind=kind, axis=1, exclusive=exclusive, reverse=reverse)
    np.testing.assert_array_equal(got, want)
