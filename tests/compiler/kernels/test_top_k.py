"""The k best of rows, against the numpy reference."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgec.compiler.ir.graph import Node, Value
from edgec.compiler.ir.types import TensorType
from edgec.compiler.kernels import top_k
from edgec.compiler.kernels.top_k import TopKSpec
from edgec.compiler.ops.reference import run_node
from edgec.tests.kernel_harness import Machine, examples, on_machines, run_kernel


@on_machines
@pytest.mark.parametrize("dtype", ["float32", "int8", "uint64"])
@examples
@given(
    outer=st.integers(1, 3), count=st.integers(1, 40), inner=st.integers(1, 3), portion=st.floats(0, 1),
    largest=st.booleans(),
)  # fmt: skip
def test_rows(machine: Machine, dtype: str, outer: int, count: int, inner: int, portion: float, largest: bool) -> None:
    """Many equal elements; floats with NaNs, infinities and both zeros among them."""
    rng = np.random.default_rng(count)
    k = 1 + int(portion * (count - 1))
    x = rng.integers(0, 2 + count // 2, (outer, count, inner)).astype(dtype)
    if dtype == "float32":
        odd = rng.choice([np.nan, np.inf, -np.inf, -0.0, 0.0, -1.5], x.shape)
        x = np.where(rng.random(x.shape) < 0.3, odd, x - 3).astype(dtype)
    if dtype == "uint64":
        x = (x << np.uint64(62)) + x
    shape = (outer, k, inner)
    y, indices = np.zeros(shape, dtype), np.zeros(shape, np.int64)
    params = {"count": count, "k": k, "inner": inner, "flip": 0 if largest else -1}
    got = run_kernel(top_k, TopKSpec(dtype), machine, {"x": x, "y": y, "indices": indices}, params, outer * inner)
    outputs = [Value(name, TensorType(shape, t)) for name, t in (("y", dtype), ("i", "int64"))]
    attrs = {"axis": 1, "k": k, "largest": largest}
    node = Node("top_k", [Value("x", TensorType(x.shape, dtype))], outputs, attrs)  # type: ignore[arg-type]
    values, places = run_node(node, [x])
    np.testing.assert_array_equal(got["indices"], places)
    np.testing.assert_array_equal(got["y"].view(np.uint8), values.view(np.uint8))
