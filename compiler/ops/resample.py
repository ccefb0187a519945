"""Resizing any dimensions of a tensor by any of ONNX's rules: a gather, or a product with constant weights, an axis.

`resize.py` has an op of its own for what is common: planes, by the nearest element or linearly.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import floor, prod

import numpy as np

from ..ir.expr import Expr, In, call, clip
from ..ir.graph import Array, Value
from .builder import Builder

MAX_WEIGHTS = 2**26
"""Elements of the weights of one axis."""


@dataclass(frozen=True)
class Rule:
    """ONNX's attributes. `a`: the coefficient of cubic weights; `outside`: the value outside a crop."""

    mode: str
    coordinates: str
    rounding: str = "round_prefer_floor"
    a: float = -0.75
    antialias: bool = False
    exclude_outside: bool = False
    outside: float = 0.0


@dataclass(frozen=True)
class Axis:
    """One dimension: its extents, the scale between them, and the part (start, end in [0, 1]) that a crop takes."""

    before: int
    after: int
    scale: float
    crop: tuple[float, float] = (0.0, 1.0)

    @property
    def changes(self) -> bool:
        """Whether the elements of the result are others."""
        return self.before != self.after or self.scale != 1.0 or self.crop != (0.0, 1.0)


def resample(b: Builder, x: Value, axes: list[Axis], rule: Rule) -> Value:
    """`x` with each dimension resized; integers are rounded at the end."""
    dtype, changed = x.type.dtype, [i for i, axis in enumerate(axes) if axis.changes]
    outside = [_places(axes[i], rule)[1] for i in changed]
    if rule.mode == "nearest":
        for i in changed:
            x = b.emit("gather", x, b.constant(_nearest(axes[i], rule)), axis=i)
    else:
        x = x if dtype == "float32" else b.map(call("cast", In(0), dtype="float32"), x)
        for i in changed:
            x = _multiplied(b, x, i, _weights(axes[i], rule))
        x = x if dtype == "float32" else b.map(_converted(dtype), x)
    for i, places in zip(changed, outside, strict=True):
        if places.any():
            shape = [len(places) if axis == i else 1 for axis in range(x.type.rank)]
            value = b.constant(np.array(rule.outside).astype(x.type.dtype))
            x = b.map(call("where", In(1), In(2), In(0)), x, b.constant(places.reshape(shape)), value)
    return x


def _converted(dtype: str) -> Expr:
    """A float32 in another type; integers are rounded, and stay within their range."""
    if "float" in dtype:
        return call("cast", In(0), dtype=dtype)
    if dtype == "bool":
        raise ValueError("it interpolates bool; numbers are supported")
    info = np.iinfo(dtype)
    return call("cast", clip(call("round", In(0)), float(info.min), float(info.max)), dtype=dtype)


def _places(axis: Axis, rule: Rule) -> tuple[Array, Array]:
    """Where each output index lies in the input, and whether that is outside of it (of crops).

    In float32, as others compute it: where a place is halfway between two elements, the last bit decides.
    """
    kind, one, half = rule.coordinates, np.float32(1), np.float32(0.5)
    i, before, scale = np.arange(axis.after, dtype=np.float32), np.float32(axis.before), np.float32(axis.scale)
    width, last = scale * before, before - one
    if kind == "tf_crop_and_resize":
        start, end = map(np.float32, axis.crop)
        steps = i / np.float32(axis.after - 1) if axis.after > 1 else i + half
        at = start * last + steps * (end - start) * last
        return at, np.logical_or(at < 0, at > last)
    if kind == "align_corners":
        at = i * last / (width - one) if width != 1 else 0 * i
    elif kind == "asymmetric":
        at = i / scale
    elif kind == "tf_half_pixel_for_nn":
        at = (i + half) / scale
    elif kind == "pytorch_half_pixel" and axis.after == 1:
        at = i
    elif kind in ("half_pixel", "pytorch_half_pixel", "half_pixel_symmetric"):
        at = (i + half) / scale - half
        if kind == "half_pixel_symmetric":
            at = before * half * (one - np.float32(axis.after) / width) + at
    else:
        raise ValueError(
            f"its coordinate_transformation_mode {kind!r} is unknown; "
            "half_pixel, pytorch_half_pixel, half_pixel_symmetric, align_corners, asymmetric and tf_crop_and_resize "
            "are supported"
        )
    return at, np.zeros(axis.after, np.bool_)


_ROUNDINGS: dict[str, Callable[[Array], Array]] = {
    "round_prefer_floor": lambda at: np.ceil(at - 0.5),
    "round_prefer_ceil": lambda at: np.floor(at + 0.5),
    "floor": np.floor,
    "ceil": np.ceil,
}


def _nearest(axis: Axis, rule: Rule) -> Array:
    """The input index that each output index copies."""
    if rule.rounding not in _ROUNDINGS:
        raise ValueError(f"its nearest_mode {rule.rounding!r} is unknown; {', '.join(_ROUNDINGS)} are supported")
    at = _ROUNDINGS[rule.rounding](_places(axis, rule)[0].astype(np.float64))
    return np.clip(at, 0, axis.before - 1).astype(np.int64)


def _weights(axis: Axis, rule: Rule) -> Array:
    """[after, before]: what each input element counts in each output element; float32."""
    if axis.before * axis.after > MAX_WEIGHTS:
        raise ValueError(
            f"it resizes {axis.before} to {axis.after} elements; "
            f"a product of up to {MAX_WEIGHTS} is supported: resize in two steps"
        )
    reach, curve = {"linear": (1, _linear), "cubic": (2, lambda x: _cubic(x, rule.a))}[rule.mode]
    shrink = min(axis.scale, 1.0) if rule.antialias else 1.0  # a wider curve, so that every input element counts
    at = _places(axis, rule)[0].astype(np.float64)
    left = np.ceil(at) - 1
    first = floor(-reach / shrink) + 1
    if (2 - 2 * first) * axis.after > MAX_WEIGHTS:
        raise ValueError(f"its scale {axis.scale} is too small for antialias; resize in two steps")
    taps = np.arange(first, 2 - first)
    weights = curve(np.abs((taps - (at - left)[:, None]) * shrink))
    indices = (left[:, None] + taps).astype(np.int64)
    if rule.exclude_outside:
        weights = np.where((indices < 0) | (indices >= axis.before), 0.0, weights)
    if rule.exclude_outside or rule.antialias:
        total = weights.sum(1, keepdims=True)
        weights = weights / np.where(total == 0, 1.0, total)
    matrix: Array = np.zeros((axis.after, axis.before))
    np.add.at(matrix, (np.arange(axis.after)[:, None], np.clip(indices, 0, axis.before - 1)), weights)
    return matrix.astype(np.float32)


def _linear(distance: Array) -> Array:
    return np.asarray(np.maximum(1 - distance, 0.0))


def _cubic(x: Array, a: float) -> Array:
    """Keys, "Cubic convolution interpolation for digital image processing", 1981."""
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = ((a * x - 5 * a) * x + 8 * a) * x - 4 * a
    return np.where(x <= 1, near, np.where(x < 2, far, 0.0))


def _multiplied(b: Builder, x: Value, axis: int, weights: Array) -> Value:
    """`weights` [after, before] times the dimension `axis` of `x`."""
    shape = x.type.shape
    before, after = prod(shape[:axis]), prod(shape[axis + 1 :])
    result = (*shape[:axis], len(weights), *shape[axis + 1 :])
    if after == 1:
        y = b.emit("matmul", b.reshape(x, (before, shape[axis])), b.constant(np.ascontiguousarray(weights.T)))
    else:
        y = b.emit("matmul", b.constant(weights), b.reshape(x, (before, shape[axis], after)))
    return b.reshape(y, result)
