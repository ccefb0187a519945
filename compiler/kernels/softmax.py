"""`softmax` over the last axis, which is dense. A tile is `tile_rows` rows.

int8 follows the arithmetic contract: `w` is the table T of int32[256] (see `quantized.softmax_table`).
"""

import operator
from collections.abc import Sequence
from dataclasses import dataclass

from ..ir.elementary import decay, log
from ..ops.float_sums import SUM_BYTES
from .emit.builder import BITS, Builder, Register, Value, cast, const, define, i64, intrinsic, shuffle, splat
from .emit.floating import fenced
from .emit.halves import computed, load, store
from .emit.isa import Isa
from .emit.lanes import vectors_of
from .emit.naming import SHORT
from .emit.quantization import requantize, splat16
from .emit.tir import tirx
from .reduce import horizontal

OPERANDS = ("x", "w", "y")

FEW = 16
"""int8 elements of which the largest is found at a time: short rows have no more."""

LOOKUPS = 8
"""int8 elements whose powers are looked up together: each is two loads, of which the second waits for the first."""

KEPT = 256
"""int32 powers of a row that are looked up once: those of longer rows are looked up twice."""

TOGETHER = 2
"""Rows of float32 that are computed side by side; others are rare."""

_PARAMS = ("rows", "tile_rows", "count", "x_row", "y_row")


@dataclass(frozen=True)
class SoftmaxSpec:
    """Which member of the family; only floats have a `log` form. int8 parameters: `inverse_scale` =
    float32(1 / sy) and the output's `zero_point`."""

    dtype: str
    log: bool = False

    @property
    def symbol(self) -> str:
        """The kernel's name in plans, symbols and profiles."""
        return ("qs8" if self.dtype == "int8" else SHORT[self.dtype]) + ("_logsoftmax" if self.log else "_softmax")

    @property
    def params(self) -> tuple[str, ...]:
        """Names of the kernel's parameters, in order."""
        return _PARAMS + (("inverse_scale", "zero_point") if self.dtype == "int8" else ())


def build(spec: SoftmaxSpec, isa: Isa) -> object:
    """The TIR function of `spec` on `isa`."""
    return define(spec.symbol, OPERANDS, spec.params, lambda b: _body(b, spec, isa))


def _body(b: Builder, spec: SoftmaxSpec, isa: Isa) -> None:
    with b.tiles() as t:
        first = b.let(t * b.param("tile_rows"))
        end = b.let(tirx.min(first + b.param("tile_rows"), b.param("rows")))
        step = TOGETHER if spec.dtype == "float32" and not spec.log else 1
        steps = b.let(tirx.truncdiv(end - first, i64(step)))
        with b.range(0, steps) as number:
            _rows(b, spec, isa, b.let(first + number * step), step)
        if step > 1:
            with b.range(first + steps * step, end) as row:
                _rows(b, spec, isa, row, 1)


def _rows(b: Builder, spec: SoftmaxSpec, isa: Isa, first: Value, count: int) -> None:
    """`count` rows from number `first` on."""
    rows = [tuple(b.let((first + i) * b.param(name)) for name in ("x_row", "y_row")) for i in range(count)]
    if spec.dtype == "int8":
        _int8_row(b, isa, *rows[0])
    else:
        _float_rows(b, spec, rows)


def _maximum(b: Builder, dtype: str, lanes: int, x_row: Value) -> Value:
    """The largest element of a row."""
    x, count, size, stored, dtype = b.pointer("x"), b.param("count"), BITS[dtype] // 8, dtype, computed(dtype)
    lowest = -128 if dtype == "int8" else float("-inf")
    best = Register(dtype, lanes, const(lowest, dtype, lanes))
    whole = b.let(tirx.truncdiv(count, i64(lanes)))
    with b.range(0, whole) as i:
        best.set(tirx.max(best.get(), load(x, x_row + i * (lanes * size), stored, lanes)))
    rest = Register(dtype, 1, const(lowest, dtype))
    with b.range(whole * lanes, count) as i:
        rest.set(tirx.max(rest.get(), load(x, x_row + b.opaque(i * size), stored)))  # few: no vector code for them
    if dtype == "int8":
        return tirx.max(intrinsic(f"llvm.vector.reduce.smax.v{lanes}i8", "int8", 1, best.get()), rest.get())
    return horizontal(b, lambda _: tirx.max, best.get(), lanes, rest.get())


def _int8_row(b: Builder, isa: Isa, x_row: Value, y_row: Value) -> None:
    x, w, y, count, width = b.pointer("x"), b.pointer("w"), b.pointer("y"), b.param("count"), 2 * isa.lanes
    origin = b.opaque(i64(_maximum(b, "int8", FEW, x_row)) * 4)  # or LLVM subtracts before it multiplies

    def power(i: Value) -> Value:
        return w.load(origin - i64(x.load(x_row + i, "int8")) * 4, "int32")

    powers, many = b.stack(KEPT * 4), count > KEPT
    totals, rest = (Register("int32", lanes, const(0, "int32", lanes)) for lanes in (LOOKUPS, 1))

    def add(total: Register, first: Value) -> None:
        found = [power(first + i) for i in range(total.lanes)]
        vector = b.let(found[0] if total.lanes == 1 else shuffle(found, range(total.lanes)))
        powers.store((first & (KEPT - 1)) * 4, vector, "int32", total.lanes)
        total.set(total.get() + vector)

    whole = b.let(tirx.truncdiv(count, i64(LOOKUPS)))
    with b.range(0, whole) as i:
        add(totals, b.let(i * LOOKUPS))
    with b.range(whole * LOOKUPS, count) as i:
        add(rest, i)
    total = horizontal(b, lambda _: operator.add, totals.get(), LOOKUPS, rest.get())
    quotient = b.let(b.param_float("inverse_scale") / cast(total, "float32", 1))
    multiplier, zero_point = b.let(splat(quotient, isa.lanes)), splat16(b, isa, "zero_point")
    with b.range(0, tirx.truncdiv(count + (width - 1), i64(width))) as v:
        first = b.let(v * width)
        length = b.let(tirx.min(count - first, i64(width)))
        with b.when(many), b.range(0, length) as i:
            powers.store(i * 4, power(first + i), "int32")
        at = b.let(tirx.Select(many, i64(0), first * 4))
        low, high = (powers.load(at + half * isa.lanes * 4, "int32", isa.lanes) for half in range(2))
        codes = b.let(isa.narrow8(requantize(isa, (low, high), [multiplier] * 2, zero_point)))
        with b.when(length >= width):
            y.store(y_row + first, codes, "int8", width)
        with b.when(length < width):
            powers.store(at, codes, "int8", width)
            with b.range(0, length) as i:
                y.store(y_row + first + i, powers.load(at + i, "int8"), "int8")


def _float_rows(b: Builder, spec: SoftmaxSpec, rows: Sequence[tuple[Value, Value]]) -> None:
    """Rows that begin at (byte of x, byte of y), side by side: steps of one wait for each other. float16 has no room
    for powers until they are divided: they are computed twice."""
    y, count, lanes, dtype, size = b.pointer("y"), b.param("count"), SUM_BYTES // 4, spec.dtype, BITS[spec.dtype] // 8
    keeps = not spec.log and dtype == "float32"
    largest = [b.let(_maximum(b, dtype, lanes, x_row)) for x_row, _ in rows]
    whole = b.let(tirx.truncdiv(count, i64(lanes)))
    sums = [{n: Register("float32", n, const(0.0, "float32", n)) for n in (lanes, 1)} for _ in rows]
    spans = ((lanes, i64(0), whole), (1, whole * lanes, count))

    def shifted(n: int, row: int, at: Value) -> Value:
        return load(b.pointer("x"), rows[row][0] + at, dtype, n) - splat(largest[row], n)

    for n, begin, end in spans:
        with b.range(begin, end) as i:
            for row, (total, (_, y_row)) in enumerate(zip(sums, rows, strict=True)):
                e = b.let(fenced(n, decay(vectors_of(n), shifted(n, row, i * (size * n)))))
                total[n].set(total[n].get() + e)
                if keeps:
                    y.store(y_row + i * (size * n), e, "float32", n)
    totals = [b.let(horizontal(b, lambda _: operator.add, s[lanes].get(), lanes, s[1].get())) for s in sums]
    last = [b.let(log(vectors_of(1), t) if spec.log else const(1.0, "float32") / t) for t in totals]
    for n, begin, end in spans:
        with b.range(begin, end) as i:
            at = i * (size * n)
            for row, (_, y_row) in enumerate(rows):
                if spec.log:
                    value = shifted(n, row, at) - splat(last[row], n)
                else:
                    power = y.load(y_row + at, "float32", n) if keeps else decay(vectors_of(n), shifted(n, row, at))
                    value = power * splat(last[row], n)
                store(y, y_row + at, value, dtype, n)
