"""The taps of 3 x 3 and 5 x 5 depthwise kernels, pixel by pixel of a row: columns of the input that
the next pixel sees too stay in registers, which takes 32 of them.

With dot products, four input rows of a column, interleaved, are a *quad*, whose products are summed at once.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from ..emit.builder import Builder, Pointer, Register, Value
from ..emit.isa import Isa
from .depthwise_sums import FloatSums, HalfSums, Int8Sums

Column = list[Value]
"""What is known of a column of the input: vectors."""

Bias = Callable[[], Sequence[Value]]
"""Loads it, as often as it is wanted."""

Sums = Sequence[Any]
"""Of a pixel of each output row that is computed together: all `Int8Sums`, `FloatSums` or `HalfSums`."""


class StreamedTaps(ABC):
    """Emits the sums of `rows` output rows of one channel block, whose filter of `size` x `size` taps begins at byte
    `first` of w."""

    size: ClassVar[int]
    rows: ClassVar[int]
    dtype: ClassVar[str] = "int8"
    whole: ClassVar[bool] = True
    """Whether all channels of a block are computed together; otherwise a vector of them."""

    @property
    def pixels(self) -> int:
        """How many it pays to emit one after the other."""
        return 1

    def __init__(self, b: Builder, isa: Isa, x: Pointer, w: Pointer, first: Value, stride: int) -> None:
        self._b, self._isa, self._x, self._stride, self._lanes = b, isa, x, stride, isa.columns
        self._columns: list[Column] = []
        self._prepare(w, first)

    def start(self, bias: Bias) -> Bias:
        """What the sums of a pixel start from."""
        return bias

    def begin(self, origin: Value) -> None:
        """Start a row of pixels, whose first output sees the element at byte `origin` first."""
        b = self._b
        height = self.size + (self.rows - 1) * self._stride
        self._lines = [b.let(origin + ty * b.param("tap_y")) for ty in range(height)]
        columns = [self._column(tx, 0) for tx in range(self.size - self._stride)]
        self._kept = [[Register(self.dtype, self._width, v) for v in column] for column in columns]

    def add(self, sums: Sums, offset: Value) -> None:
        """Add all taps to the sums of a pixel of each output row, which lies `offset` bytes from the row's first."""
        columns = [[register.get() for register in kept] for kept in self._kept]
        for tx in range(self.size):
            if tx == len(columns):
                columns.append(self._column(tx, offset))
            self._multiply(sums, tx, columns[tx])
        for kept, column in zip(self._kept, columns[self._stride :], strict=True):
            for register, value in zip(kept, column, strict=True):
                register.set(value)

    def _at(self, line: Value, offset: Value, column: int) -> Value:
        return line + offset + column * self._b.param("tap_x")

    @property
    @abstractmethod
    def _width(self) -> int:
        """Elements of a column's vectors."""

    @abstractmethod
    def _prepare(self, w: Pointer, first: Value) -> None:
        """Load the filter."""

    @abstractmethod
    def _column(self, number: int, offset: Value) -> Column:
        """Load a column, `number` columns from the pixel's first."""

    @abstractmethod
    def _multiply(self, sums: Sums, tx: int, column: Column) -> None:
        """Add the products of a column; they come in order."""


class WideningTaps(StreamedTaps):
    """Tap by tap, by the products that `Sums.add` makes. A column is its three elements."""

    size = 3
    rows = 1

    @property
    def _width(self) -> int:
        return self._lanes

    @property
    def pixels(self) -> int:
        """Two, for a pixel's sums wait for each other."""
        return 2

    def _prepare(self, w: Pointer, first: Value) -> None:
        self._left: list[tuple[list[Value], list[Value]]] = []
        """Taps that wait for another one."""
        self._filter = [self._b.let(w.load(first + tap * self._lanes, "int8", self._lanes)) for tap in range(9)]

    def _column(self, number: int, offset: Value) -> Column:
        return [self._b.let(self._x.load(self._at(y, offset, number), "int8", self._lanes)) for y in self._lines]

    def _multiply(self, sums: Sequence[Int8Sums], tx: int, column: Column) -> None:
        self._left += [([x], [self._filter[ty * 3 + tx]]) for ty, x in enumerate(column)]
        while len(self._left) > 1 or (self._left and tx == 2):
            sums[0].add(self._left[:2])
            del self._left[:2]


class HalfTaps(StreamedTaps):
    """Two output rows of a 3 x 3 kernel of float16. A column is the elements that they see."""

    size = 3
    rows = 2
    dtype = "float16"

    @property
    def pixels(self) -> int:
        """Two, for a pixel's sums wait for each other."""
        return 2

    @property
    def _width(self) -> int:
        return self._lanes

    def _prepare(self, w: Pointer, first: Value) -> None:
        size = 2 * self._lanes
        self._filter = [self._b.let(w.load(first + tap * size, "float16", self._lanes)) for tap in range(9)]

    def _column(self, number: int, offset: Value) -> Column:
        return [self._b.let(self._x.load(self._at(y, offset, number), "float16", self._lanes)) for y in self._lines]

    def _multiply(self, sums: Sequence[HalfSums], tx: int, column: Column) -> None:
        for ty in range(3):
            for row, total in enumerate(sums):
                total.add([([column[row * self._stride + ty]], [self._filter[ty * 3 + tx]])])


class FloatTaps(StreamedTaps):
    """Two output rows of a 3 x 3 kernel of float32, a vector of a block's channels at a time. Products are summed up
    row by row of the kernel, as they are without streaming."""

    size = 3
    rows = 2
    dtype = "float32"
    whole = False

    @property
    def pixels(self) -> int:
        """As many as it takes until columns are back in the registers in which they began: none is moved."""
        return 3 if self._stride == 1 else 2

    @property
    def _width(self) -> int:
        return self._isa.lanes

    def _prepare(self, w: Pointer, first: Value) -> None:
        size = self._isa.columns * 4
        self._filter = [self._b.let(w.load(first + tap * size, "float32", self._width)) for tap in range(9)]

    def _column(self, number: int, offset: Value) -> Column:
        return [self._b.let(self._x.load(self._at(y, offset, number), "float32", self._width)) for y in self._lines]

    def _multiply(self, sums: Sequence[FloatSums], tx: int, column: Column) -> None:
        self._columns = [*self._columns[:tx], column]
        if tx < 2:
            return
        for tap, w in enumerate(self._filter):
            for row, total in enumerate(sums):
                total.add([([self._columns[tap % 3][row * self._stride + tap // 3]], [w])])


class QuadTaps(StreamedTaps):
    """By quads; a column is one or two of them, each its lower and upper channels."""

    @property
    def _width(self) -> int:
        return 4 * self._isa.lanes

    def _quad(self, rows: Sequence[Value | None]) -> list[Value]:
        """Of the filter."""
        return [self._b.let(v) for v in self._isa.interleave4(rows)]

    def start(self, bias: Bias) -> Bias:
        """Less what dot products add to it, whatever the data."""
        isa = self._isa
        if not isa.has_unsigned_dot:
            return bias
        starts = [isa.dot_start(v, quads) for v, quads in zip(bias(), zip(*self._quads, strict=True), strict=True)]
        return lambda: starts

    @property
    @abstractmethod
    def _quads(self) -> Sequence[Sequence[Value]]:
        """Of the filter, those that one output row is multiplied by."""

    def _data(self, rows: Sequence[Value | None]) -> list[Value]:
        return [self._b.let(self._isa.dot_data(v)) for v in self._isa.interleave4(rows)]


class DotTaps(QuadTaps):
    """Two output rows of a 3 x 3 kernel. With stride 1 one quad of a column serves both: the filter's column is
    (f0, f1, f2, 0) for the upper and (0, f0, f1, f2) for the lower one. With stride 2 each has a quad of its own."""

    size = 3
    rows = 2

    @property
    def pixels(self) -> int:
        """Of two pixels with stride 1 the second keeps the columns where the first had them: none is moved."""
        return 2 if self._stride == 1 and not self._isa.renames else 1

    def _prepare(self, w: Pointer, first: Value) -> None:
        self._filter: list[list[list[Value]]] = []
        for tx in range(3):
            taps = [self._b.let(self._isa.load_half(w, first + (ty * 3 + tx) * self._lanes)) for ty in range(3)]
            upper = self._quad([*taps, None])
            self._filter.append([upper, self._quad([None, *taps]) if self._stride == 1 else upper])

    @property
    def _quads(self) -> Sequence[Sequence[Value]]:
        return [upper for upper, _ in self._filter]

    def _column(self, number: int, offset: Value) -> Column:
        x = [self._b.let(self._isa.load_half(self._x, self._at(y, offset, number))) for y in self._lines]
        return self._data(x) if self._stride == 1 else [*self._data(x[:4]), *self._data([*x[2:], None])]

    def _multiply(self, sums: Sequence[Int8Sums], tx: int, column: Column) -> None:
        vectors = self._isa.vectors
        for total, quad, w in zip(sums, (column[:vectors], column[-vectors:]), self._filter[tx], strict=True):
            total.dot(quad, w)


class LargeDotTaps(QuadTaps):
    """An output row of a 5 x 5 kernel: four rows in quads of their columns, four taps of the last row in a quad of that
    row, and the last tap by itself."""

    size = 5
    rows = 1

    def _prepare(self, w: Pointer, first: Value) -> None:
        def tap(ty: int, tx: int) -> Value:
            return self._b.let(self._isa.load_half(w, first + (ty * 5 + tx) * self._lanes))

        self._filter = [self._quad([tap(ty, tx) for ty in range(4)]) for tx in range(5)]
        self._last_filter = self._quad([tap(4, tx) for tx in range(4)])
        self._last_tap = self._b.let(w.load(first + 24 * self._lanes, "int8", self._lanes))

    @property
    def _quads(self) -> Sequence[Sequence[Value]]:
        return [*self._filter, self._last_filter]

    def add(self, sums: Sequence[Int8Sums], offset: Value) -> None:
        """The last row's taps, then those of columns."""
        *places, last = (self._at(self._lines[4], offset, tx) for tx in range(5))
        sums[0].dot(self._loaded(places), self._last_filter)
        sums[0].add([([self._b.let(self._x.load(last, "int8", self._lanes))], [self._last_tap])])
        super().add(sums, offset)

    def _column(self, number: int, offset: Value) -> Column:
        return self._loaded([self._at(y, offset, number) for y in self._lines[:4]])

    def _loaded(self, places: Sequence[Value]) -> list[Value]:
        return self._data([self._b.let(self._isa.load_half(self._x, at)) for at in places])

    def _multiply(self, sums: Sequence[Int8Sums], tx: int, column: Column) -> None:
        sums[0].dot(column, self._filter[tx])
