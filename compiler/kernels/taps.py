"""Tables for `resize` of a plane whose extents a run decides: where each output index of one axis lies in the input.

The only tile writes the whole table. It is what `lower/nodes/sampling.py` makes at compile time of static extents, from
the same float32 arithmetic (`ops/resize.py`).
"""

from dataclasses import dataclass
from typing import Literal

from .emit.builder import Builder, Value, cast, const, define, i64
from .emit.floating import fenced, llvm_float
from .emit.isa import Isa
from .emit.tir import tirx

OPERANDS = ("y",)


@dataclass(frozen=True)
class TapsSpec:
    """`form`: an offset an index, or (low, high, weight of high) with the weight in float32 bits or units of 2^-11.
    `coordinates` and `rounding`: as in the op. `scale`: float32, 0 where it is after / before. `stride`: bytes."""

    form: Literal["nearest", "float32", "int8"]
    coordinates: str
    rounding: str
    params: tuple[str, ...] = ("before", "after", "scale", "stride")

    @property
    def symbol(self) -> str:
        """The kernel's name in plans, symbols and profiles."""
        words = [self.form, self.coordinates, *[self.rounding] * (self.form == "nearest")]
        return "resize_taps_" + "_".join(words)


def build(spec: TapsSpec, isa: Isa) -> object:
    """The TIR function of `spec`, the same for all ISAs."""
    return define(spec.symbol, OPERANDS, spec.params, lambda b: _body(b, spec))


def _body(b: Builder, spec: TapsSpec) -> None:
    y, after = b.pointer("y"), b.param("after")
    last = b.let(b.param("before") - 1)
    with b.tiles(), b.range(0, after) as i:
        at = b.let(_source(b, spec.coordinates, b.let(_float(i))))
        if spec.form == "nearest":
            index = tirx.max(tirx.min(cast(_rounded(spec.rounding, at), "int64", 1), last), i64(0))
            y.store(i * 4, cast(index * b.param("stride"), "int32", 1), "int32")
        else:
            inside = b.let(tirx.max(tirx.min(at, _float(last)), const(0.0, "float32")))
            low = b.let(cast(llvm_float("floor", 1, inside), "int64", 1))
            fraction = b.let(inside - _float(low))
            high = tirx.min(low + 1, last)
            y.store(i * 12, cast(low * b.param("stride"), "int32", 1), "int32")
            y.store(i * 12 + 4, cast(high * b.param("stride"), "int32", 1), "int32")
            y.store(i * 12 + 8, _weight(spec, fraction), "int32")


def _weight(spec: TapsSpec, fraction: Value) -> Value:
    if spec.form == "float32":
        return tirx.reinterpret("int32", fraction)
    return cast(llvm_float("rint", 1, fraction * const(2048.0, "float32")), "int32", 1)


def _float(value: Value) -> Value:
    return cast(value, "float32", 1)


def _source(b: Builder, coordinates: str, i: Value) -> Value:
    """`source_coordinates` of the op, one operation a rounding."""
    before, after, half = _float(b.param("before")), _float(b.param("after")), const(0.5, "float32")
    if coordinates == "align_corners":
        return tirx.Select(b.param("after") > 1, fenced(1, i * (before - 1)) / (after - 1), i)
    given = b.param_float("scale")
    scale = b.let(tirx.Select(given > 0, given, after / before))
    if coordinates == "asymmetric":
        return i / scale
    if coordinates == "tf_half_pixel_for_nn":
        return (i + half) / scale
    centred = b.let((i + half) / scale)
    if coordinates == "pytorch_half_pixel":
        return tirx.Select(b.param("after") > 1, centred - half, i)
    if coordinates == "half_pixel":
        return centred - half
    adjustment = after / fenced(1, scale * before)
    offset = fenced(1, fenced(1, before * half) * (const(1.0, "float32") - adjustment))
    return offset + centred - half


def _rounded(rounding: str, at: Value) -> Value:
    wide = cast(at, "float64", 1)
    if rounding == "round_prefer_floor":
        return llvm_float("ceil", 1, wide - const(0.5, "float64"))
    if rounding == "round_prefer_ceil":
        return llvm_float("floor", 1, wide + const(0.5, "float64"))
    return llvm_float(rounding, 1, wide)
