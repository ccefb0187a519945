"""Rows of normalize: floats near the reference, int8 its bytes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgec.compiler.ir.types import Quant
from edgec.compiler.kernels import normalize
from edgec.compiler.kernels.normalize import HEADER, HEADER_BYTES, PADDED, NormalizeSpec
from edgec.compiler.ops import quantized
from edgec.tests.kernel_harness import Array, Machine, examples, on_machines, reference, run_kernel


def packed(how: quantized.NormalizeParameters, rms: bool) -> Array:
    """The constants as the kernel's docstring orders them."""
    n, step, padded = float(how.count), how.step, max(how.count, PADDED)
    header = np.zeros(HEADER_BYTES // 8)
    header[: len(HEADER)] = (step * step / n, how.epsilon, step) if rms else (step * step, n * n * how.epsilon, step)
    arrays = np.zeros((2, padded), np.float32)
    arrays[:, : how.count] = how.scale, how.bias
    return np.concatenate([header.view(np.uint8), arrays.reshape(-1).view(np.uint8)])


@on_machines
@pytest.mark.parametrize("rms", [False, True])
@examples
@given(
    rows=st.integers(1, 5), count=st.sampled_from([1, 3, 15, 16, 17, 64, 100, 384, 1000]), zero=st.integers(-128, 127),
    step=st.sampled_from([0.003, 0.05, 2.0]), epsilon=st.sampled_from([1e-5, 1e-12, 0.0]), seed=st.integers(0, 99),
)  # fmt: skip
def test_int8(
    machine: Machine, rms: bool, rows: int, count: int, zero: int, step: float, epsilon: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    x = np.clip(rng.normal(zero / 2, rng.choice([0.4, 9, 90]), (rows, count)), -128, 127).astype(np.int8)
    scale, bias = (rng.normal(1, 0.5, count).astype(np.float32) for _ in range(2))
    quants = Quant.per_tensor(step, zero), Quant.per_tensor(0.031, -9)
    expected = quantized_reference(x, quants, scale, bias, rms, epsilon)
    how = quantized.normalize_parameters(count, *quants, scale, bias, epsilon)
    params: dict[str, int | float] = {
        "rows": rows, "tile_rows": 2, "count": count, "offsets": 4 * max(count, PADDED), "input_zero": zero,
        "y_zero_point": -9,
    }  # fmt: skip
    operands = {"x": x, "scale": packed(how, rms), "y": np.zeros_like(x)}
    got = run_kernel(normalize, NormalizeSpec("int8", rms), machine, operands, params, (rows + 1) // 2)["y"]
    np.testing.assert_array_equal(got, expected)


def quantized_reference(
    x: Array, quants: tuple[Quant, Quant], scale: Array, bias: Array, rms: bool, epsilon: float
) -> Array:
    inputs: list[Quant | None] = [quants[0], None, None]
    return reference("normalize", [x, scale, bias], inputs, quants[1], axis=1, rms=rms, epsilon=epsilon)


def test_definition_of_int8() -> None:
    """The integer form is within a step of the real function."""
    rng = np.random.default_rng(2)
    x = rng.integers(-128, 128, (6, 300)).astype(np.int8)
    scale, bias = (rng.normal(1, 0.5, 300).astype(np.float32) for _ in range(2))
    quants = Quant.per_tensor(0.02, 17), Quant.per_tensor(0.05, 4)
    real = quantized.dequantize(x, quants[0]).astype(np.float64)
    for rms in (False, True):
        got = quantized.dequantize(quantized_reference(x, quants, scale, bias, rms, 1e-5), quants[1])
        centered = real if rms else real - real.mean(1, keepdims=True)
        exact = centered / np.sqrt((centered**2).mean(1, keepdims=True) + 1e-5) * scale + bias
        inside = np.abs(exact) < 5
        assert np.abs(got - exact)[inside].max() < 0.0251


@on_machines
@pytest.mark.parametrize(
    ("rms", "dtype", "affine"), [(False, "float32", 2), (True, "float32", 1), (False, "float64", 0)]
)
@examples
@given(rows=st.integers(1, 5), count=st.sampled_from([1, 7, 8, 33, 384, 1000]))
def test_float(machine: Machine, rms: bool, dtype: str, affine: int, rows: int, count: int) -> None:
    rng = np.random.default_rng(count)
    x = rng.normal(3, 2, (rows, count)).astype(dtype)
    operands = dict(zip(("scale", "bias"), (rng.normal(1, 1, (2, count)).astype(dtype)), strict=True))
    used = [operands[n].copy() for n in ("scale", "bias")[:affine]]
    params: dict[str, int | float] = {"rows": rows, "tile_rows": 2, "count": count, "epsilon": float(np.float32(1e-3))}
    spec = NormalizeSpec(dtype, rms, affine > 0, affine > 1)
    memory = {"x": x, "y": np.zeros_like(x)} | dict(zip(("scale", "bias"), used, strict=False))
    got = run_kernel(normalize, spec, machine, memory, params, (rows + 1) // 2)["y"]
    epsilon = params["epsilon"]
    expected = reference("normalize", [x, *used], [None] * (1 + affine), axis=1, rms=rms, epsilon=epsilon)
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=2e-6)
