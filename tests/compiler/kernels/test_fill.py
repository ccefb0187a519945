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
    together=st.booleans(),
)
def test_border(
    machine: Machine, dtype: str, halo: tuple[int, ...], plane: tuple[int, int], channels: int, images: int,
    together: bool,
) -> None:  # fmt: skip
    (top, left, bottom, right), (height, width) = halo, plane
    rows, shared = top + height + bottom, min(left, right) if together else 0
    row = left + width + right - shared  # pixels; what is shared is right of one row and left of the next
    whole = np.random.default_rng(0).integers(0, 99, (images * rows * row + shared, channels)).astype(dtype)
    value = np.array([-7 if dtype == "int8" else -np.inf], dtype)
    expected = np.full_like(whole, value[0])
    for image in range(images):
        for y in range(top, top + height):
            first = (image * rows + y) * row + left
            expected[first : first + width] = whole[first : first + width]
    pixel = channels * whole.itemsize
    params = {
        "rows": rows, "above": top, "height": height, "y_image": rows * row * pixel, "y_row": row * pixel,
        "left": left * pixel, "inner": width * pixel, "right": (right - shared) * pixel, "behind": shared * pixel,
        "value": int(np.resize(value, 4 // whole.itemsize).view(np.int32)[0]),
    }  # fmt: skip
    got = run_kernel(fill, FillSpec(whole.itemsize), machine, {"y": whole}, params, images)["y"]
    np.testing.assert_array_equal(got, expected)
