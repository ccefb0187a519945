"""The parameters of additions of two quantized values."""

from functools import cache
from itertools import product

import numpy as np

from ...ir.graph import Array
from ...ir.types import Quant
from ...kernels.emit.quantization import SumForm
from ...ops import quantized
from .pack import float_bits

_MODULUS = 1 << 32


def sum_params(
    a: Quant, b: Quant, y: Quant, codes: tuple[int, int] = (-128, 127), *, small: bool, shifted: bool = False
) -> tuple[SumForm, dict[str, int]]:
    """How a + b, for codes of `a` between two, is computed, and the parameters but for the bounds: those of
    `RESIDUAL_EPILOGUE`, or all of `SHIFTED_EPILOGUE`. `small`, `shifted`: there is code for it."""
    p = quantized.add_parameters(a, b, y)
    (zb, zy) = (quantized.scalar(q)[1] for q in (b, y))
    params = {"multiplier_a": p.left, "multiplier_b": p.right, "zero_point_b": zb, "sum_zero_point": zy}
    if not (small and _is_small(a, b, p)):
        return "any", {**params, "step": float_bits(float(p.step))}
    params["step"] = float_bits(1.5 * 2**23 / float(p.step))
    more = shift_params(a, b, y, *codes) if shifted else None
    return ("small", params) if more is None else ("shifted", params | more)


def _is_small(a: Quant, b: Quant, p: quantized.AddParameters) -> bool:
    """Whether sums are `small` for all codes."""
    (za, zb) = (quantized.scalar(q)[1] for q in (a, b))
    largest = p.left * max(127 - za, 128 + za) + p.right * max(127 - zb, 128 + zb)
    return largest * float(p.step) < 2**15 - 1


@cache
def shift_params(a: Quant, b: Quant, y: Quant, low: int = -128, high: int = 127) -> dict[str, int] | None:
    """What `SHIFTED_EPILOGUE` has more, for the sum of codes of `a` in [low, high] and of `b`.

    The contract rounds sums to float32 and then half to even; `(sum + start) >> shift` does without, if some `start`
    lies between what each of the 65,536 sums asks for. Multipliers a little off may leave more between. None where
    there are ties, up and down, or the sums would not fit int32, or the shifted ones int16.
    """
    p = quantized.add_parameters(a, b, y)
    (za, zb) = (quantized.scalar(q)[1] for q in (a, b))
    left, right = np.arange(low, high + 1)[:, None], np.arange(-128, 128)[None]
    codes = quantized.add(left, right, (a, b, y)).astype(np.int64)
    if codes.min() == codes.max():
        return None
    shift = round(-np.log2(float(p.step)))
    for more_a, more_b in _NEAR:
        multipliers = p.left + more_a, p.right + more_b
        start = _start(codes, (left - za) * multipliers[0] + (right - zb) * multipliers[1], shift, multipliers[1])
        if start is not None:
            factors = {"shifted_a": multipliers[0], "shifted_b": multipliers[1]}
            return {**factors, "start": _over(start, -multipliers[1]), "shift": shift}
    return None


_NEAR = sorted(product(range(-2, 3), repeat=2), key=lambda pair: sum(map(abs, pair)))
"""What multipliers may be off."""


def _start(codes: Array, sums: Array, shift: int, multiplier: int) -> int | None:
    """What is added to `sums`, if anything, so that `codes`, saturated, are what they are from bit `shift` on: a number
    that is the `multiplier` times another, modulo 2^32."""
    if multiplier == 0:
        return None
    least = int(((codes << shift) - sums)[codes > -128].max())
    most = int((((codes + 1) << shift) - 1 - sums)[codes < 127].min())
    unit = multiplier & -multiplier
    start = (least + most + unit) // (2 * unit) * unit  # near the middle
    low, high = int(sums.min()) + start, int(sums.max()) + start
    fits = low >= max(-(2**31), -(2**15) << shift) and high < min(2**31, 2**15 << shift)
    return start if least <= start <= most and fits else None


def _over(total: int, factor: int) -> int:
    """int32 whose product with `factor`, modulo 2^32, is `total`, a multiple of the same power of two."""
    unit = factor & -factor
    quotient = total // unit * pow(factor // unit, -1, _MODULUS) % _MODULUS
    return quotient - _MODULUS * (quotient >= _MODULUS // 2)
