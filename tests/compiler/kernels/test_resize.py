"""Resizes against the numpy reference, with the tables that the lowering makes."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgec.compiler.ir.graph import Node, Value
from edgec.compiler.ir.types import Quant, TensorType
from edgec.compiler.kernels import resize
from edgec.compiler.kernels.resize import ResizeSpec
from edgec.compiler.ops.resize import linear_taps, nearest_indices
from edgec.tests.kernel_harness import Array, Machine, examples, image, on_machines, reference, run_kernel

planes = st.tuples(st.integers(1, 7), st.integers(1, 7))
Plane = tuple[int, int]


def run(machine: Machine, spec: ResizeSpec, x: Array, out: Plane, table: Array, element: int) -> Array:
    y = image(np.zeros((*out, x.shape[2]), x.dtype), (1, 1, 1, 1), (2, 3))
    params = {"out_height": out[0], "out_width": out[1], "y_row": y.strides[0], "y_pixel": y.strides[1]}
    params["channels"] = x.shape[2] * element
    return run_kernel(resize, spec, machine, {"x": x, "w": table, "y": y}, params, out[0], slack={"x": 31})["y"]


def node_of(x: Array, attrs: dict[str, Any]) -> Node:
    value = Value("x", TensorType((1, *x.shape), str(x.dtype)))
    return Node("resize", [value], [Value("y", TensorType((), "float32"))], attrs)


def attributes(x: Array, out: Plane, mode: str, coordinates: str) -> dict[str, Any]:
    scales = tuple(o / i for o, i in zip(out, x.shape, strict=False))
    return {"mode": mode, "coordinates": coordinates, "sizes": out, "scales": scales, "layout": "NHWC"}


@on_machines
@pytest.mark.parametrize("dtype", ["int8", "float32"])
@examples
@given(plane=planes, out=planes, channels=st.sampled_from([1, 3, 16, 21, 40]))
def test_nearest(machine: Machine, dtype: str, plane: Plane, out: Plane, channels: int) -> None:
    x = image(
        np.random.default_rng(channels).integers(-128, 128, (*plane, channels)).astype(dtype), (1, 1, 2, 2), (1, 2)
    )
    attrs = attributes(x, out, "nearest", "asymmetric")
    offsets = [nearest_indices(node_of(x, attrs), axis) * x.strides[axis] for axis in range(2)]
    table = np.concatenate(offsets).astype(np.int32)
    got = run(machine, ResizeSpec("nearest", "bytes"), x, out, table, x.itemsize)
    np.testing.assert_array_equal(got, reference("resize", [x[None]], [None], None, **attrs)[0])


@on_machines
@pytest.mark.parametrize("dtype", ["int8", "float32"])
@examples
@given(
    plane=planes,
    out=planes,
    channels=st.sampled_from([1, 3, 16, 21, 70]),
    coordinates=st.sampled_from(["half_pixel", "align_corners"]),
)
def test_linear(machine: Machine, dtype: str, plane: Plane, out: Plane, channels: int, coordinates: str) -> None:
    x = image(
        np.random.default_rng(channels).choice([-128, 127, 5, -77], (*plane, channels)).astype(dtype), (1, 1, 2, 2)
    )
    attrs = attributes(x, out, "linear", coordinates)
    columns = []
    for axis in range(2):
        taps = linear_taps(node_of(x, attrs), axis)
        weights = taps.integer_weights() if dtype == "int8" else taps.fraction.astype(np.float32).view(np.int32)
        columns.append(np.stack([taps.low * x.strides[axis], taps.high * x.strides[axis], weights], 1))
    table = np.concatenate(columns).astype(np.int32)
    got = run(machine, ResizeSpec("linear", dtype), x, out, table, 1)
    quant = Quant.per_tensor(0.1, 4) if dtype == "int8" else None
    expected = reference("resize", [x[None]], [quant], quant, **attrs)[0]
    if dtype == "int8":
        np.testing.assert_array_equal(got, expected)
    else:
        np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-4)
