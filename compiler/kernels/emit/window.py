"""Sums and extremes over windows of pixels, channels in vector lanes: the inner loops of pooling and reductions."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .builder import BITS, Builder, Pointer, Register, Value, const, i64
from .halves import computed, load
from .isa import Isa
from .tir import tirx

_Combine = Callable[[Value, Value], Value]

RUN = 64
"""Columns of a run of `fold_in_runs`."""

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
    combine: _Combine,
) -> list[Value]:
    """`combine` over the window's vectors of elements stored as `dtype`, starting from `initial`: `vectors`
    neighbouring results."""
    results = _starting(dtype, lanes, vectors, initial)
    with b.range(0, window.rows) as i:
        _fold_run(b, window, dtype, b.let(window.start + i * window.row_step), window.columns, results, combine)
    return [r.get() for r in results]


def fold_in_runs(
    b: Builder,
    window: Window,
    dtype: str,
    lanes: int,
    vectors: int,
    initial: float,
    combine: _Combine,
    join: _Combine,
) -> list[Value]:
    """As `fold`, for large windows: runs of `RUN` columns are folded by themselves and then joined, so that the
    rounding errors of a sum grow with the number of runs rather than of elements."""
    results = _starting(dtype, lanes, vectors, initial)
    runs = b.let(tirx.truncdiv(window.columns + (RUN - 1), i64(RUN)))
    with b.range(0, window.rows) as i, b.range(0, runs) as run:
        first = b.let(run * RUN)
        start = b.let(window.start + i * window.row_step + first * window.column_step)
        partial = _starting(dtype, lanes, vectors, initial)
        _fold_run(b, window, dtype, start, tirx.min(window.columns - first, i64(RUN)), partial, combine)
        for result, part in zip(results, partial, strict=True):
            result.set(join(result.get(), part.get()))
    return [r.get() for r in results]


def _starting(dtype: str, lanes: int, vectors: int, initial: float) -> list[Register]:
    return [Register(computed(dtype), lanes, const(initial, computed(dtype), lanes)) for _ in range(vectors)]


def _fold_run(
    b: Builder, window: Window, dtype: str, start: Value, columns: Value, results: Sequence[Register], combine: _Combine
) -> None:
    with b.range(0, columns) as j:
        for v, result in enumerate(results):
            at = start + j * window.column_step + v * (result.lanes * BITS[dtype] // 8)
            result.set(combine(result.get(), load(window.memory, at, dtype, result.lanes)))


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
