"""Copies of all forms against numpy's strided assignment."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgec.compiler.kernels import copy
from edgec.compiler.kernels.copy import CopySpec
from edgec.tests.kernel_harness import Array, Machine, examples, on_machines, run_kernel

_TYPES = {1: np.int8, 2: np.int16, 4: np.float32, 8: np.int64}


def numbers(shape: tuple[int, ...], element: int) -> Array:
    return np.arange(int(np.prod(shape))).reshape(shape).astype(_TYPES[element])


def inside(shape: tuple[int, ...], element: int) -> Array:
    """Zeros as a part of a larger tensor: every dimension but the last is wider."""
    whole = np.zeros([d + 2 for d in shape[:-1]] + [shape[-1]], _TYPES[element])
    return whole[tuple(slice(1, 1 + d) for d in shape[:-1])]


def run(
    machine: Machine,
    spec: CopySpec,
    x: Array,
    y: Array,
    x_steps: list[int],
    y_steps: list[int],
    extents: list[int],
    chunk: int,
) -> Array:
    """`extents`: five; strides in the order of the spec's parameters."""
    chunks = -(-extents[4] // chunk)
    space = dict(zip(("extent_1", "extent_2", "extent_3", "count"), extents[1:], strict=True))
    names = [p for p in spec.params if p[:2] in ("x_", "y_")]
    params = space | {"chunk": chunk, "chunks": chunks} | dict(zip(names, [*x_steps, *y_steps], strict=True))
    return run_kernel(copy, spec, machine, {"x": x, "y": y}, params, extents[0] * extents[1] * chunks)["y"]


shapes = st.tuples(*[st.integers(1, 3)] * 4, st.integers(1, 70))


@on_machines
@examples
@given(shape=shapes)
def test_dense(machine: Machine, shape: tuple[int, ...]) -> None:
    x, y = numbers(shape, 1), inside(shape, 1)
    got = run(machine, CopySpec("dense"), x, y, list(x.strides[:4]), list(y.strides[:4]), list(shape), 64)
    np.testing.assert_array_equal(got, x)


@on_machines
@pytest.mark.parametrize("element", [1, 2, 4, 8])
@examples
@given(shape=shapes, order=st.permutations(range(5)))
def test_strided(machine: Machine, element: int, shape: tuple[int, ...], order: list[int]) -> None:
    x = numbers(shape, element)
    turned = x.transpose(order)
    y = inside(turned.shape, element)
    got = run(
        machine, CopySpec("strided", element), x, y, list(turned.strides), list(y.strides), list(turned.shape), 64
    )
    np.testing.assert_array_equal(got, turned)


@on_machines
def test_backwards_and_repeated(machine: Machine) -> None:
    x = numbers((4, 5), 4)
    y = np.zeros((3, 4, 5), np.float32)
    operands, flipped = {"x": x.reshape(-1)[15:], "y": y}, [0, -20, 4]
    params = {"extent_1": 1, "extent_2": 3, "extent_3": 4, "count": 5, "chunk": 5, "chunks": 1}
    params |= dict(zip(("x_2", "x_3", "x_4", "y_2", "y_3", "y_4"), [*flipped, 80, 20, 4], strict=True))
    params |= dict.fromkeys(("x_0", "x_1", "y_0", "y_1"), 0)
    got = run_kernel(copy, CopySpec("strided", 4), machine, operands, params, 1)["y"]
    np.testing.assert_array_equal(got, np.broadcast_to(x[::-1], (3, 4, 5)))


@on_machines
@pytest.mark.parametrize("element", [1, 4])
@examples
@given(outer=st.integers(1, 3), rows=st.integers(8, 40), columns=st.integers(8, 90))
def test_transpose(machine: Machine, element: int, outer: int, rows: int, columns: int) -> None:
    x = numbers((outer, rows, columns), element)
    y = inside((outer, columns, rows), element)
    steps = [x.strides[0], 0, 0, x.strides[1]], [y.strides[0], 0, 0, y.strides[1]]
    got = run(machine, CopySpec("transpose", element), x, y, *steps, [outer, 1, 1, rows, columns], 16)
    np.testing.assert_array_equal(got, x.transpose(0, 2, 1))


@on_machines
@pytest.mark.parametrize("element", [1, 4])
@pytest.mark.parametrize("planes", [2, 3, 4])
@examples
@given(outer=st.integers(1, 3), count=st.integers(1, 90))
def test_interleave(machine: Machine, element: int, planes: int, outer: int, count: int) -> None:
    x = numbers((outer, planes, count), element)
    y = inside((outer, count * planes), element)
    steps = [x.strides[0], 0, 0, x.strides[1]], [y.strides[0], 0, 0]
    got = run(machine, CopySpec("interleave", element, planes), x, y, *steps, [outer, 1, 1, planes, count], 32)
    np.testing.assert_array_equal(got, x.transpose(0, 2, 1).reshape(outer, -1))


@on_machines
@pytest.mark.parametrize("element", [1, 4])
@pytest.mark.parametrize("planes", [2, 3, 4])
@examples
@given(outer=st.integers(1, 3), count=st.integers(1, 90))
def test_deinterleave(machine: Machine, element: int, planes: int, outer: int, count: int) -> None:
    x = numbers((outer, count, planes), element)
    y = inside((outer, planes, count), element)
    steps = [x.strides[0], 0, 0], [y.strides[0], 0, 0, y.strides[1]]
    got = run(machine, CopySpec("deinterleave", element, planes), x, y, *steps, [outer, 1, 1, planes, count], 32)
    np.testing.assert_array_equal(got, x.transpose(0, 2, 1))
