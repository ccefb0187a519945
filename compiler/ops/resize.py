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
from .onnx_node import OnnxNode, onnx_op
from .padding import planar, unplanar
from .spatial import from_nchw, in_layout, nchw_shape, to_nchw

COORDINATES = (
    "half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners", "asymmetric", "tf_half_pixel_for_nn",
)  # fmt: skip
ROUNDINGS = ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil")

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


RESIZE = register(
    OpDef(
        "resize",
        (1, 1),
        {
            "mode": REQUIRED, "coordinates": "half_pixel", "rounding": "round_prefer_floor", "sizes": REQUIRED,
            "scales": REQUIRED, "layout": "NCHW",
        },
        _infer,
        _reference,
        doc=__doc__,
    )
)  # fmt: skip


@onnx_op("Upsample", since=7)
def _upsample_7(b: Builder, node: OnnxNode) -> Value:
    scales = node.attrs.get("scales")
    if not isinstance(scales, tuple | list) or not all(isinstance(s, float) for s in scales):
        raise ValueError("attribute 'scales' must be a list of floats")
    return _emit(b, node, node.input(0), "asymmetric", "floor", scales=np.array(scales, np.float32), sizes=None)


@onnx_op("Upsample", since=9)
@onnx_op("Resize", since=10)
def _resize_10(b: Builder, node: OnnxNode) -> Value:
    return _emit(b, node, node.input(0), "asymmetric", "floor", scales=b.array(node.input(1), "scales"), sizes=None)


@onnx_op("Resize", since=11)
def _resize(b: Builder, node: OnnxNode) -> Value:
    if node.integer("antialias", 0):
        raise ValueError("antialias is 1; only 0 is supported")
    if node.text("keep_aspect_ratio_policy", "stretch") != "stretch":
        raise ValueError("keep_aspect_ratio_policy must be 'stretch'")
    x, scales, sizes = node.input(0), node.optional(2), node.optional(3)
    coordinates = node.text("coordinate_transformation_mode", "half_pixel")
    rounding = node.text("nearest_mode", "round_prefer_floor")
    factors = None if scales is None or scales.type.size == 0 else b.array(scales, "scales")
    extents = None if sizes is None or sizes.type.size == 0 else np.array(b.ints(sizes, "sizes"), object)
    if (factors is None) == (extents is None):
        raise ValueError("exactly one of scales and sizes must be given")
    if "axes" in node.attrs:
        axes = [a % x.type.rank for a in node.integers("axes")]
        factors = None if factors is None else _spread(factors, axes, np.ones(x.type.rank, np.float32))
        extents = None if extents is None else _spread(extents, axes, np.array(x.type.shape, object))
    return _emit(b, node, x, coordinates, rounding, factors, extents)


def _spread(values: Array, axes: list[int], every: Array) -> Array:
    """`every` with `values` at `axes`."""
    if len(values) != len(axes):
        raise ValueError(f"{len(values)} scales or sizes are given for {len(axes)} axes")
    every[axes] = values
    return every


def _emit(
    b: Builder, node: OnnxNode, x: Value, coordinates: str, rounding: str, scales: Array | None, sizes: Array | None
) -> Value:
    """The resize of the plane (the last dimension or two) of `x`; one entry of `scales` or `sizes` a dimension."""
    mode = node.text("mode", "nearest")
    if mode not in ("nearest", "linear"):
        raise ValueError(f"its mode is {mode!r}; nearest and linear are supported")
    before = x.type.shape
    given = scales if scales is not None else sizes
    if given is None or len(given) != len(before) or not 3 <= x.type.rank <= 4:
        raise ValueError(f"it resizes {x.type.rank} dimensions; 3 or 4 with a scale or size for each are supported")
    if scales is not None:
        scales = scales.astype(np.float32)
        if not np.all(np.isfinite(scales) & (scales > 0) & (scales < 2**20)):
            raise ValueError(f"its scales {scales.tolist()} are not sensible factors")
        after = tuple(_scaled(d, s) for d, s in zip(before, scales, strict=True))
        factors: list[float | None] = [float(s) for s in scales]
    else:
        after = tuple(given)
        factors = [_ratio(d, e) for d, e in zip(before, after, strict=True)]
    if after[:2] != before[:2]:
        raise ValueError("it resizes the batch or the channels; only spatial dimensions are supported")
    extents, plane = (1, 1, *after[2:])[-2:], (1.0, 1.0, *factors[2:])[-2:]
    y = b.emit(
        "resize", planar(b, x), mode=mode, coordinates=coordinates, rounding=rounding, sizes=extents, scales=plane
    )
    return unplanar(b, y, x.type.rank)


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
