"""The arithmetic of 8-bit tensors: the constants of the contract in ARCHITECTURE.md and the functions made of them.

The references of the ops and the lowering take their constants from here, so that kernels and specification cannot
drift apart. All float arithmetic is float32 unless a function says float64; `rne` is round half to even.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ..ir.evaluation import evaluate
from ..ir.expr import Expr, clamp_bounds, peel_clamp
from ..ir.graph import Array
from ..ir.types import Quant, TensorType


def quantize(x: Array, quant: Quant, dtype: str = "int8") -> Array:
    """q(x) = saturate(rne(x / s) + z) to the range of the integer `dtype`; a NaN gives the zero point."""
    scale, zero = quant.broadcast(x.ndim)
    info = np.iinfo(dtype)
    with np.errstate(over="ignore", invalid="ignore"):
        steps = np.rint(x.astype(np.float32) / scale).astype(np.float64)
    steps = np.clip(
        np.nan_to_num(steps, nan=0.0, posinf=np.inf, neginf=-np.inf),
        info.min - zero.astype(float),
        info.max - zero.astype(float),
    )
    return np.asarray((steps + zero).astype(dtype))


def dequantize(codes: Array, quant: Quant) -> Array:
    """r(q) = float32(q - z) * s."""
    scale, zero = quant.broadcast(codes.ndim)
    return np.asarray((codes.astype(np.int64) - zero).astype(np.float32) * scale)


def scalar(quant: Quant) -> tuple[float, int]:
    """(scale, zero point) of a per-tensor quantization; ValueError for a per-channel one."""
    if quant.axis is not None:
        raise ValueError("the quantization must be per tensor here")
    return quant.scale[0], quant.zero_point[0]


def saturation(activation: Expr | None, quant: Quant) -> tuple[int, int]:
    """The codes [q(lo), q(hi)] to which a clamp confines an int8 result; ValueError if it isn't a clamp of `%0`."""
    return _codes_of_bounds(*((-np.inf, np.inf) if activation is None else clamp(activation)), quant)


def clamp(activation: Expr) -> tuple[float, float]:
    """The bounds of an activation over quantized types; ValueError if it isn't a clamp of `%0`."""
    bounds = clamp_bounds(activation)
    if bounds is None:
        raise ValueError(
            "with quantized types an activation must be a clamp by constants; other functions are a map of their own"
        )
    return bounds


def _codes_of_bounds(lo: float, hi: float, quant: Quant) -> tuple[int, int]:
    low, high = quantize(np.array([lo, hi], np.float32), quant)
    return int(low), int(high)


def requant_multiplier(x: Quant, w: Quant, y: Quant, *, fixed_point: bool = False) -> Array:
    """m[o] = float32(float32(sx * sw[o]) / sy): float32, one entry per scale of `w`; `odd` of it in fixed point."""
    m = np.float32(scalar(x)[0]) * np.array(w.scale, np.float32) / np.float32(scalar(y)[0])
    return odd(m) if fixed_point else np.asarray(m)


def odd(m: Array) -> Array:
    """float32 `m` as an odd number of steps: those of its last place, or of 2^-31 if these are finer. At most 512:
    times that, any sum but 0 saturates.

    Its product with an integer never lies in the middle between two integers, unless the product is 2^22 or more, or
    the integer 2^30."""
    m = np.minimum(m, np.float32(512))
    step = np.maximum(np.spacing(m), np.float32(2.0**-31)).astype(np.float64)
    return np.asarray((np.floor(m / step) // 2 * 2 + 1) * step).astype(np.float32)


def rescale(acc: Array, multiplier: Array, zero: int, lo: int = -128, hi: int = 127) -> Array:
    """saturate(rne(float32(acc) * m) + z) with an exact product, clamped to [lo, hi]: int32 -> int8; `multiplier`
    broadcasts to `acc`."""
    steps = np.rint(acc.astype(np.float32).astype(np.float64) * multiplier)
    return np.asarray((np.clip(steps, lo - zero, hi - zero) + zero).astype(np.int8))


def requantize(acc: Array, multiplier: Array | np.float32, zero: int, lo: int = -128, hi: int = 127) -> Array:
    """saturate(rne(float32(acc) * m) + z), clamped to [lo, hi]: int32 -> int8; `multiplier` broadcasts to `acc`."""
    steps = np.rint(acc.astype(np.float32) * multiplier)
    return np.asarray(
        (np.clip(steps, np.float32(lo - zero), np.float32(hi - zero)).astype(np.int32) + zero).astype(np.int8)
    )


ADD_BITS = 22
"""Two differences of codes times multipliers of so many bits sum up in int32: 2 * 255 * 2^22 < 2^31."""


class AddParameters(NamedTuple):
    """The constants of a quantized addition: (a - za) * left + (b - zb) * right in steps of `step` times the result's.

    The products are exact in int32; `step` is a power of two, float32.
    """

    left: int
    right: int
    step: np.float32


def add_parameters(a: Quant, b: Quant, y: Quant) -> AddParameters:
    """S = 22 - ceil(log2(max(sa, sb) / sy)) in [1, 30]; multipliers rne(s / sy * 2^S), at most 2^22; step 2^-S."""
    (sa, _), (sb, _), (sy, _) = scalar(a), scalar(b), scalar(y)
    shift = min(max(ADD_BITS - math.ceil(math.log2(max(sa, sb) / sy)), 1), 30)
    left, right = (min(round(s / sy * 2.0**shift), 2**ADD_BITS) for s in (sa, sb))
    return AddParameters(left, right, np.float32(2.0**-shift))


def add(a: Array, b: Array, types: tuple[Quant, Quant, Quant], lo: int = -128, hi: int = 127) -> Array:
    """The quantized addition of int8 `a` and `b` (broadcasting); `types` are those of a, b and the result."""
    p = add_parameters(*types)
    (za, zb, zy) = (scalar(t)[1] for t in types)
    acc = (a.astype(np.int32) - za) * p.left + (b.astype(np.int32) - zb) * p.right
    return requantize(acc, p.step, zy, lo, hi)


def mul_multiplier(a: Quant, b: Quant, y: Quant) -> np.float32:
    """m = float32(sa * sb / sy), computed in float64."""
    return np.float32(scalar(a)[0] * scalar(b)[0] / scalar(y)[0])


def mul(a: Array, b: Array, types: tuple[Quant, Quant, Quant], lo: int = -128, hi: int = 127) -> Array:
    """The quantized product of int8 `a` and `b` (broadcasting); `types` are those of a, b and the result."""
    (za, zb, zy) = (scalar(t)[1] for t in types)
    acc = (a.astype(np.int32) - za) * (b.astype(np.int32) - zb)
    return requantize(acc, mul_multiplier(*types), zy, lo, hi)


def map_table(expr: Expr, x: TensorType, y: TensorType) -> Array:
    """q(expr(r(x))) for each of the 256 codes of the 8-bit type `x`, smallest code first; of dtype `y.dtype`."""
    assert x.quant is not None and y.quant is not None
    info = np.iinfo(x.dtype)
    codes = np.arange(info.min, info.max + 1, dtype=np.int32).astype(x.dtype)
    return quantize(evaluate(expr, [dequantize(codes, x.quant)]), y.quant, y.dtype)


def mean_multiplier(x: Quant, y: Quant, count: Array | int) -> Array:
    """m = float32(sx / (sy * count)), computed in float64; of the shape of `count`."""
    return np.asarray(scalar(x)[0] / (scalar(y)[0] * np.asarray(count, np.float64))).astype(np.float32)


def softmax_table(x: Quant) -> Array:
    """T[d] = rne(exp(-d * sx) * 2^16) for d = 0..255: int32, computed in float64."""
    return np.rint(np.exp(-np.arange(256, dtype=np.float64) * scalar(x)[0]) * 2.0**16).astype(np.int32)


def softmax(x: Array, axis: int, x_quant: Quant, y_quant: Quant) -> Array:
    """y_i = saturate(rne(float32(e_i) * (float32(1 / sy) / float32(E))) + zy), e_i = T[max(x) - x_i], E = sum e_i."""
    scale, zero = scalar(y_quant)
    wide = x.astype(np.int32)
    e = softmax_table(x_quant)[wide.max(axis, keepdims=True) - wide]
    total = e.sum(axis, keepdims=True, dtype=np.int32)
    return requantize(e, np.float32(1.0 / scale) / total.astype(np.float32), zero)


@dataclass(frozen=True)
class NormalizeParameters:
    """The constants of a quantized normalize over `count` elements: the input's step and epsilon are float64, scale and
    bias float32 in steps of the result."""

    count: int
    input_zero: int
    step: float
    epsilon: float
    scale: Array
    bias: Array
    zero: int


def normalize_parameters(
    count: int, x: Quant, y: Quant, scale: Array | None, bias: Array | None, epsilon: float
) -> NormalizeParameters:
    """g_i = float32(scale_i / sy), b_i = float32(bias_i / sy): float32 quotients."""
    (sx, zx), (sy, zy) = scalar(x), scalar(y)
    gains = np.ones(count, np.float32) if scale is None else scale
    offsets = np.zeros(count, np.float32) if bias is None else bias
    return NormalizeParameters(count, zx, sx, epsilon, gains / np.float32(sy), offsets / np.float32(sy), zy)


def normalize(x: Array, how: NormalizeParameters, *, rms: bool) -> Array:
    """Rows of the int8 matrix `x`, with N = count, c = x - zx, S = sum c, Q = sum c^2 (all exact integers):

    D = N * c - S, V = N * Q - S^2, r = float32(sx / sqrt(sx^2 * V + N^2 * epsilon)), the latter in float64;
    with `rms` D = c, r = float32(sx / sqrt(Q * (sx^2 / N) + epsilon)).
    y = saturate(rne(float32(D) * r * g_i + b_i) + zy): float32, one rounding an operation.
    """
    c = x.astype(np.int64) - how.input_zero
    total, squares = c.sum(axis=1, keepdims=True), (c * c).sum(axis=1, keepdims=True)
    n, step = np.float64(how.count), np.float64(how.step)
    if rms:
        d, variance = c, squares.astype(np.float64) * (step * step / n) + np.float64(how.epsilon)
    else:
        d = how.count * c - total
        spread = (how.count * squares - total * total).astype(np.float64)
        variance = spread * (step * step) + n * n * np.float64(how.epsilon)
    with np.errstate(divide="ignore"):
        r = (step / np.sqrt(variance)).astype(np.float32)
    with np.errstate(invalid="ignore", over="ignore"):
        steps = np.rint(d.astype(np.float32) * r * how.scale + how.bias)
    steps = np.nan_to_num(steps, nan=0.0, posinf=np.inf, neginf=-np.inf)
    return np.asarray((np.clip(steps, -128 - how.zero, 127 - how.zero).astype(np.int32) + how.zero).astype(np.int8))


def clamped_core(expr: Expr, y: Quant) -> tuple[Expr, int, int]:
    """(inner, q(lo), q(hi)): what `expr` computes before the clamps around it, and the codes they confine it to."""
    core, lo, hi = peel_clamp(expr)
    return (core, *_codes_of_bounds(lo, hi, y))
