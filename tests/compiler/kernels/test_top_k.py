"""The k best of rows, against the numpy reference."""

from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgec.compiler.ir.graph import Array, Attr, Node, Value
from edgec.compiler.ir.types import TensorType
from edgec.compiler.kernels import first, top_k
from edgec.compiler.kernels.first import FirstSpec
from edgec.compiler.kernels.top_k import TopKSpec
from edgec.compiler.ops.reference import run_node
from edgec.tests.kernel_harness import Machine, examples, on_machines, run_kernel


def elements(dtype: str, *shape: int) -> Array:
    """Many equal ones; floats with NaNs, infinities and both zeros among them."""
    rng = np.random.default_rng(shape[1])
    x = rng.integers(0, 2 + shape[1] // 2, shape).astype(dtype)
    if dtype == "float32":
        odd = rng.choice([np.nan, np.inf, -np.inf, -0.0, 0.0, -1.5], shape)
        x = np.where(rng.random(shape) < 0.3, odd, x - 3).astype(dtype)
    return (x << np.uint64(62)) + x if dtype == "uint64" else x


def check(
    module: ModuleType, spec: Any, machine: Machine, x: Array, k: int, largest: bool, params: dict[str, int], tiles: int
) -> None:
    shape = (x.shape[0], k, x.shape[2])
    y, indices = np.zeros(shape, x.dtype), np.zeros(shape, np.int64)
    params = {"count": x.shape[1], "flip": 0 if largest else -1, **params}
    got = run_kernel(module, spec, machine, {"x": x, "y": y, "indices": indices}, params, tiles)
    outputs = [Value(name, TensorType(shape, t)) for name, t in (("y", str(x.dtype)), ("i", "int64"))]
    attrs: dict[str, Attr] = {"axis": 1, "k": k, "largest": largest}
    values, places = run_node(Node("top_k", [Value("x", TensorType(x.shape, str(x.dtype)))], outputs, attrs), [x])
    np.testing.assert_array_equal(got["indices"], places)
    np.testing.assert_array_equal(got["y"].view(np.uint8), values.view(np.uint8))


@on_machines
@pytest.mark.parametrize("dtype", ["float32", "int8", "uint64"])
@examples
@given(
    outer=st.integers(1, 3), count=st.integers(1, 40), inner=st.integers(1, 3), portion=st.floats(0, 1),
    largest=st.booleans(),
)  # fmt: skip
def test_several(
    machine: Machine, dtype: str, outer: int, count: int, inner: int, portion: float, largest: bool
) -> None:
    k = 1 + int(portion * (count - 1))
    x = elements(dtype, outer, count, inner)
    check(top_k, TopKSpec(dtype), machine, x, k, largest, {"k": k, "inner": inner}, outer * inner)


@on_machines
@pytest.mark.parametrize("dtype", ["float32", "uint8", "int64"])
@examples
@given(
    outer=st.integers(1, 3), count=st.integers(1, 50), inner=st.integers(1, 40), chunk=st.integers(1, 40),
    largest=st.booleans(),
)  # fmt: skip
def test_first(machine: Machine, dtype: str, outer: int, count: int, inner: int, chunk: int, largest: bool) -> None:
    chunk = min(chunk, inner)
    chunks = -(-inner // chunk)
    x = elements(dtype, outer, count, inner)
    params = {"inner": inner, "chunk": chunk, "chunks": chunks}
    check(first, FirstSpec(dtype, inner=True), machine, x, 1, largest, params, outer * chunks)
    rows = x.reshape(-1, count, 1)
    check(first, FirstSpec(dtype, inner=False), machine, rows, 1, largest, {}, len(rows))
