"""The taps of 3 x 3 depthwise kernels for two output rows, by sums of four products.

Four input rows of a column, interleaved, are a *quad*. With stride 1 one quad of a column serves both output rows: the
filter's column is (f0, f1, f2, 0) for the upper and (0, f0, f1, f2) for the lower one. With stride 2 each output row has
quads of its own. Columns that the next output pixel sees too stay in registers.
"""

from collections.abc import Sequence
from typing import Protocol

from .builder import Builder, Pointer, Register, Value, const
from .isa import Isa

ROWS = 2
"""Output rows that are computed together."""

class Sums(Protocol):
    """The sums of one output pixel."""

    def dot(self, x: Sequence[Value], w: Sequence[Value]) -> None:
        """Add four taps' products at once; both sides interleaved."""
        ...


Quads = list[list[Value]]
"""A column (of input, or of the filter) for each output row, its lower and upper channels."""


class DotTaps:
    """Emits the sums of `ROWS` output rows of one channel block, pixel by pixel."""

    def __init__(self, b: Builder, isa: Isa, x: Pointer, stride: int) -> None:
        self._b, self._isa, self._x, self._stride = b, isa, x, stride
        self._zero = const(0, "int8", 4 * isa.lanes)

    def prepare(self, w: Pointer, first: Value) -> None:
        """Interleave the filter, whose taps begin at byte `first` of w."""
        b, size = self._b, 2 * self._isa.lanes
        self._filter: list[Quads] = []
        for tx in range(3):
            column = [b.let(self._isa.load_half(w, first + (ty * 3 + tx) * size)) for ty in range(3)]
            upper = self._interleaved([*column, self._zero])
            lower = self._interleaved([self._zero, *column]) if self._stride == 1 else upper
            self._filter.append([upper, lower])

    def begin(self, origin: Value) -> None:
        """Start a row of pixels, whose first output sees the element at byte `origin` first."""
        b = self._b
        self._lines = [b.let(origin + ty * b.param("tap_y")) for ty in range(3 + self._stride)]
        self._kept = [
            [[Register("int8", 4 * self._isa.lanes, half) for half in quad] for quad in self._column(i, 0)]
            for i in range(3 - self._stride)
        ]

    def add(self, sums: Sequence[Sums], offset: Value) -> None:
        """Add all taps to the sums of a pixel of each output row, which lies `offset` bytes from the row's first."""
        columns = [[[half.get() for half in quad] for quad in kept] for kept in self._kept]
        for tx in range(3):
            if tx == len(columns):
                columns.append(self._column(tx, offset))
            for r, total in enumerate(sums):
                total.dot(columns[tx][r % len(columns[tx])], self._filter[tx][r])
        for kept, column in zip(self._kept, columns[self._stride :], strict=True):
            for registers, quad in zip(kept, column, strict=True):
                for register, half in zip(registers, quad, strict=True):
                    register.set(half)

    def _column(self, number: int, offset: Value) -> Quads:
        b = self._b
        rows = [b.let(self._isa.load_half(self._x, y + offset + number * b.param("tap_x"))) for y in self._lines]
        if self._stride == 1:
            return [self._interleaved(rows)]
        return [self._interleaved(rows[:4]), self._interleaved([*rows[2:], self._zero])]

    def _interleaved(self, vectors: Sequence[Value]) -> list[Value]:
        return [self._b.let(v) for v in self._isa.interleave4(vectors)]
