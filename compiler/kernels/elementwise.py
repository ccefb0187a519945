"""The loop nest of elementwise kernels: rows of elements at any strides, a vector at a time.

The iteration space is [extent_0, extent_1, extent_2, count]. A tile is a `chunk` of the elements of the rows of one
(i0, i1): a dense tensor is a single row of many chunks, a strided one (a view, a broadcast) has chunks = 1. So the
number of tiles is extent_0 * extent_1 * chunks. `chunk` is a multiple of 64 (any number if chunks = 1).

What a kernel can do with rows shorter than a vector is part of its spec (`Rows`), so that no kernel has code for
lengths that it never meets.

Outputs do not overlap inputs: the last vector of a row is aligned to the row's end and computes some elements twice.
"""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Literal

from ..ir.extent import always_less
from .emit.builder import BITS, Builder, Pointer, Value, i64, splat
from .emit.tir import tirx

Rows = Literal["long", "short", "any"]
"""How long rows are: at least a vector, shorter than one, or that a run decides."""

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
    """A place in a stream."""

    stream: Stream
    memory: Pointer
    offset: Value

    def at(self, index: Value) -> "Cursor":
        """The place `index` elements further."""
        return Cursor(self.stream, self.memory, self.offset + index * self.stream.size) if self.stream.dense else self

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


def rows_of(count: int, width: int) -> Rows:
    """What rows of `count` elements are to a kernel whose vectors have `width`."""
    if always_less(count, width):
        return "short"
    return "long" if always_less(width - 1, count) else "any"


def suffix(rows: Rows) -> str:
    """The end of a kernel's name that tells `rows`."""
    return "" if rows == "long" else f"_{rows}"


def elementwise(
    b: Builder, width: int, inputs: Sequence[Stream], output: Stream, rows: Rows, body: Body, together: int = 1
) -> None:
    """All tiles: `body(inputs, output)` emits the code for `width` elements. `together`: how often at a time."""
    streams = [*inputs, output]
    count = b.param("count")
    with b.tiles() as t:
        row = b.let(tirx.truncdiv(t, b.param("chunks")))
        begin = b.let(tirx.truncmod(t, b.param("chunks")) * b.param("chunk"))
        i0, i1 = b.let(tirx.truncdiv(row, b.param("extent_1"))), b.let(tirx.truncmod(row, b.param("extent_1")))
        starts = [b.let(i0 * b.param(s.params[0]) + i1 * b.param(s.params[1])) for s in streams]
        with b.range(0, b.param("extent_2")) as i2:
            cursors = [
                Cursor(s, b.pointer(s.name), b.let(start + i2 * b.param(s.params[2])))
                for s, start in zip(streams, starts, strict=True)
            ]
            if rows != "short":
                with b.when(count >= width) if rows == "any" else nullcontext():
                    _long_row(b, width, begin, cursors, body, together)
            if rows != "long":
                with b.when(count < width) if rows == "any" else nullcontext():
                    _short_row(b, width, cursors, body)


def _long_row(b: Builder, width: int, begin: Value, rows: Sequence[Cursor], body: Body, together: int) -> None:
    """The chunk of a row from element `begin` on."""
    count = b.param("count")
    length, first = b.let(tirx.min(b.param("chunk"), count - begin)), i64(0)
    if together > 1:
        whole = b.let(tirx.truncdiv(length, i64(together * width)))
        with b.range(0, whole) as turn:
            for number in range(together):
                *sources, target = (row.at(begin + (turn * together + number) * width) for row in rows)
                body(sources, target)
        first = b.let(whole * together)
    with b.range(first, b.let(tirx.truncdiv(length + (width - 1), i64(width)))) as v:
        at = b.let(tirx.min(begin + v * width, count - width))
        *sources, target = (row.at(at) for row in rows)
        body(sources, target)


def _short_row(b: Builder, width: int, rows: Sequence[Cursor], body: Body) -> None:
    """A row of less than a vector goes through the stack: nothing behind it is read or written."""
    copies = [Cursor(r.stream, b.stack(width * r.stream.size), i64(0)) if r.stream.dense else r for r in rows]
    for row, copy in zip(rows[:-1], copies[:-1], strict=True):
        if row.stream.dense:
            _copy_row(b, row, copy)
    body(copies[:-1], copies[-1])
    _copy_row(b, copies[-1], rows[-1])


def _copy_row(b: Builder, source: Cursor, target: Cursor) -> None:
    with b.range(0, b.param("count")) as i:
        at = b.opaque(i)  # or LLVM calls memcpy for a few bytes
        target.at(at).store(0, source.at(at).load(0, 1), 1)
