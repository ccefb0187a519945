"""Bins of regions, also of regions that lie outside, are empty or have no numbers."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgec.compiler.ir.graph import Array
from edgec.compiler.kernels import roi_align
from edgec.compiler.kernels.roi_align import RoiAlignSpec
from edgec.compiler.ops.roi import MAX_SAMPLES
from edgec.tests.kernel_harness import Machine, examples, on_machines, reference, run_kernel


@on_machines
@pytest.mark.parametrize("mode", ["avg", "max"])
@examples
@given(
    regions=st.integers(1, 4), channels=st.integers(1, 20), height=st.integers(1, 3), width=st.integers(1, 3),
    samples=st.integers(0, 2), half_pixel=st.booleans(),
)  # fmt: skip
def test_regions(
    machine: Machine, mode: str, regions: int, channels: int, height: int, width: int, samples: int, half_pixel: bool
) -> None:
    rng = np.random.default_rng(channels)
    x = rng.normal(size=(2, 6, 7, channels)).astype(np.float32)
    rois = rng.uniform(-3, 20, (regions, 4)).astype(np.float32)
    rois[0] = rng.choice([0.0, 4.0, np.nan, 1e30], 4)
    w = rng.integers(-1, 4, regions)
    y = np.zeros((regions, height, width, channels), np.float32)
    params: dict[str, int | float] = {
        "images": 2, "height": 6, "width": 7, "channels": channels, "x_image": x.strides[0], "x_row": x.strides[1],
        "x_pixel": x.strides[2], "out_height": height, "out_width": width, "y_image": y.strides[0],
        "y_row": y.strides[1], "y_pixel": y.strides[2], "scale": 0.5, "shift": 0.5 * half_pixel,
        "least": float("-inf") if half_pixel else 1.0, "samples": samples, "limit": MAX_SAMPLES,
    }  # fmt: skip
    operands: dict[str, Array] = {"x": x, "rois": rois, "w": w, "y": y}
    got = run_kernel(roi_align, RoiAlignSpec(mode, "int64"), machine, operands, params, regions * height)["y"]
    attrs: dict[str, Any] = {
        "sizes": (height, width),
        "mode": mode,
        "samples": samples,
        "scale": 0.5,
        "half_pixel": half_pixel,
    }
    want = reference("roi_align", [x, rois, w], [None] * 3, layout="NHWC", **attrs)
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)
