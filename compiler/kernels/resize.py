"""`resize` of a channels-last plane. A tile is one output row.

`w` is a table of int32, made by the lowering:

    nearest   row byte offset[out_height], column byte offset[out_width]
    linear    (low byte offset, high byte offset, weight of high)[out_height], then the same for [out_width]

Weights are integers in units of 2^-11 for int8, float32 bits for floats. Linear kernels may read up to 31 bytes
behind the input where there are fewer channels than lanes.
"""

from dataclasses import dataclass
from functools import partial
from typing import Literal

from .emit.blocks import channel_blocks, store_channels
from .emit.builder import BITS, Builder, Value, const, define, i64, splat
from .emit.floating import fma
from .emit.halves import load, store
from .emit.isa import Isa
from .emit.memory import copy_run
from .emit.naming import SHORT
from .emit.tir import tirx

OPERANDS = ("x", "w", "y")

_BITS = 22
"""Fraction bits of a product of two weights."""


@dataclass(frozen=True)
class ResizeSpec:
    """Which member of the family. `channels` counts bytes for nearest (whose `dtype` is `bytes`), else elements."""

    mode: Literal["nearest", "linear"]
    dtype: str
    params: tuple[str, ...] = ("out_height", "out_width", "y_row", "y_pixel", "channels")

    @property
    def symbol(self) -> str:
        """The kernel's name in plans, symbols and profiles."""
        return f"{'x8' if self.dtype == 'bytes' else SHORT[self.dtype]}_resize_{self.mode}"


def build(spec: ResizeSpec, isa: Isa) -> object:
    """The TIR function of `spec` on `isa`."""
    body = _nearest if spec.mode == "nearest" else _linear
    return define(spec.symbol, OPERANDS, spec.params, lambda b: body(b, spec, isa))


def _nearest(b: Builder, spec: ResizeSpec, isa: Isa) -> None:
    x, w, y = (b.pointer(name) for name in OPERANDS)
    with b.tiles() as row:
        source, target = b.let(i64(w.load(row * 4, "int32"))), b.let(row * b.param("y_row"))
        with b.range(0, b.param("out_width")) as column:
            offset = b.let(source + i64(w.load((b.param("out_height") + column) * 4, "int32")))
            copy_run(b, y, b.let(target + column * b.param("y_pixel")), x, offset, b.param("channels"))


def _linear(b: Builder, spec: ResizeSpec, isa: Isa) -> None:
    w, y = b.pointer("w"), b.pointer("y")
    size, lanes = BITS[spec.dtype] // 8, isa.lanes if spec.dtype == "float32" else 2 * isa.lanes

    def taps(index: Value) -> tuple[Value, Value, Value]:
        low, high = (b.let(i64(w.load(index * 12 + 4 * i, "int32"))) for i in range(2))
        return low, high, b.let(w.load(index * 12 + 8, "int32"))

    with b.tiles() as row:
        top, bottom, y_weight = taps(row)
        with b.range(0, b.param("out_width")) as column:
            left, right, x_weight = taps(b.param("out_height") + column)
            corners = [b.let(r + c) for r in (top, bottom) for c in (left, right)]
            target = b.let(row * b.param("y_row") + column * b.param("y_pixel"))
            mix = partial(_mix_int8, b, isa) if spec.dtype == "int8" else partial(_mix_float, b, spec.dtype, lanes)

            def block(channel: Value, vectors: int) -> None:
                for v in range(vectors):
                    at = b.let((channel + v * lanes) * size)
                    value = mix([corner + at for corner in corners], x_weight, y_weight)
                    if vectors == 1:
                        store_channels(b, isa, y, target + at, value, spec.dtype, lanes, b.param("channels"))
                    else:
                        store(isa, y, target + at, value, spec.dtype, lanes)

            channel_blocks(b, i64(0), b.param("channels"), b.param("channels"), lanes, block)


def _mix_int8(b: Builder, isa: Isa, corners: list[Value], x_weight: Value, y_weight: Value) -> Value:
    """(sum of the corners by products of weights + 2^21) >> 22."""
    x, lanes = b.pointer("x"), isa.lanes
    one, rounding, shift = (
        const(1 << 11, "int32"),
        const(1 << (_BITS - 1), "int32", lanes),
        const(_BITS, "int32", lanes),
    )
    by_x = [b.let(splat(tirx.Cast("int16", weight), 2 * lanes)) for weight in (one - x_weight, x_weight)]
    by_y = [b.let(splat(weight, lanes)) for weight in (one - y_weight, y_weight)]
    lines = []
    for left, right in (corners[:2], corners[2:]):
        products = [
            isa.multiply16(b.let(isa.widen16(x.load(corner, "int8", 2 * lanes))), weight)
            for corner, weight in zip((left, right), by_x, strict=True)
        ]
        lines.append([b.let(a + c) for a, c in zip(*products, strict=True)])
    low, high = ((t * by_y[0] + u * by_y[1] + rounding) >> shift for t, u in zip(*lines, strict=True))
    return isa.narrow8(isa.narrow16(low, high))


def _mix_float(b: Builder, dtype: str, lanes: int, corners: list[Value], x_weight: Value, y_weight: Value) -> Value:
    x = b.pointer("x")
    by_x, by_y = (b.let(splat(tirx.reinterpret("float32", weight), lanes)) for weight in (x_weight, y_weight))
    one = const(1.0, "float32", lanes)
    top_left, top_right, bottom_left, bottom_right = (load(x, corner, dtype, lanes) for corner in corners)
    top = b.let(fma(lanes, top_right, by_x, top_left * (one - by_x)))
    bottom = b.let(fma(lanes, bottom_right, by_x, bottom_left * (one - by_x)))
    return fma(lanes, bottom, by_y, top * (one - by_y))
