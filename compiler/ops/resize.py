"""`resize`: a plane sampled at other points, by the nearest element or linearly; ONNX's Resize and Upsample."""

from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from ..ir.attributes import ints_attr, str_attr
from ..ir.extent import is_symbolic, values_of
from ..ir.graph import Array, Attr, Node, Value
from ..ir.registry import REQUIRED, OpDef, attr, register
from ..ir.types import TensorType
from . import quantized
from .builder import Builder
from .onnx_node import OnnxNode, normalized_axis, onnx_op
from .padding import planar, unplanar
from .resample import Axis, Rule, resample
from .spatial import from_nchw, in_layout, nchw_shape, to_nchw

COORDINATES = (
    "half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners", "asymmetric", "tf_half_pixel_for_nn",
)  # fmt: skip
ROUNDINGS = ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil")

MAX_EXTENT = 2**24
"""Of a resized dimension: more is a malformed model."""

WEIGHT_BITS = 11
"""A quantized linear resize weighs in units of 2^-11 an axis."""


def _infer(node: Node) -> tuple[TensorType, ...]:
    x = node.inputs[0].type
    n, c, *plane = nchw_shape(node, x)
    mode = str_attr(node, "mode", ("nearest", "linear"))
    str_attr(node, "coordinates", COORDINATES)
    str_attr(node, "rounding", ROUNDINGS)
    if not all(s is None or (isinstance(s, float) and 0 < s < np.inf) for s in scales_of(node)):
        raise ValueError("its scales must be positive and finite")
    if mode == "linear" and x.quant is None and "float" not in x.dtype:
        raise ValueError(f"a linear resize takes a floating point or quantized input, not {x.dtype}")
    if x.quant is not None:
        quantized.scalar(x.quant)
    if 0 in plane:
        raise ValueError("its input plane is empty")
    height, width = ints_attr(node, "sizes", 2, least=1)
    return (x.with_shape(in_layout(node, n, c, height, width)),)


def scales_of(node: Node) -> tuple[Attr, Attr]:
    """The plane's scales (y, x); None stands for size after / size before, of extents that a run decides."""
    scales = attr(node, "scales")
    if not isinstance(scales, tuple) or len(scales) != 2:
        raise ValueError(f"attribute 'scales' is {scales!r}, but must be a tuple of 2 numbers")
    return scales[0], scales[1]


def source_coordinates(node: Node, axis: int) -> Array:
    """Where each output index of the plane's `axis` (0: rows, 1: columns) lies in the input: float32."""
    before, after = nchw_shape(node, node.inputs[0].type)[2 + axis], ints_attr(node, "sizes", 2)[axis]
    given = scales_of(node)[axis]
    scale = np.float32(after) / np.float32(before) if given is None else np.float32(given)  # type: ignore[arg-type]
    kind = str_attr(node, "coordinates", COORDINATES)
    i, half = np.arange(after, dtype=np.float32), np.float32(0.5)
    if kind == "align_corners":
        return i * np.float32(before - 1) / np.float32(after - 1) if after > 1 else i
    if kind == "asymmetric":
        return i / scale
    if kind == "tf_half_pixel_for_nn":
        return (i + half) / scale
    if kind == "pytorch_half_pixel" and after == 1:
        return i
    if kind != "half_pixel_symmetric":
        return (i + half) / scale - half
    # The plane stays centred although the rounded size is not exactly scale times the input's.
    adjustment = np.float32(after) / (scale * np.float32(before))
    offset = np.float32(before) * half * (np.float32(1) - adjustment)
    return offset + (i + half) / scale - half


def nearest_indices(node: Node, axis: int) -> Array:
    """The input index that each output index copies: int64."""
    at = source_coordinates(node, axis).astype(np.float64)
    rounding = str_attr(node, "rounding", ROUNDINGS)
    before = nchw_shape(node, node.inputs[0].type)[2 + axis]
    if rounding == "round_prefer_floor":
        index = np.ceil(at - 0.5)
    elif rounding == "round_prefer_ceil":
        index = np.floor(at + 0.5)
    else:
        index = np.floor(at) if rounding == "floor" else np.ceil(at)
    return np.clip(index, 0, before - 1).astype(np.int64)


class LinearTaps(NamedTuple):
    """Each output element is (1 - fraction) * x[low] + fraction * x[high]; int64 indices, float32 fractions."""

    low: Array
    high: Array
    fraction: Array

    def integer_weights(self) -> Array:
        """The weight of x[high] in units of 2^-11: int32; x[low] has the rest to 2^11."""
        return np.rint(self.fraction * np.float32(1 << WEIGHT_BITS)).astype(np.int32)


def linear_taps(node: Node, axis: int) -> LinearTaps:
    """The two neighbours of each output index of the plane's `axis`."""
    last = nchw_shape(node, node.inputs[0].type)[2 + axis] - 1
    at = np.clip(source_coordinates(node, axis), np.float32(0), np.float32(last))
    low = np.floor(at).astype(np.int64)
    return LinearTaps(low, np.minimum(low + 1, last), at - low.astype(np.float32))


def _reference(node: Node, inputs: Sequence[Array]) -> tuple[Array, ...]:
    x = to_nchw(node, inputs[0])
    if str_attr(node, "mode", ("nearest", "linear")) == "nearest":
        return (from_nchw(node, x[:, :, nearest_indices(node, 0)[:, None], nearest_indices(node, 1)]),)
    rows, columns = linear_taps(node, 0), linear_taps(node, 1)
    if node.inputs[0].type.quant is None:
        x = _mix(x, columns, 1 - columns.fraction, columns.fraction, axis=3)
        return (from_nchw(node, _mix(x, rows, 1 - rows.fraction, rows.fraction, axis=2)),)
    one = 1 << WEIGHT_BITS
    acc = x.astype(np.int32)
    for taps, axis in ((columns, 3), (rows, 2)):
        weights = taps.integer_weights()
        acc = _mix(acc, taps, one - weights, weights, axis)
    return (from_nchw(node, ((acc + (1 << (2 * WEIGHT_BITS - 1))) >> (2 * WEIGHT_BITS)).astype(np.int8)),)


def _mix(x: Array, taps: LinearTaps, low: Array, high: Array, axis: int) -> Array:
    shape = [1] * x.ndim
    shape[axis] = -1
    low, high = low.astype(x.dtype).reshape(shape), high.astype(x.dtype).reshape(shape)
    return np.asarray(np.take(x, taps.low, axis) * low + np.take(x, taps.high, axis) * high)


register(
    OpDef(
        "resize",
        (1, 1),
        {
            "mode": REQUIRED, "coordinates": "half_pixel", "rounding": "round_prefer_floor", "sizes": REQUIRED,
            "scales": REQUIRED, "layout": "NCHW",
        },
        _infer,
        _reference,
    )
)  # fmt: skip


@onnx_op("Upsample", since=7, takes_codes=True)
def _upsample_7(b: Builder, node: OnnxNode) -> Value:
    scales = node.attrs.get("scales")
    if not isinstance(scales, tuple | list) or not all(isinstance(s, float) for s in scales):
        raise ValueError("attribute 'scales' must be a list of floats")
    return _upsample(b, node, np.array(scales, np.float32))


@onnx_op("Upsample", since=9, takes_codes=True)
@onnx_op("Resize", since=10, takes_codes=True)
def _resize_10(b: Builder, node: OnnxNode) -> Value:
    return _upsample(b, node, b.array(node.input(1), "scales"))


def _upsample(b: Builder, node: OnnxNode, scales: Array) -> Value:
    x, rule = node.input(0), Rule(node.text("mode", "nearest"), "asymmetric", "floor")
    return _emit(b, x, rule, _spread(scales, list(range(x.type.rank)), scales), None, np.zeros((2, x.type.rank)))


@onnx_op("Resize", since=11, takes_codes=True)
def _resize(b: Builder, node: OnnxNode) -> Value:
    x, scales, sizes = node.input(0), node.optional(2), node.optional(3)
    factors = None if scales is None or scales.type.size == 0 else b.array(scales, "scales")
    extents = None if sizes is None or sizes.type.size == 0 else np.array(b.ints(sizes, "sizes"), object)
    if (factors is None) == (extents is None):
        raise ValueError("exactly one of scales and sizes must be given")
    rule = Rule(
        node.text("mode", "nearest"), node.text("coordinate_transformation_mode", "half_pixel"),
        node.text("nearest_mode", "round_prefer_floor"), node.number("cubic_coeff_a", -0.75),
        bool(node.integer("antialias", 0)), bool(node.integer("exclude_outside", 0)),
        node.number("extrapolation_value", 0.0),
    )  # fmt: skip
    rank = x.type.rank
    axes = [normalized_axis(a, rank) for a in node.integers("axes", range(rank))]
    crop = np.repeat(np.array([[0.0], [1.0]]), rank, axis=1)
    if rule.coordinates == "tf_crop_and_resize":
        crop[:, axes] = b.array(node.input(1), "roi").reshape(2, len(axes))
    if extents is not None and (policy := node.text("keep_aspect_ratio_policy", "stretch")) != "stretch":
        factors, extents = _keep_aspect_ratio(extents, [x.type.shape[a] for a in axes], policy)
    if factors is not None:
        factors = _spread(factors, axes, np.ones(rank, np.float32))
    if extents is not None:
        extents = _spread(extents, axes, np.array(x.type.shape, object))
    return _emit(b, x, rule, factors, extents, crop)


def _keep_aspect_ratio(sizes: Array, before: Sequence[int], policy: str) -> tuple[Array, Array]:
    """(scales, sizes) with the one scale with which no size is larger, or smaller, than asked for."""
    if policy not in ("not_larger", "not_smaller"):
        raise ValueError(
            f"its keep_aspect_ratio_policy {policy!r} is unknown; stretch, not_larger and not_smaller are supported"
        )
    if any(is_symbolic(v) for v in (*sizes, *before)):
        raise ValueError(f"its keep_aspect_ratio_policy is {policy!r}, but a run decides its sizes: give it fixed ones")
    if len(sizes) != len(before) or 0 in before:
        raise ValueError(f"{len(sizes)} sizes are given for {len(before)} dimensions {list(before)}")
    ratios = [size / extent for size, extent in zip(sizes, before, strict=True)]
    scale = min(ratios) if policy == "not_larger" else max(ratios)
    return np.repeat(scale, len(before)), np.array([int(scale * extent + 0.5) for extent in before], object)


def _spread(values: Array, axes: list[int], every: Array) -> Array:
    """`every` with `values` at `axes`."""
    if len(values) != len(axes):
        raise ValueError(f"{len(values)} scales or sizes are given for {len(axes)} dimensions")
    every = every.astype(values.dtype)
    every[axes] = values
    return every


def _emit(b: Builder, x: Value, rule: Rule, scales: Array | None, sizes: Array | None, crop: Array) -> Value:
    """`x` resized; one entry of `scales` or `sizes` a dimension, where both are given `sizes` are what comes out."""
    if rule.mode not in ("nearest", "linear", "cubic"):
        raise ValueError(f"its mode is {rule.mode!r}; nearest, linear and cubic are supported")
    before = x.type.shape
    if scales is not None and not np.all(np.isfinite(scales) & (scales > 0) & (scales < 2**20)):
        raise ValueError(
            f"its scales {scales.tolist()} are not sensible factors; positive ones below {2**20} are supported"
        )
    if sizes is not None:
        after = tuple(sizes)
    else:
        assert scales is not None
        after = tuple(_scaled(d, s) for d, s in zip(before, scales.astype(np.float32), strict=True))
    if scales is not None:
        factors: list[float | None] = [float(s) for s in scales]
    else:
        factors = [_ratio(d, e) for d, e in zip(before, after, strict=True)]
    if _is_plane(x, rule, after, factors):
        extents, plane = (1, 1, *after[2:])[-2:], (1.0, 1.0, *factors[2:])[-2:]
        y = b.emit(
            "resize", planar(b, x), mode=rule.mode, coordinates=rule.coordinates, rounding=rule.rounding,
            sizes=extents, scales=plane,
        )  # fmt: skip
        return unplanar(b, y, x.type.rank)
    if x.type.quant is not None or any(is_symbolic(v) for v in (*before, *after)):
        raise ValueError(
            f"it resizes {list(before)} to {list(after)} by {rule.mode}; quantized tensors and extents that a run "
            "decides are resized in their last two dimensions, by nearest or linear"
        )
    if 0 in (*before, *after) or max(after) > MAX_EXTENT:
        raise ValueError(f"it resizes {list(before)} to {list(after)}; extents of 1 to {MAX_EXTENT} are supported")
    known = [s if s is not None else 1.0 for s in factors]
    axes = [Axis(d, e, s, (lo, hi)) for d, e, s, lo, hi in zip(before, after, known, *crop.tolist(), strict=True)]
    return resample(b, x, axes, rule)


def _is_plane(x: Value, rule: Rule, after: Sequence[int], scales: Sequence[float | None]) -> bool:
    """Whether the op `resize` does this: the last dimension or two of a batch of channels, simply weighted."""
    before = x.type.shape
    if not 3 <= len(before) <= 4 or tuple(after[:2]) != before[:2] or any(s != 1.0 for s in scales[:2]):
        return False
    if rule.coordinates == "align_corners" and any(
        s is not None and abs(s * d - e) > 1e-6 * e for s, d, e in zip(scales, before, after, strict=True)
    ):
        return False  # The standard measures from the corners of the unrounded size.
    numbers = "float" in x.type.dtype or x.type.quant is not None or rule.mode == "nearest"
    simple = rule.mode != "cubic" and not rule.antialias and not rule.exclude_outside and numbers
    return simple and rule.coordinates in COORDINATES and rule.rounding in ROUNDINGS


def _scaled(extent: int, scale: np.float32) -> int:
    """floor(scale * extent), computed in float32."""
    if not is_symbolic(extent):
        return int(np.floor(scale * np.float32(extent)))
    ratio = Fraction(float(scale)).limit_denominator(1024)
    result: int = extent * ratio.numerator // ratio.denominator
    before, after = values_of(extent, result)
    if not np.array_equal(np.floor(scale * before.astype(np.float32)), after):
        raise ValueError(f"it scales {extent} by {scale}, which is no fraction; give it sizes, or a fixed shape")
    return result


def _ratio(before: int, after: int) -> float | None:
    """The scale that sizes stand for; None where a run decides them."""
    if before == after:
        return 1.0
    if is_symbolic(before) or is_symbolic(after):
        return None
    return float(np.float32(after) / np.float32(before))
