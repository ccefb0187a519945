"""The 256-entry table, for every code."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgec.compiler.ir.expr_text import parse
from edgec.compiler.ir.graph import Graph, Node, Value
from edgec.compiler.ir.types import Quant, TensorType
from edgec.compiler.kernels import table
from edgec.compiler.kernels.elementwise import rows_of
from edgec.tests.compiler.lower.running import check
from edgec.tests.kernel_harness import Machine, examples, on_machines, run_kernel


@on_machines
@examples
@given(
    count=st.integers(1, 100) | st.integers(1, 700) | st.sampled_from([16, 32, 48]),
    rows=st.integers(1, 3),
    known=st.booleans(),
)
def test_every_code(machine: Machine, count: int, rows: int, known: bool) -> None:
    rng = np.random.default_rng(count)
    w = rng.integers(-128, 128, 256).astype(np.int8)
    x = rng.permutation(np.resize(np.arange(-128, 128), rows * count)).astype(np.int8).reshape(rows, count)
    y = np.zeros((rows, count + 3), np.int8)[:, 1 : 1 + count]
    strides = {f"{n}_{i}": a.strides[0] if i == 1 else 0 for n, a in (("x", x), ("y", y)) for i in range(3)}
    chunks = -(-count // 64)
    params = {"extent_1": rows, "extent_2": 1, "count": count, "chunk": 64, "chunks": chunks, **strides}
    length = rows_of(count, table.VECTORS * machine.isa.lanes)
    narrow = length == "short" and count % table.NARROW == 0
    spec = table.TableSpec("long" if narrow else length, narrow) if known else table.TableSpec("any")
    got = run_kernel(table, spec, machine, {"x": x, "w": w, "y": y}, params, rows * chunks)["y"]
    np.testing.assert_array_equal(got, w[x.astype(int) + 128])


@pytest.mark.parametrize("channels", [(16, 48), (32, 24), (64, 96), (100, 7)])
def test_channels_of_wider_tensors(channels: tuple[int, int], tmp_path: Path) -> None:
    """Rows that lie in a concat's buffer, for every variant that this machine runs."""
    quant = Quant.per_tensor(0.05, 3)
    inputs, halves = [], []
    for i, count in enumerate(channels):
        inputs.append(Value(f"x{i}", TensorType((1, 5, 51, count), "int8", quant)))
        halves.append(Value(f"y{i}", inputs[-1].type))
    expr = parse("div(1.0, add(exp(neg(%0)), 1.0))")
    nodes = [Node("map", [x], [y], {"expr": expr}, y.name) for x, y in zip(inputs, halves, strict=True)]
    out = Value("y", TensorType((1, 5, 51, sum(channels)), "int8", quant))
    nodes.append(Node("concat", halves, [out], {"axis": 3}, "y"))
    codes = np.random.default_rng(0).permutation(np.resize(np.arange(-128, 128), 5 * 51 * sum(channels)))
    x0, x1 = np.split(codes.astype(np.int8).reshape(out.type.shape), [channels[0]], axis=3)
    check(Graph("graph", inputs, [out], nodes), {"x0": x0, "x1": x1}, tmp_path)
