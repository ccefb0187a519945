"""Where the pixels of a dense convolution lie, and the operands of a batch of products."""

from collections.abc import Sequence

from ..emit.builder import Builder, Register, Value, cast, i64
from ..emit.tir import tirx

BASES = ("x", "y", "r", "rows", "w")
"""What operands are called in the names of their strides."""


def bases(b: Builder, params: Sequence[str]) -> dict[str, Value]:
    """Where the operands of the first product begin."""
    return {name: b.param(f"{name}_at") if f"{name}_at" in params else i64(0) for name in BASES}


def batch(b: Builder, params: Sequence[str], number: Value) -> dict[str, Value]:
    """Where the operands of product `number` begin."""
    outer = b.let(tirx.truncdiv(number, b.param("batch_1")))
    inner = b.let(tirx.truncmod(number, b.param("batch_1")))

    def base(name: str, first: Value) -> Value:
        if f"{name}_0" not in params:
            return first
        return b.let(first + outer * b.param(f"{name}_0") + inner * b.param(f"{name}_1"))

    return {name: base(name, first) for name, first in bases(b, params).items()}


def pixel_offsets(
    b: Builder, first: Value, count: int, places: Sequence[tuple[Value, str, str]], *, looped: bool
) -> list[list[Value]]:
    """Byte offsets of `count` consecutive output pixels from number `first`, for each (base, row and pixel stride).

    Pixels beyond `m_end` repeat the last one: they are computed again, to the same bytes. At most one division a
    tile, none where all pixels are one row; most tiles lie in one. `looped`: less code, for offsets that are in memory
    anyway.
    """
    width = b.param("out_width")
    at, rows = Register("int64", 1, first), [Register("int64", 1, base) for base, _, _ in places]
    with b.when(width < b.param("m_end")):
        row = b.let(cast(tirx.truncdiv(cast(first, "int32", 1), b.param32("out_width")), "int64", 1))
        at.set(first - row * width)
        for begin, (base, r, _) in zip(rows, places, strict=True):
            begin.set(base + row * b.param(r))
    column = b.let(at.get())
    starts = [b.let(begin.get() + column * b.param(p)) for begin, (_, _, p) in zip(rows, places, strict=True)]
    steps = [(b.param(r) - (width - 1) * b.param(p), b.param(p)) for _, r, p in places]
    if looped:
        return _looped_offsets(b, first, count, column, steps, starts)
    table = [[start, *(Register("int64", 1) for _ in range(1, count))] for start in starts]
    near = b.let(tirx.all(column + count <= width, first + count <= b.param("m_end")))
    with b.when(near):
        for offsets, offset, (_, pixel) in zip(table, starts, steps, strict=True):
            for i in range(1, count):
                offset = b.opaque(offset + pixel)  # or LLVM keeps the multiples of `pixel`
                offsets[i].set(offset)
    with b.when(tirx.Not(near)):
        found = _looped_offsets(b, first, count, column, steps, starts)
        for offsets, values in zip(table, found, strict=True):
            for offset, value in zip(offsets[1:], values[1:], strict=True):
                offset.set(value)
    return [[start, *(offset.get() for offset in offsets)] for start, *offsets in table]


def _looped_offsets(
    b: Builder, first: Value, count: int, column: Value, steps: Sequence[tuple[Value, Value]], starts: Sequence[Value]
) -> list[list[Value]]:
    """The table of `pixel_offsets` by way of the stack; `steps`: bytes to the next row's first pixel, and to the next
    pixel."""
    at, memory = Register("int64", 1, column), b.stack(8 * count * len(starts))
    current = [Register("int64", 1, start) for start in starts]
    with b.range(0, b.opaque(i64(count))) as i:
        wraps, exists = tirx.EQ(at.get() + 1, b.param("out_width")), first + i + 1 < b.param("m_end")
        for s, (offset, (wrap_step, step)) in enumerate(zip(current, steps, strict=True)):
            memory.store((i * len(starts) + s) * 8, offset.get(), "int64")
            offset.set(offset.get() + tirx.Select(exists, tirx.Select(wraps, wrap_step, step), i64(0)))
        at.set(tirx.Select(wraps, i64(0), at.get() + 1))
    places = [[(i * len(starts) + s) * 8 for i in range(count)] for s in range(len(starts))]
    return [[b.let(memory.load(i64(place), "int64")) for place in row] for row in places]
