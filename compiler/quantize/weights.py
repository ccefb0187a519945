"""Weights and biases as integers."""

from typing import Any

import numpy as np

from ..ir.types import Quant

Array = np.ndarray[Any, Any]

MAX_WEIGHT = 127
MAX_BIAS = 2**30
"""Biases stay below half of int32, the other half is for the products."""

LARGEST_SCALE = 1e37
"""Weight scales stay finite in float32, whatever bias a model pairs with whatever input range."""

MAX_PRODUCTS = (2**31 - 1 - MAX_BIAS) // (255 * MAX_WEIGHT)
"""Products that one int32 accumulator can take next to a bias: |x - zero_point| <= 255, |w| <= 127."""


def quantize_weights(
    w: Array, axis: int | None, input_scale: float, bias: Array | None, least: float = 0.0
) -> tuple[Array, Quant]:
    """`w` as int8 in [-127, 127], symmetric, with one scale for each index of `axis` (None: one for all).

    scale = max|w| / 127, raised to `least`, and where it must be so that |bias / (input_scale * scale)| < `MAX_BIAS`:
    both happen in channels whose weights are nearly zero. An error of at most scale / 2 a weight.
    """
    others = tuple(d for d in range(w.ndim) if d != axis) if axis is not None else None
    scale = np.abs(w).max(axis=others, initial=0.0).astype(np.float64) / MAX_WEIGHT
    scale = np.maximum(scale, least)
    if bias is not None:
        needed = np.abs(bias.astype(np.float64)) / (input_scale * (MAX_BIAS - 1))
        scale = np.maximum(scale, needed if axis is not None else needed.max(initial=0.0))
    scale = np.where(scale > 0, np.minimum(scale, LARGEST_SCALE), 1.0)
    # In float32 rounded up: rounded down, a bias at the limit would pass it.
    single = scale.astype(np.float32)
    single = np.where(single < scale, np.nextafter(single, np.float32(np.inf)), single).reshape(-1)
    quant = Quant(tuple(map(float, single)), (0,) * single.size, axis)
    steps = np.rint(w.astype(np.float64) / quant.broadcast(w.ndim)[0])
    return np.clip(steps, -MAX_WEIGHT, MAX_WEIGHT).astype(np.int8), quant


def quantize_bias(bias: Array, input_scale: float, weights: Quant) -> Array:
    """int32 rne(bias / (input_scale * weight_scale)); `weights` comes from `quantize_weights` with this bias."""
    steps = np.rint(bias.astype(np.float64) / (input_scale * np.array(weights.scale, np.float64)))
    return np.clip(steps, -MAX_BIAS, MAX_BIAS).astype(np.int32)
