"""Sums and extremes over windows of pixels, channels in vector lanes: the inner loops of pooling and reductions."""

from collections.abc import Callable
from dataclasses import dataclass

from .builder import BITS, Builder, Pointer, Register, Value, const, i64
from .isa import Isa
from .tir import tirx

EXACT_TERMS = 256
"""int8 values whose sum fits int16."""


@dataclass(frozen=True)
class Window:
    """`rows` x `columns` places, `row_step` and `column_step` bytes apart, from byte `start` of `memory` on."""

    memory: Pointer
    start: Value
    rows: Value
    columns: Value
    row_step: Value
    column_step: Value


def fold(
    b: Builder,
    window: Window,
    dtype: str,
    lanes: int,
    vectors: int,
    initial: float,
    combine: Callable[[Value, Value], Value],
) -> list[Value]:
    """`combine` over the window's vectors, starting from `initial`: `vectors` neighbouring results."""
    results = [Register(dtype, lanes, const(initial, dtype, lanes)) for _ in range(vectors)]
    size = BITS[dtype] // 8
    with b.range(0, window.rows) as i:
        row = b.let(window.start + i * window.row_step)
        with b.range(0, window.columns) as j:
            for v, result in enumerate(results):
                element = window.memory.load(row + j * window.column_step + v * lanes * size, dtype, lanes)
                result.set(combine(result.get(), element))
    return [r.get() for r in results]


def int8_sums(b: Builder, isa: Isa, window: Window, vectors: int) -> list[tuple[Value, Value]]:
    """Sums of int8 x 2*lanes as pairs of int32 vectors. Runs of `EXACT_TERMS` are summed in int16."""
    wide = 2 * isa.lanes
    totals = [[Register("int32", isa.lanes, const(0, "int32", isa.lanes)) for _ in range(2)] for _ in range(vectors)]
    runs = b.let(tirx.truncdiv(window.columns + (EXACT_TERMS - 1), i64(EXACT_TERMS)))
    with b.range(0, window.rows) as i, b.range(0, runs) as run:
        first = b.let(run * EXACT_TERMS)
        row = b.let(window.start + i * window.row_step + first * window.column_step)
        partial = [Register("int16", wide, const(0, "int16", wide)) for _ in range(vectors)]
        with b.range(0, tirx.min(window.columns - first, i64(EXACT_TERMS))) as j:
            for v, total in enumerate(partial):
                element = window.memory.load(row + j * window.column_step + v * wide, "int8", wide)
                total.set(total.get() + isa.widen16(element))
        for pair, total in zip(totals, partial, strict=True):
            for half, part in zip(pair, isa.widen32(total.get()), strict=True):
                half.set(half.get() + part)
    return [(low.get(), high.get()) for low, high in totals]
