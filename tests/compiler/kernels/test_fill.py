"""Halos: the border gets the value, the middle keeps its bytes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgec.compiler.kernels import fill
from edgec.compiler.kernels.fill import FillSpec
from edgec.tests.kernel_harness import Machine, examples, on_machines, run_kernel


@on_machines
@pytest.mark.parametrize("dtype", ["int8", "float32"])
@examples
@given(
    halo=st.tuples(*[st.integers(0, 3)] * 4),
    plane=st.tuples(st.integers(1, 4), st.integers(1, 5)),
    channels=st.integers(1, 40),
    images=st.integers(1, 3),
)
def test_border(
    machine: Machine, dtype: str, halo: tuple[int, ...], plane: tuple[int, int], channels: int, images: int
) -> None:
    top, left, bottom, right = halo
    rows = top + plane[0] + bottom
    whole = np.random.default_rng(0).integers(0, 99, (images, rows, left + plane[1] + right, channels)).astype(dtype)
    value = np.array([-7 if dtype == "int8" else -np.inf], dtype)
    expected = np.full_like(whole, value[0])
    middle = slice(None), slice(top, top + plane[0]), slice(left, left + plane[1])
    expected[middle] = whole[middle]
    pixel = channels * whole.itemsize
    params = {
        "rows": rows, "above": top, "height": plane[0], "y_image": whole.strides[0], "y_row": whole.strides[1],
        "left": left * pixel, "inner": plane[1] * pixel, "right": right * pixel,
        "value": int(np.resize(value, 4 // whole.itemsize).view(np.int32)[0]),
    }  # fmt: skip
    got = run_kernel(fill, FillSpec(whole.itemsize), machine, {"y": whole}, params, images * rows)["y"]
    np.testing.assert_array_equal(got, expected)
