"""Softmax: int8 byte for byte, float32 within rounding."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgec.compiler.ir import arrays, elementary
from edgec.compiler.ir.types import Quant
from edgec.compiler.kernels import softmax
from edgec.compiler.kernels.softmax import SoftmaxSpec
from edgec.compiler.ops import quantized
from edgec.tests.kernel_harness import Machine, examples, on_machines, reference, run_kernel


@on_machines
@examples
@given(
    rows=st.integers(1, 7), count=st.integers(1, 300), scale=st.floats(0.01, 0.4), zero=st.sampled_from([-128, 0, 100])
)
def test_int8(machine: Machine, rows: int, count: int, scale: float, zero: int) -> None:
    x = np.random.default_rng(count).integers(-128, 128, (rows, count)).astype(np.int8)
    quants = Quant.per_tensor(scale, 11), Quant.per_tensor(1 / 256, zero)
    expected = reference("softmax", [x], [quants[0]], quants[1], axis=1)
    params: dict[str, int | float] = {
        "rows": rows,
        "tile_rows": 2,
        "count": count,
        "x_row": count,
        "y_row": count,
        "zero_point": zero,
    }
    operands = {"x": x, "w": quantized.softmax_table(quants[0]), "y": np.zeros_like(x)}
    params["inverse_scale"] = 1 / quants[1].scale[0]
    got = run_kernel(softmax, SoftmaxSpec("int8"), machine, operands, params, (rows + 1) // 2)["y"]
    np.testing.assert_array_equal(got, expected)


@on_machines
@pytest.mark.parametrize("log", [False, True])
@examples
@given(rows=st.integers(1, 5), count=st.integers(1, 100))
def test_float(machine: Machine, log: bool, rows: int, count: int) -> None:
    x = np.random.default_rng(count).normal(0, 20, (rows, count)).astype(np.float32)
    params = {"rows": rows, "tile_rows": 2, "count": count, "x_row": count * 4, "y_row": count * 4}
    operands = {"x": x, "y": np.zeros_like(x)}
    got = run_kernel(softmax, SoftmaxSpec("float32", log), machine, operands, params, (rows + 1) // 2)["y"]
    np.testing.assert_allclose(got, reference("softmax", [x], [None], axis=1, log=log), rtol=2e-6, atol=5e-7)


def test_powers() -> None:
    """The error of `decay`, over all sizes of operands."""
    x = np.concatenate([-np.logspace(-8, np.log10(87.3), 200_001), -np.linspace(0, 87.3, 200_001)]).astype(np.float32)
    exact = np.exp(x.astype(np.float64))
    error = np.abs(elementary.decay(arrays.ARRAYS, x) / exact - 1)
    assert error[x > -20].max() < 1.2e-7 and error.max() < 3.1e-7
    assert elementary.decay(arrays.ARRAYS, np.array([0, -87.8, -1e9], np.float32)).tolist() == [1, 0, 0]
