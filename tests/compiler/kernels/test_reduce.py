"""Reductions over leading and trailing axes."""

from typing import cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgec.compiler.ir.reduction import Kind
from edgec.compiler.ir.types import Quant
from edgec.compiler.kernels import reduce
from edgec.compiler.kernels.reduce import ReduceSpec
from edgec.tests.kernel_harness import Array, Machine, examples, on_machines, reference, run_kernel

KINDS = ["sum", "mean", "max", "min", "prod", "l1", "l2", "sum_square"]
extents = st.tuples(st.integers(1, 3), st.integers(1, 9), st.integers(1, 40), st.sampled_from([1, 5, 16, 40, 200]))


def run(machine: Machine, spec: ReduceSpec, x: Array, extra: dict[str, int | float]) -> Array:
    """[outer, rows, columns, inner] -> [outer, inner]; without `inner` that extent is 1."""
    outer, rows, columns, inner = x.shape
    view = np.zeros((outer, rows, columns + 2, inner), x.dtype)[:, :, :columns]
    view[...] = x
    y = np.zeros((outer, inner), x.dtype)
    params: dict[str, int | float] = {
        "rows": rows, "columns": columns, "x_row": view.strides[1], "x_outer": view.strides[0], "y_outer": y.strides[0],
    }  # fmt: skip
    chunk = 48
    if spec.inner:
        params |= {"x_column": view.strides[2], "inner": inner, "chunk": chunk, "chunks": -(-inner // chunk)}
    tiles = outer * (-(-inner // chunk) if spec.inner else 1)
    return run_kernel(reduce, spec, machine, {"x": view, "y": y}, params | extra, tiles, slack={"x": 31})["y"]


@on_machines
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("inner", [True, False])
@examples
@given(shape=extents)
def test_float(machine: Machine, kind: str, inner: bool, shape: tuple[int, int, int, int]) -> None:
    x = np.random.default_rng(shape[3]).normal(1, 0.1, shape if inner else (*shape[:3], 1)).astype(np.float32)
    expected = reference("reduce", [x], [None], kind=kind, axes=(1, 2), keepdims=False)
    extra: dict[str, int | float] = {"count": shape[1] * shape[2]} if kind == "mean" else {}
    got = run(machine, ReduceSpec(cast(Kind, kind), "float32", inner), x, extra)
    np.testing.assert_allclose(got, expected, rtol=3e-5)


@on_machines
@pytest.mark.parametrize("kind", ["mean", "max", "min"])
@pytest.mark.parametrize("inner", [True, False])
@examples
@given(shape=extents, zero=st.integers(-128, 127))
def test_int8(machine: Machine, kind: str, inner: bool, shape: tuple[int, int, int, int], zero: int) -> None:
    x = np.random.default_rng(shape[3]).integers(-128, 128, shape if inner else (*shape[:3], 1)).astype(np.int8)
    check_int8(machine, kind, inner, x, zero)


@on_machines
@pytest.mark.parametrize("inner", [True, False])
def test_large_sums(machine: Machine, inner: bool) -> None:
    """More than 256 equal extremes in a run: sums of int16 must not overflow."""
    check_int8(machine, "mean", inner, np.full((1, 2, 600, 24 if inner else 1), -128, np.int8), 127)


def check_int8(machine: Machine, kind: str, inner: bool, x: Array, zero: int) -> None:
    quants = Quant.per_tensor(0.05, zero), Quant.per_tensor(0.04, 3)
    y_quant = quants[1] if kind == "mean" else quants[0]
    expected = reference("reduce", [x], [quants[0]], y_quant, kind=kind, axes=(1, 2), keepdims=False)
    count = x.shape[1] * x.shape[2]
    mean: dict[str, int | float] = {
        "count": count, "x_scale": quants[0].scale[0], "y_scale": quants[1].scale[0], "x_zero_point": zero,
        "zero_point": 3,
    }  # fmt: skip
    got = run(machine, ReduceSpec(cast(Kind, kind), "int8", inner), x, mean if kind == "mean" else {})
    np.testing.assert_array_equal(got, expected)


MODULAR: tuple[Kind, ...] = ("sum", "max", "min", "prod", "l1", "sum_square")
EXTREMES: tuple[Kind, ...] = ("max", "min")
TYPES = ["float64", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"]


@pytest.mark.parametrize("dtype", TYPES)
@on_machines
def test_element_types(machine: Machine, dtype: str) -> None:
    """Sums and products are modulo the range of the type; those of float64 are float64's."""
    rng = np.random.default_rng(9)
    for kind in MODULAR:
        for inner in (True, False):
            shape = (2, 3, 70, 5 if inner else 1)
            if dtype == "float64":
                x = rng.normal(0, 1.1, shape)
            else:
                info = np.iinfo(dtype)
                x = rng.integers(info.min, info.max, shape, dtype, endpoint=True)
            expected = reference("reduce", [x], [None], kind=kind, axes=(1, 2), keepdims=False)
            got = run(machine, ReduceSpec(kind, dtype, inner), x, {})
            tolerance = 1e-12 if dtype == "float64" else 0
            np.testing.assert_allclose(got, expected, rtol=tolerance, err_msg=f"{kind} {inner}")


@on_machines
def test_no_number_wins(machine: Machine) -> None:
    """A NaN among the elements is the result."""
    x = np.random.default_rng(3).normal(size=(3, 1, 40, 1)).astype(np.float32)
    x[1, 0, 3], x[2, 0, 39], x[0, 0, 17] = np.nan, np.nan, np.inf
    for kind in EXTREMES:
        got = run(machine, ReduceSpec(kind, "float32", False), x, {})
        np.testing.assert_array_equal(got, reference("reduce", [x], [None], kind=kind, axes=(1, 2), keepdims=False))
