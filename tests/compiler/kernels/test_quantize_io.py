"""Planar pictures become int8 pixels; nothing outside the picture is read."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgec.compiler.ir.types import Quant
from edgec.compiler.kernels import quantize_io
from edgec.compiler.kernels.quantize_io import QuantizeIoSpec
from edgec.compiler.lower.nodes.reciprocal import quantization_params
from edgec.compiler.ops import quantized
from edgec.tests.kernel_harness import Array, Machine, examples, image, on_machines, run_kernel


@on_machines
@pytest.mark.parametrize("dtype", ["float32", "uint8"])
@pytest.mark.parametrize("channels", [2, 3, 4])
@examples
@given(height=st.integers(1, 4), width=st.integers(1, 70), zero=st.integers(-128, 127))
def test_picture(machine: Machine, dtype: str, channels: int, height: int, width: int, zero: int) -> None:
    rng = np.random.default_rng(width)
    x: Array = rng.integers(0, 256, (channels, height, width)).astype(np.uint8)
    quant = Quant.per_tensor(0.0172, zero)
    params: dict[str, int | float] = {}
    expected: Array = (x ^ 128).view(np.int8)
    if dtype == "float32":
        x = (x.astype(np.float32) / 255 - np.float32(0.4)) / np.float32(0.21)
        x.flat[0] = np.nan
        expected = quantized.quantize(x, quant)
        params = {"y_scale": quant.scale[0], "y_zero_point": zero}
    y = image(np.zeros((height, width, channels), np.int8), (1, 2, 1, 3))
    params |= {"width": width, "x_plane": x.strides[0], "x_row": x.strides[1], "y_row": y.strides[0]}
    got = run_kernel(quantize_io, QuantizeIoSpec(dtype, channels), machine, {"x": x, "y": y}, params, height)["y"]
    np.testing.assert_array_equal(got, expected.transpose(1, 2, 0))


@on_machines
@examples
@given(scale=st.floats(2.0**-60, 2.0**60, width=32), zero=st.integers(-128, 127))
def test_multiplied_quotients(machine: Machine, scale: float, zero: int) -> None:
    """Numbers in the middle between codes and their neighbours, and the ends of float32, give what a division gives."""
    quant = Quant.per_tensor(scale, zero)
    middles = ((np.arange(-300, 300) + 0.5) * scale).astype(np.float32)
    ends = np.array([np.inf, np.nan, 0, np.finfo(np.float32).max, np.finfo(np.float32).tiny, 1e-45], np.float32)
    numbers = [np.nextafter(middles, np.float32(sign * np.inf)) for sign in (-1, 1)]
    numbers += [np.nextafter(n, np.float32(sign * np.inf)) for n, sign in zip(numbers, (-1, 1), strict=True)]
    x: Array = np.stack([np.concatenate([middles, *numbers, ends, -ends])] * 2)[:, None]
    y = image(np.zeros((1, x.shape[2], 2), np.int8), (1, 2, 1, 3))
    multiplied, quantization = quantization_params("y", scale, zero)
    params: dict[str, int | float] = {
        "width": x.shape[2], "x_plane": x.strides[0], "x_row": x.strides[1], "y_row": y.strides[0], **quantization
    }  # fmt: skip
    assert multiplied
    spec = QuantizeIoSpec("float32", 2, multiplied)
    got = run_kernel(quantize_io, spec, machine, {"x": x, "y": y}, params, 1)["y"]
    np.testing.assert_array_equal(got, quantized.quantize(x, quant).transpose(1, 2, 0))
