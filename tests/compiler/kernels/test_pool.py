"""Pools against the numpy references, over padded and unpadded planes inside larger buffers."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgec.compiler.ir.graph import Node, Value
from edgec.compiler.ir.types import Quant, TensorType
from edgec.compiler.kernels import pool
from edgec.compiler.kernels.pool import PoolSpec
from edgec.compiler.ops import quantized
from edgec.compiler.ops.pool import window_counts
from edgec.tests.kernel_harness import Array, Machine, examples, image, on_machines, reference, run_kernel

Case = tuple[tuple[int, int], int, tuple[int, int], tuple[int, int], tuple[int, int, int, int], tuple[int, int]]


@st.composite
def windows(draw: st.DrawFn, dilated: bool = False) -> Case:
    """(plane, channels, kernel, strides, pads, dilations) that fit together."""
    kernel = draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    dilations = draw(st.sampled_from([(1, 1), (1, 1), (2, 3)])) if dilated else (1, 1)
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
    pads = draw(st.tuples(*(st.integers(0, reach[i % 2] - 1) for i in range(4))))
    least = [max(1, reach[i] - pads[i] - pads[i + 2]) for i in range(2)]
    plane = draw(st.tuples(*(st.integers(n, n + 8) for n in least)))
    strides = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    return plane, draw(st.sampled_from([1, 3, 8, 17, 40, 130])), kernel, strides, pads, dilations


def run(machine: Machine, spec: PoolSpec, x: Array, out: tuple[int, ...], case: Case, **extra: object) -> Array:
    (height, width), channels, kernel, strides, pads, _ = case
    source, target = image(x, (1, 1, 1, 1), (2, 1)), image(np.zeros(out, x.dtype), (1, 0, 2, 3), (1, 1))
    operands = {"x": source, "y": target}
    if "w" in extra:
        operands["w"] = np.asarray(extra.pop("w"))
    params: dict[str, int | float] = {
        "in_height": height, "in_width": width, "x_row": source.strides[0], "x_pixel": source.strides[1],
        "out_width": out[1], "y_row": target.strides[0], "y_pixel": target.strides[1], "channels": channels,
        "kernel_y": kernel[0], "kernel_x": kernel[1], "stride_y": strides[0], "stride_x": strides[1],
        "pad_y": pads[0], "pad_x": pads[1], **extra,  # type: ignore[dict-item]
    }  # fmt: skip
    return run_kernel(pool, spec, machine, operands, params, out[0], slack={"x": 31})["y"]


@on_machines
@pytest.mark.parametrize("dtype", ["int8", "float32"])
@examples
@given(case=windows(dilated=True))
def test_max(machine: Machine, dtype: str, case: Case) -> None:
    plane, channels, kernel, strides, pads, dilations = case
    x = np.random.default_rng(channels).integers(-128, 0, (*plane, channels)).astype(dtype)
    attrs: dict[str, Any] = {
        "kernel": kernel,
        "strides": strides,
        "pads": pads,
        "dilations": dilations,
        "layout": "NHWC",
    }
    expected = reference("max_pool2d", [x[None]], [None], None, **attrs)[0]
    dilated = dilations != (1, 1)
    extra = {"dilation_y": dilations[0], "dilation_x": dilations[1]} if dilated else {}
    got = run(machine, PoolSpec("max", dtype, dilated), x, expected.shape, case, **extra)
    np.testing.assert_array_equal(got, expected)


@on_machines
@examples
@given(case=windows(), zero=st.integers(-128, 127), include=st.booleans())
def test_quantized_average(machine: Machine, case: Case, zero: int, include: bool) -> None:
    plane, channels, kernel, strides, pads, _ = case
    x = np.random.default_rng(channels).integers(-128, 128, (*plane, channels)).astype(np.int8)
    quants = Quant.per_tensor(0.04, zero), Quant.per_tensor(0.03, -zero - 1)
    attrs: dict[str, Any] = {
        "kernel": kernel,
        "strides": strides,
        "pads": pads,
        "count_include_pad": include,
        "layout": "NHWC",
    }
    expected = reference("avg_pool2d", [x[None]], [quants[0]], quants[1], **attrs)[0]
    w = np.append(np.float32(0), quantized.mean_multiplier(*quants, counts(x, kernel, include)))
    extra = {"w": w, "x_zero_point": zero, "zero_point": -zero - 1}
    got = run(machine, PoolSpec("avg", "int8"), x, expected.shape, case, **extra)
    np.testing.assert_array_equal(got, expected)


def counts(x: Array, kernel: tuple[int, int], include: bool) -> Array:
    area = kernel[0] * kernel[1]
    return np.full(area, area) if include else np.arange(1, area + 1)


@on_machines
@examples
@given(case=windows(), include=st.booleans())
def test_float_average(machine: Machine, case: Case, include: bool) -> None:
    plane, channels, kernel, strides, pads, _ = case
    x = np.random.default_rng(channels).normal(size=(*plane, channels)).astype(np.float32)
    attrs: dict[str, Any] = {
        "kernel": kernel,
        "strides": strides,
        "pads": pads,
        "count_include_pad": include,
        "layout": "NHWC",
    }
    expected = reference("avg_pool2d", [x[None]], [None], None, **attrs)[0]
    w = np.append(0, 1 / counts(x, kernel, include)).astype(np.float32)
    got = run(machine, PoolSpec("avg", "float32"), x, expected.shape, case, w=w)
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6)


def test_counts_are_those_of_the_reference() -> None:
    """With padding that counts, every window has the kernel's area: what the kernel's table relies on."""
    x = Value("x", TensorType((1, 5, 5, 1), "float32"))
    node = Node("avg_pool2d", [x], [Value("y", TensorType((), "float32"))])
    node.attrs = {
        "kernel": (3, 3),
        "strides": (2, 2),
        "pads": (1, 1, 1, 1),
        "count_include_pad": True,
        "layout": "NHWC",
    }
    assert (window_counts(node) == 9).all()
