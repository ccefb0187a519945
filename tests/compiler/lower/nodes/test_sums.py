"""Additions of codes as one shift: the same codes as the contract's, for every pair."""

from collections.abc import Sequence

import numpy as np
import pytest

from edgec.compiler.ir.types import Quant
from edgec.compiler.lower.nodes.sums import shift_params, sum_params
from edgec.compiler.ops import quantized

CODES = np.arange(-128, 128)


def _quants(rng: np.random.Generator) -> tuple[Quant, Quant, Quant]:
    a, b, y = (Quant.per_tensor(rng.uniform(0.01, 0.1), int(rng.integers(-128, 128))) for _ in range(3))
    return a, b, y


def _shifted(params: dict[str, int], zeros: Sequence[int], codes: slice) -> np.ndarray:
    """What kernels compute of such codes and all, in int32 that wraps."""
    left, right = (CODES[codes] - zeros[0])[:, None], (zeros[1] - CODES)[None]
    sums = left * params["shifted_a"] - (right + params["start"]) * params["shifted_b"]
    wrapped = ((sums + 2**31) % 2**32 - 2**31) >> params["shift"]
    assert np.abs(wrapped).max() < 2**15
    return np.clip(wrapped, -128, 127)


@pytest.mark.parametrize(("low", "high"), [(-128, 127), (-20, 90)])
def test_every_pair_of_codes(low: int, high: int) -> None:
    """Those of the first operand between bounds."""
    rng, found, left = np.random.default_rng(5), 0, slice(low + 128, high + 129)
    for _ in range(100):
        types = _quants(rng)
        params = shift_params(*types, low, high)
        if params is not None:
            found += 1
            expected = quantized.add(CODES[left, None], CODES[None], types)
            np.testing.assert_array_equal(_shifted(params, [q.zero_point[0] for q in types], left), expected)
    assert found > 80


def test_ties() -> None:
    """Halves go to the even code, up or down: no shift does that."""
    a, b, y = (Quant.per_tensor(scale, 3) for scale in (0.5, 0.5, 1.0))
    assert sum_params(a, b, y, small=True, shifted=True)[0] == "small"
