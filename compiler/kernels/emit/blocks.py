"""Channels in blocks of vectors, for kernels that gather what lies at one channel from many places."""

from collections.abc import Callable

from .builder import BITS, Builder, Pointer, Value, i64
from .halves import narrowed
from .isa import Isa
from .tir import tirx

WIDE = 4
"""Vectors in a wide block."""

Body = Callable[[Value, int], None]


def channel_blocks(b: Builder, begin: Value, end: Value, channels: Value, lanes: int, body: Body) -> None:
    """Code for the channels [begin, end) of `channels`: `body(first channel, vectors)` handles vectors of `lanes`.

    The last block is aligned to the last channel and computes some channels twice; where there are fewer channels
    than lanes it starts at channel 0, and `store_channels` keeps what does not exist from being written.
    """
    wide = b.let(tirx.truncdiv(end - begin, i64(WIDE * lanes)))
    with b.range(0, wide) as i:
        body(b.let(begin + i * (WIDE * lanes)), WIDE)
    rest = b.let(begin + wide * (WIDE * lanes))
    with b.range(0, tirx.truncdiv(end - rest + (lanes - 1), i64(lanes))) as i:
        body(b.let(tirx.max(tirx.min(rest + i * lanes, channels - lanes), i64(0))), 1)


def store_channels(
    b: Builder, isa: Isa, y: Pointer, offset: Value, value: Value, dtype: str, lanes: int, channels: Value
) -> None:
    """Store a vector that begins at channel 0 if there are fewer `channels` than lanes: then only those."""
    size = BITS[dtype] // 8
    value = b.let(narrowed(isa, value, lanes) if dtype == "float16" else value)
    with b.when(channels >= lanes):
        y.store(offset, value, dtype, lanes)
    with b.when(channels < lanes):
        scratch = b.stack(lanes * size)
        scratch.store(i64(0), value, dtype, lanes)
        with b.range(0, channels * size) as i:
            y.store(offset + i, scratch.load(i, "int8"), "int8")
