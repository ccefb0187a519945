"""The 256-entry table, for every code."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from edgec.compiler.kernels import table
from edgec.compiler.kernels.elementwise import rows_of
from edgec.tests.kernel_harness import Machine, examples, on_machines, run_kernel


@on_machines
@examples
@given(count=st.integers(1, 100) | st.integers(1, 700), rows=st.integers(1, 3), known=st.booleans())
def test_every_code(machine: Machine, count: int, rows: int, known: bool) -> None:
    rng = np.random.default_rng(count)
    w = rng.integers(-128, 128, 256).astype(np.int8)
    x = rng.permutation(np.resize(np.arange(-128, 128), rows * count)).astype(np.int8).reshape(rows, count)
    y = np.zeros((rows, count + 3), np.int8)[:, 1 : 1 + count]
    strides = {f"{n}_{i}": a.strides[0] if i == 1 else 0 for n, a in (("x", x), ("y", y)) for i in range(3)}
    chunks = -(-count // 64)
    params = {"extent_1": rows, "extent_2": 1, "count": count, "chunk": 64, "chunks": chunks, **strides}
    spec = table.TableSpec(rows_of(count, table.VECTORS * machine.isa.lanes) if known else "any")
    got = run_kernel(table, spec, machine, {"x": x, "w": w, "y": y}, params, rows * chunks)["y"]
    np.testing.assert_array_equal(got, w[x.astype(int) + 128])
