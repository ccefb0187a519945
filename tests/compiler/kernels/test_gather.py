"""Rows by number, also by numbers that do not exist."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgec.compiler.kernels import gather
from edgec.compiler.kernels.gather import GatherSpec
from edgec.tests.kernel_harness import Machine, examples, on_machines, reference, run_kernel


@on_machines
@pytest.mark.parametrize("dtype", ["int32", "int64"])
@examples
@given(outer=st.integers(1, 3), extent=st.integers(1, 9), row=st.integers(1, 50), count=st.integers(1, 20))
def test_rows(machine: Machine, dtype: str, outer: int, extent: int, row: int, count: int) -> None:
    rng = np.random.default_rng(row)
    x = rng.integers(-128, 128, (outer, extent, row)).astype(np.int8)
    w = rng.integers(-3, extent + 3, count).astype(dtype)
    y = np.zeros((outer, count, row + 4), np.int8)[:, :, 2 : 2 + row]
    params = {
        "extent": extent, "indices": count, "tile_rows": 3, "chunks": -(-count // 3), "row_bytes": row,
        "x_outer": x.strides[0], "x_step": x.strides[1], "y_outer": y.strides[0], "y_step": y.strides[1],
    }  # fmt: skip
    got = run_kernel(gather, GatherSpec(dtype), machine, {"x": x, "w": w, "y": y}, params, outer * params["chunks"])[
        "y"
    ]
    np.testing.assert_array_equal(got, reference("gather", [x, w], [None, None], axis=1))


@on_machines
@pytest.mark.parametrize("element", [1, 2, 4, 8])
@examples
@given(extent=st.integers(1, 9), count=st.integers(1, 20))
def test_elements(machine: Machine, element: int, extent: int, count: int) -> None:
    rng = np.random.default_rng(extent)
    x = rng.integers(0, 100, (1, extent, 1)).astype(f"int{8 * element}")
    w, y = rng.integers(-3, extent + 3, count).astype(np.int32), np.zeros((1, count, 1), x.dtype)
    params = {
        "extent": extent, "indices": count, "tile_rows": 3, "chunks": -(-count // 3), "row_bytes": element,
        "x_outer": x.strides[0], "x_step": element, "y_outer": y.strides[0], "y_step": element,
    }  # fmt: skip
    operands = {"x": x, "w": w, "y": y}
    got = run_kernel(gather, GatherSpec("int32", element), machine, operands, params, params["chunks"])["y"]
    np.testing.assert_array_equal(got, reference("gather", [x, w], [None, None], axis=1))
