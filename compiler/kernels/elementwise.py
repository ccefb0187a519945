"""The loop nest of elementwise kernels: rows of elements at any strides, a vector at a time.

The iteration space is [extent_0, extent_1, extent_2, count]. A tile is a `chunk` of the elements of the rows of one
(i0, i1): a dense tensor is a single row of many chunks, a strided one (a view, a broadcast) has chunks = 1. So the
number of tiles is extent_0 * extent_1 * chunks. `chunk` is a multiple of 64 (any number if chunks = 1).

Outputs do not overlap inputs: the last vector of a row is aligned to the row's end and computes some elements twice.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tvm import tirx

from .builder import BITS, Builder, Pointer, Value, i64, splat

SPACE = ("extent_1", "extent_2", "count", "chunk", "chunks")


@dataclass(frozen=True)
class Stream:
    """An operand that is walked; its parameters are its byte strides for i0, i1 and i2. The elements of a row are
    dense, or (not `dense`) one element is repeated."""

    name: str
    dtype: str
    dense: bool = True

    @property
    def params(self) -> tuple[str, ...]:
        """The stride parameters."""
        return tuple(f"{self.name}_{i}" for i in range(3))

    @property
    def size(self) -> int:
        """Bytes an element."""
        return BITS[self.dtype] // 8


@dataclass(frozen=True)
class Cursor:
    """Where a stream's elements for one vector begin."""

    stream: Stream
    memory: Pointer
    offset: Value

    def load(self, first: int, lanes: int) -> Value:
        """`lanes` elements from number `first` on."""
        if not self.stream.dense:
            return splat(self.memory.load(self.offset, self.stream.dtype), lanes)
        return self.memory.load(self.offset + first * self.stream.size, self.stream.dtype, lanes)

    def store(self, first: int, value: Value, lanes: int) -> None:
        """Write `lanes` elements."""
        self.memory.store(self.offset + first * self.stream.size, value, self.stream.dtype, lanes)


Body = Callable[[Sequence[Cursor], Cursor], None]


def params(streams: Sequence[Stream]) -> tuple[str, ...]:
    """The parameters of a kernel over `streams`."""
    return SPACE + tuple(p for s in streams for p in s.params)


def elementwise(b: Builder, width: int, inputs: Sequence[Stream], output: Stream, body: Body) -> None:
    """All tiles: `body(inputs, output)` emits the code for `width` elements."""
    streams = [*inputs, output]
    count = b.param("count")
    with b.tiles() as t:
        row, begin = b.let(tirx.truncdiv(t, b.param("chunks"))), b.let(tirx.truncmod(t, b.param("chunks")) * b.param("chunk"))
        vectors = b.let(tirx.truncdiv(tirx.min(b.param("chunk"), count - begin) + (width - 1), i64(width)))
        i0, i1 = b.let(tirx.truncdiv(row, b.param("extent_1"))), b.let(tirx.truncmod(row, b.param("extent_1")))
        starts = [b.let(i0 * b.param(s.params[0]) + i1 * b.param(s.params[1])) for s in streams]
        with b.range(0, b.param("extent_2")) as i2:
            rows = [b.let(start + i2 * b.param(s.params[2])) for s, start in zip(streams, starts, strict=True)]
            with b.when(count >= width), b.range(0, vectors) as v:
                at = b.let(tirx.min(begin + v * width, count - width))
                cursors = [
                    Cursor(s, b.pointer(s.name), row + at * s.size if s.dense else row)
                    for s, row in zip(streams, rows, strict=True)
                ]
                body(cursors[:-1], cursors[-1])
            with b.when(count < width):
                _short_row(b, width, streams, rows, body)


def _short_row(b: Builder, width: int, streams: Sequence[Stream], rows: Sequence[Value], body: Body) -> None:
    """A row of less than a vector goes through the stack: nothing behind it is read or written."""
    cursors = []
    for stream, row in zip(streams, rows, strict=True):
        if not stream.dense:
            cursors.append(Cursor(stream, b.pointer(stream.name), row))
            continue
        cursors.append(Cursor(stream, b.stack(width * stream.size), i64(0)))
    for cursor, row in zip(cursors[:-1], rows[:-1], strict=True):
        if cursor.stream.dense:
            with b.range(0, b.param("count")) as i:
                copy_element(cursor.memory, i * cursor.stream.size, b.pointer(cursor.stream.name), row, cursor.stream, i)
    body(cursors[:-1], cursors[-1])
    with b.range(0, b.param("count")) as i:
        target, size = cursors[-1].stream, cursors[-1].stream.size
        b.pointer(target.name).store(rows[-1] + i * size, cursors[-1].memory.load(i * size, target.dtype), target.dtype)


def copy_element(to: Pointer, to_offset: Value, source: Pointer, row: Value, stream: Stream, i: Value) -> None:
    """Element `i` of a row."""
    to.store(to_offset, source.load(row + i * stream.size, stream.dtype), stream.dtype)
