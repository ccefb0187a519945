"""ONNX's AffineGrid and GridSample, imported as maps from positions to rows of pixels, and `gather`."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from math import prod

import numpy as np

from ...ir.expr import Const, Expr, In, call, clip
from ...ir.graph import Array, Value
from ..builder import Builder
from ..indices import MISSED, int32, row_strides
from ..onnx_node import OnnxNode, onnx_op
from ..slice import Span, emit_slice, everything

_MODES = {"nearest": "nearest", "bilinear": "linear", "linear": "linear", "bicubic": "cubic", "cubic": "cubic"}

_PADDINGS = ("zeros", "border", "reflection")

MAX_PLANE = 2**20
"""Pixels along a dimension: more stem from a malformed model."""

_FAR = 4
"""Pixels beyond the border at which all positions are alike: none of their taps lies inside."""


@onnx_op("AffineGrid")
def _affine_grid(b: Builder, node: OnnxNode) -> Value:
    """theta [n, d, d + 1] -> [n, *plane, d]: theta times (x, y, [z], 1) at every pixel, in [-1, 1] across the plane."""
    theta, size = node.input(0), b.ints(node.input(1), "size")
    plane, d = size[2:], len(size) - 2
    if d not in (2, 3) or theta.type.shape != (size[0], d, d + 1) or not 1 <= min(plane) <= max(plane) <= MAX_PLANE:
        raise ValueError(f"its theta {list(theta.type.shape)} and size {list(size)} do not fit 2 or 3 dimensions")
    columns = [
        b.reshape(emit_slice(b, theta, [range(size[0]), range(d), range(j, j + 1)]), (size[0], *(1,) * d, d))
        for j in range(d + 1)
    ]
    total: Expr = In(d)
    for j, extent in enumerate(reversed(plane)):
        total = call("add", call("mul", In(j), In(d + 1 + j)), total)
        shape = [1] * (d + 2)
        shape[d - j] = extent
        aligned = bool(node.integer("align_corners", 0))
        columns.append(b.constant(_centres(extent, aligned).astype(theta.type.dtype).reshape(shape)))
    return b.map(total, *columns)


def _centres(extent: int, aligned: bool) -> Array:
    """Where the pixels of a dimension lie in [-1, 1]; `aligned`: the outermost ones at its ends."""
    if aligned:
        return np.asarray(np.arange(extent) * (2 / max(extent - 1, 1)) - 1)
    return np.asarray((2 * np.arange(extent) + 1) / extent - 1)


@dataclass(frozen=True)
class Dimension:
    """A dimension of the sampled image: how a position in [-1, 1] becomes a pixel."""

    extent: int
    padding: str
    aligned: bool

    def coordinate(self, position: Expr, *, rounded: bool) -> Expr:
        """The position in units of pixels (a whole one if `rounded`), in range as far as the padding says."""
        d, zoomed = self.extent, call("add", position, 1.0)
        if self.aligned:
            x = call("mul", call("div", zoomed, 2.0), float(d - 1))
        else:
            x = call("div", call("sub", call("mul", zoomed, float(d)), 1.0), 2.0)
        return self.bounded(call("round", x) if rounded else x)

    def bounded(self, x: Expr) -> Expr:
        """`x` reflected at the border: half a pixel beyond the outermost pixels, or with `aligned` on them. With other
        paddings one place far outside stands for all others; the pixels around it are what is padded, as in PyTorch."""
        last = float(self.extent - 1)
        if self.padding != "reflection":
            return clip(x, -float(_FAR), last + _FAR)
        low, length = (0.0, last) if self.aligned else (-0.5, last + 1.0)
        if length == 0.0:
            return call("mul", x, 0.0)
        period = Const(2 * length)
        offset = call("sub", x, low)
        phase = call("sub", offset, call("mul", period, call("floor", call("div", offset, period))))
        return call("add", call("min", phase, call("sub", period, phase)), low)

    def pixel(self, x: Expr) -> Expr:
        """int32: the pixel at the whole number `x`, or MISSED."""
        inside = call("and", call("le", 0.0, x), call("le", x, float(self.extent - 1)))
        if self.padding == "zeros":
            return call("where", inside, int32(x), MISSED)
        return int32(clip(self.bounded(x), 0.0, float(self.extent - 1)))


def _weights(mode: str, fraction: Expr) -> list[tuple[int, Expr | None]]:
    """(distance from the pixel below, weight) of each tap."""
    if mode == "nearest":
        return [(0, None)]
    beyond = call("sub", 1.0, fraction)
    if mode == "linear":
        return [(0, beyond), (1, fraction)]
    return [(-1, _outer(call("add", fraction, 1.0))), (0, _inner(fraction)), (1, _inner(beyond)),
            (2, _outer(call("add", beyond, 1.0)))]  # fmt: skip


_CUBIC = -0.75
"""The parameter of cubic convolution (Keys, 1981)."""


def _inner(x: Expr) -> Expr:
    """Keys' kernel for x in [0, 1]."""
    return call("add", call("mul", call("mul", call("sub", call("mul", x, _CUBIC + 2), _CUBIC + 3), x), x), 1.0)


def _outer(x: Expr) -> Expr:
    """Keys' kernel for x in [1, 2]."""
    inner = call("add", call("mul", call("sub", call("mul", x, _CUBIC), 5 * _CUBIC), x), 8 * _CUBIC)
    return call("sub", call("mul", inner, x), 4 * _CUBIC)


@dataclass(frozen=True)
class _Tap:
    """A tap along one dimension for every position [n, positions]: its pixel, and its weight (None: 1)."""

    pixel: Value
    weight: Value | None


@onnx_op("GridSample")
def _grid_sample(b: Builder, node: OnnxNode) -> Value:
    """x [n, c, *image] at the positions grid [n, *plane, d], whose last dimension is (x, y, [z])."""
    x, grid = node.input(0), node.input(1)
    mode, padding = node.text("mode", "linear"), node.text("padding_mode", "zeros")
    n, d = x.type.shape[0], x.type.rank - 2
    if mode not in _MODES or padding not in _PADDINGS:
        known = ", ".join((*_MODES, *_PADDINGS))
        raise ValueError(f"its mode is {mode!r} and its padding {padding!r}; {known} are supported")
    if d not in (1, 2, 3) or grid.type.rank != d + 2 or (grid.type.shape[0], grid.type.shape[-1]) != (n, d):
        raise ValueError(f"its grid {list(grid.type.shape)} does not fit the input {list(x.type.shape)}")
    plane, image = grid.type.shape[1:-1], x.type.shape[2:]
    aligned = bool(node.integer("align_corners", 0))
    dimensions = [Dimension(extent, padding, aligned) for extent in image]
    places = []
    for axis, dimension in enumerate(dimensions):
        component = [*everything(grid)[:-1], Span(d - 1 - axis, 1)]
        position = b.reshape(emit_slice(b, grid, component), (n, prod(plane)))
        places.append(b.map(dimension.coordinate(In(0), rounded=mode == "nearest"), position))
    values = sample(b, x, places, dimensions, _MODES[mode])
    channels_first = (0, d + 1, *range(1, d + 1))
    return b.transpose(b.reshape(values, (n, *plane, x.type.shape[1])), channels_first)


def sample(b: Builder, x: Value, places: Sequence[Value], dimensions: Sequence[Dimension], mode: str) -> Value:
    """x [n, c, *image] at `places`, for each dimension [n, positions] in units of pixels -> [n, positions, c]."""
    n, _, *image = x.type.shape
    taps = [_taps(b, at, dimension, mode) for at, dimension in zip(places, dimensions, strict=True)]
    pixels = _pixel_rows(b, x, with_zero=dimensions[0].padding == "zeros")
    total: Value | None = None
    for corner in product(*taps):
        values = b.emit("gather", pixels, _rows(b, n, image, corner, prod(image) * n))
        total = _accumulate(b, total, values, [t.weight for t in corner if t.weight is not None])
    assert total is not None
    return total


def _taps(b: Builder, at: Value, dimension: Dimension, mode: str) -> list[_Tap]:
    whole: Expr = In(0) if mode == "nearest" else call("floor", In(0))
    return [
        _Tap(
            b.map(dimension.pixel(call("add", whole, float(step)) if step else whole), at),
            None if weight is None else b.map(weight, at),
        )
        for step, weight in _weights(mode, call("sub", In(0), call("floor", In(0))))
    ]


def _pixel_rows(b: Builder, x: Value, *, with_zero: bool) -> Value:
    """[pixels, channels] of an image [n, c, ...], and after them, if wanted, a pixel of zeros."""
    d, channels = x.type.rank - 2, x.type.shape[1]
    rows = b.reshape(b.transpose(x, (0, *range(2, d + 2), 1)), (x.type.size // channels, channels))
    return b.emit("pad", rows, pads=(0, 0, 1, 0)) if with_zero else rows


def _rows(b: Builder, n: int, image: Sequence[int], corner: Sequence[_Tap], missed: int) -> Value:
    """int32 [n, positions]: the pixels' rows; `missed` where one of the taps is MISSED."""
    strides = row_strides(image)
    flat: Expr = In(len(corner))
    exists: Expr = Const(True)
    for i, stride in enumerate(strides):
        flat = call("add", flat, call("mul", In(i), stride))
        found = call("le", 0, In(i))
        exists = found if i == 0 else call("and", exists, found)
    first = np.arange(n, dtype=np.int32).reshape(n, 1) * np.int32(prod(image))
    return b.map(call("where", exists, flat, missed), *(t.pixel for t in corner), b.constant(first))


def _accumulate(b: Builder, total: Value | None, values: Value, weights: Sequence[Value]) -> Value:
    """total + values * weights; weights [n, positions] of values [n, positions, channels]."""
    term: Expr = In(0)
    if weights:
        factor: Expr = In(1)
        for i in range(2, len(weights) + 1):
            factor = call("mul", factor, In(i))
        term = call("mul", term, factor)
    if total is not None:
        term = call("add", In(len(weights) + 1), term)
    spread = [b.reshape(w, (*w.type.shape, 1)) for w in weights]
    return b.map(term, values, *spread, *([] if total is None else [total])) if term != In(0) else values
