"""Convolutions over volumes, as convolutions over planes: the slices that a window's depth covers become channels."""

from collections.abc import Callable
from typing import NamedTuple

from ..ir.graph import Value
from .builder import Builder
from .padding import Window
from .slice import Span, emit_slice, whole

_DEPTH_SECOND = (0, 2, 1, 3, 4)
"""[N, C, D, H, W] <-> [N, D, C, H, W]."""

Conv2d = Callable[[Value, Value, Window], Value]
"""(x, w, the window over planes) -> y."""


class _Depth(NamedTuple):
    """A window along the depth."""

    kernel: int
    stride: int
    dilation: int
    begin: int
    end: int


def conv3d(b: Builder, x: Value, w: Value, window: Window, groups: int, conv: Conv2d) -> Value:
    """x [N, C, D, H, W] under `window` times w [O, C/g, kd, kh, kw] -> [N, O, OD, OH, OW]."""
    depth, plane = _split(window)
    outputs, channels, kd, *kernel = w.type.shape
    flat = b.reshape(b.transpose(w, _DEPTH_SECOND), (outputs, kd * channels, *kernel))
    return _by_planes(b, b.transpose(x, _DEPTH_SECOND), depth, groups, lambda x: conv(x, flat, plane))


def conv_transpose3d(b: Builder, x: Value, w: Value, window: Window, more: int, groups: int, conv: Conv2d) -> Value:
    """x [N, C, D, H, W] times w [C, O/g, kd, kh, kw], the result `window.pads` smaller, and `more` slices deeper.

    Along the depth it is a convolution of the slices, stride - 1 empty ones between them, with the kernel reversed.
    """
    depth, plane = _split(window)
    channels, outputs, kd, *kernel = w.type.shape
    reversed_depth = emit_slice(b, w, [range(n)[::-1] if i == 2 else whole(n) for i, n in enumerate(w.type.shape)])
    grouped = b.reshape(reversed_depth, (groups, channels // groups, outputs, kd, *kernel))
    flat = b.reshape(b.transpose(grouped, (0, 3, 1, 2, 4, 5)), (kd * channels, outputs, *kernel))
    reach = (kd - 1) * depth.dilation
    inner = _Depth(kd, 1, depth.dilation, reach - depth.begin, reach - depth.end + more)
    spread = _spread(b, b.transpose(x, _DEPTH_SECOND), depth.stride)
    return _by_planes(b, spread, inner, groups, lambda x: conv(x, flat, plane))


def _split(w: Window) -> tuple[_Depth, Window]:
    begins, ends = w.pads[:3], w.pads[3:]
    plane = Window(w.kernel[1:], w.strides[1:], w.dilations[1:], (*begins[1:], *ends[1:]))
    return _Depth(w.kernel[0], w.strides[0], w.dilations[0], begins[0], ends[0]), plane


def _spread(b: Builder, x: Value, step: int) -> Value:
    """x [N, D, C, H, W] with step - 1 slices of zeros between its slices."""
    if step == 1:
        return x
    n, d, *rest = x.type.shape
    apart = b.reshape(x, (n, d, 1, *rest))
    pads = (*[0] * 6, 0, 0, step - 1, 0, 0, 0)
    filled = b.reshape(b.emit("pad", apart, pads=pads, value=0.0, mode="constant"), (n, d * step, *rest))
    return emit_slice(b, filled, [whole(n), whole((d - 1) * step + 1), *map(whole, rest)])


def _by_planes(b: Builder, x: Value, depth: _Depth, groups: int, conv: Callable[[Value], Value]) -> Value:
    """x [N, D, C, H, W] -> `conv` of [N * OD, g * kd * C/g, H, W] -> [N, O, OD, OH, OW]."""
    x = _padded(b, x, depth.begin, depth.end)
    n, d, c, *plane = x.type.shape
    outputs = (d - (depth.kernel - 1) * depth.dilation - 1) // depth.stride + 1
    if outputs < 1:
        raise ValueError(f"its window is deeper than the padded volume of {d} slices")
    taps = []
    for k in range(depth.kernel):
        first = k * depth.dilation
        seen = Span(first, outputs, depth.stride)
        tap = emit_slice(b, x, [whole(n), seen, whole(c), *map(whole, plane)])
        taps.append(b.reshape(tap, (n, outputs, groups, c // groups, *plane)))
    stacked = b.emit("concat", *taps, axis=3)
    y = conv(b.reshape(stacked, (n * outputs, depth.kernel * c, *plane)))
    return b.transpose(b.reshape(y, (n, outputs, *y.type.shape[1:])), _DEPTH_SECOND)


def _padded(b: Builder, x: Value, begin: int, end: int) -> Value:
    """x [N, D, C, H, W] with empty slices at both ends, or without some of its own where these are negative."""
    n, d, *rest = x.type.shape
    kept = Span(max(-begin, 0), d - max(-end, 0) - max(-begin, 0))
    x = emit_slice(b, x, [whole(n), kept, *map(whole, rest)])
    if begin <= 0 and end <= 0:
        return x
    pads = (0, max(begin, 0), 0, 0, 0, 0, max(end, 0), 0, 0, 0)
    return b.emit("pad", x, pads=pads, value=0.0, mode="constant")
