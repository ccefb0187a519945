"""The int32 sums of a convolution -> codes of its output: rne(acc * m) + zero point, saturated to int16 on the way.

In fixed point multipliers m are odd in their last place (`ops/quantized.odd`), so no result that does not saturate
anyway lies in the middle between two integers: instructions that round otherwise there give the same codes. Which of
them serve is decided by what can become of the sums. Otherwise float32(acc) * m is rounded to float32 first.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Literal

from ..emit.builder import Builder, Value, bitcast, cast, const, splat
from ..emit.floating import fenced, fma
from ..emit.isa import Isa
from ..emit.quantization import OFFSET, last_halves, offset_value, requantize, requantize_within, splat16
from ..emit.tir import tirx

Scaling = Literal["small", "medium", "any", "offset", "float"]
"""How sums are scaled. In fixed point, where for any data

    medium: m < 1, |acc * m| < `MOST_MEDIUM`, and if not |acc| < 2^24, then m >= 2^-14
    small: besides, |acc * m| < `MOST_SMALL`
    any: nothing is known

or by products in float32; offset: |acc| < 2^22, |acc * m| < `MOST_SMALL`, and the sums begin with `OFFSET`. Sums of
row codes, whose results are floats, are of any size with all but "offset"."""

SCALINGS: Sequence[Scaling] = ("small", "medium", "any", "offset", "float")
"""In fixed point or not, what a later one says of sums is true for those before it."""

MOST_MEDIUM = 2**22 - 256
"""With a zero point added, results are integers that floats next to `OFFSET` can tell."""

MOST_SMALL = 2**15 - 129
"""With a zero point added, results fit int16."""


def scaling_of(largest: float, result: float, least: float, most: float, *, fixed_point: bool) -> Scaling:
    """For sums up to `largest` and results up to `result`, with multipliers from `least` to `most`."""
    if not fixed_point:
        return "offset" if largest < 2**22 and result < MOST_SMALL else "float"
    if most >= 1 or result >= MOST_MEDIUM or (largest >= 2**24 and least < 2**-14):
        return "any"
    return "small" if result < MOST_SMALL else "medium"


def general(scaling: Scaling) -> Scaling:
    """Whose code takes the same sums, and larger ones too."""
    return "medium" if scaling == "small" else scaling


def multiplies_steps(scaling: Scaling, *, fixed_point: bool) -> bool:
    """Whether multipliers are int32 numbers of steps of 2^-31, not float32; `fixed_point`: `Isa.has_fixed_point`."""
    return fixed_point and scaling in ("small", "medium")


class Rescaling(ABC):
    """Emits the code for a block's sums. Multipliers are `dtype`."""

    dtype = "float32"

    def __init__(self, b: Builder, isa: Isa) -> None:
        self._b, self._isa = b, isa
        self._offset = bitcast(const(OFFSET, "int32", isa.lanes), "float32", isa.lanes)
        self._zero_point = splat16(b, isa, "zero_point")

    @abstractmethod
    def codes(self, sums: Sequence[Value], multipliers: Sequence[Value]) -> Value:
        """int16 x columns."""

    def saturated(self, sums: Sequence[Value], multipliers: Sequence[Value]) -> Value:
        """The codes as int8."""
        return self._isa.narrow8(self.codes(sums, multipliers))

    @abstractmethod
    def differences(self, sums: Sequence[Value], multipliers: Sequence[Value]) -> list[Value]:
        """int32 vectors: codes without the zero point, between the parameters `low` and `high`."""

    def _scaled(self, sums: Sequence[Value], multipliers: Sequence[Value], offset: Value) -> list[Value]:
        """acc * m + offset, rounded once."""
        lanes = self._isa.lanes
        floats = [cast(acc, "float32", lanes) for acc in sums]
        return [fma(lanes, f, m, offset) for f, m in zip(floats, multipliers, strict=True)]

    def _bounds(self, dtype: str) -> list[Value]:
        """low and high without the zero point."""
        bounds = [self._b.param32(name) - self._b.param32("zero_point") for name in ("low", "high")]
        return [splat(cast(bound, dtype, 1), self._isa.lanes) for bound in bounds]


class _FixedPoint(Rescaling):
    """m is a number of steps of 2^-31, and the upper half of a product the result."""

    dtype = "int32"

    def __init__(self, b: Builder, isa: Isa, *, small: bool) -> None:
        super().__init__(b, isa)
        self._small = small

    def codes(self, sums: Sequence[Value], multipliers: Sequence[Value]) -> Value:
        isa, results = self._isa, self._results(sums, multipliers)
        narrow = last_halves(isa, results) if self._small else isa.narrow16(*results)
        return isa.add16(narrow, self._zero_point)

    def differences(self, sums: Sequence[Value], multipliers: Sequence[Value]) -> list[Value]:
        return _clamped(self._results(sums, multipliers), self._bounds("int32"))

    def _results(self, sums: Sequence[Value], multipliers: Sequence[Value]) -> list[Value]:
        return [self._isa.multiply_fixed(acc, m) for acc, m in zip(sums, multipliers, strict=True)]


class _BoundedFloat(Rescaling):
    """The results are what the bits of floats are more than `OFFSET`."""

    def codes(self, sums: Sequence[Value], multipliers: Sequence[Value]) -> Value:
        return self._isa.narrow16(*self._shifted(sums, multipliers))

    def saturated(self, sums: Sequence[Value], multipliers: Sequence[Value]) -> Value:
        """The codes as int8."""
        return self._isa.narrow32(*self._shifted(sums, multipliers))

    def _shifted(self, sums: Sequence[Value], multipliers: Sequence[Value]) -> list[Value]:
        """int32 vectors: codes."""
        return self._results(sums, multipliers, offset_value(self._b, self._isa, "zero_point"))

    def differences(self, sums: Sequence[Value], multipliers: Sequence[Value]) -> list[Value]:
        return _clamped(self._results(sums, multipliers, self._offset), self._bounds("int32"))

    def _results(self, sums: Sequence[Value], multipliers: Sequence[Value], offset: Value) -> list[Value]:
        scaled = [bitcast(s, "int32", self._isa.lanes) for s in self._scaled(sums, multipliers, offset)]
        return [s - const(OFFSET, "int32", self._isa.lanes) for s in scaled]


class _AnyFloat(Rescaling):
    """A product is rounded once, to an integer, while it is added to `OFFSET` as a float; a large one saturates."""

    def codes(self, sums: Sequence[Value], multipliers: Sequence[Value]) -> Value:
        isa = self._isa
        rounded = [isa.round_to_int(s - self._offset) for s in self._scaled(sums, multipliers, self._offset)]
        return isa.add16(isa.narrow16(*rounded), self._zero_point)

    def differences(self, sums: Sequence[Value], multipliers: Sequence[Value]) -> list[Value]:
        bounds, scaled = self._bounds("float32"), self._scaled(sums, multipliers, self._offset)
        return [self._isa.round_within(s - self._offset, *bounds) for s in scaled]


class _Products(Rescaling):
    """Products in float32; with `small` sums that begin with `OFFSET` and so are floats already."""

    def __init__(self, b: Builder, isa: Isa, *, small: bool) -> None:
        super().__init__(b, isa)
        self._small = small

    def codes(self, sums: Sequence[Value], multipliers: Sequence[Value]) -> Value:
        isa, lanes = self._isa, self._isa.lanes
        if not self._small:
            return requantize(isa, sums, multipliers, self._zero_point)
        floats = [bitcast(acc, "float32", lanes) - self._offset for acc in sums]
        products = [fenced(lanes, f * m) for f, m in zip(floats, multipliers, strict=True)]
        return isa.add16(last_halves(isa, [p + self._offset for p in products]), self._zero_point)

    def differences(self, sums: Sequence[Value], multipliers: Sequence[Value]) -> list[Value]:
        return requantize_within(self._isa, sums, multipliers, *self._bounds("float32"))


def _clamped(values: Sequence[Value], bounds: Sequence[Value]) -> list[Value]:
    low, high = bounds
    return [tirx.max(tirx.min(value, high), low) for value in values]


def rescaling(b: Builder, isa: Isa, scaling: Scaling) -> Rescaling:
    """What emits the code on `isa`."""
    if scaling in ("offset", "float"):
        return _Products(b, isa, small=scaling == "offset")
    if scaling == "any":
        return _AnyFloat(b, isa)
    if multiplies_steps(scaling, fixed_point=isa.has_fixed_point):
        return _FixedPoint(b, isa, small=scaling == "small")
    return _BoundedFloat(b, isa)
