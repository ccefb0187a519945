"""`softmax` over the last axis, which is dense. A tile is `tile_rows` rows.

int8 follows the arithmetic contract: `w` is the table T of int32[256] (see `quantized.softmax_table`).
"""

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from ..ir.arrays import literals_of
from ..ir.elementary import decay, log
from ..ir.vectors import Vectors
from ..ops.float_sums import SUM_BYTES
from .emit.builder import BITS, Builder, Pointer, Register, Value, cast, const, define, i64, intrinsic, shuffle, splat
from .emit.floating import fenced, keep, llvm_float
from .emit.halves import KEPT as KEPT_HALVES
from .emit.halves import load, store
from .emit.isa import Isa, added
from .emit.lanes import vectors_of
from .emit.literals import Literals
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
"""Rows that are computed side by side; of logarithms, which are rare, one."""

_PARAMS = ("rows", "tile_rows", "count", "x_row", "y_row")


@dataclass(frozen=True)
class SoftmaxSpec:
    """Which member of the family; only floats have a `log` form. `short`: rows of float16 have at most
    `halves.KEPT` elements. int8 parameters: `inverse_scale` = float32(1 / sy) and the output's `zero_point`."""

    dtype: str
    log: bool = False
    short: bool = False

    @property
    def symbol(self) -> str:
        """The kernel's name in plans, symbols and profiles."""
        prefix = "qs8" if self.dtype == "int8" else SHORT[self.dtype]
        return f"{prefix}_{'log' if self.log else ''}softmax{'_short' if self.short else ''}"

    @property
    def params(self) -> tuple[str, ...]:
        """Names of the kernel's parameters, in order."""
        return _PARAMS + (("inverse_scale", "zero_point") if self.dtype == "int8" else ())


def build(spec: SoftmaxSpec, isa: Isa) -> object:
    """The TIR function of `spec` on `isa`."""
    literals = _literals(spec, isa)
    body = partial(_body, spec=spec, isa=isa, literals=literals)
    return define(spec.symbol, OPERANDS, spec.params, body, literals.instructions if literals else "")


def _literals(spec: SoftmaxSpec, isa: Isa) -> Literals | None:
    """What powers are computed with, where rows side by side leave no registers for it and copies take time."""
    keeps = spec.short or (spec.dtype == "float32" and not spec.log)
    return Literals(literals_of(decay, 1)) if keeps and isa.reloads else None


def _body(b: Builder, spec: SoftmaxSpec, isa: Isa, literals: Literals | None) -> None:
    with b.tiles() as t:
        first = b.let(t * b.param("tile_rows"))
        end = b.let(tirx.min(first + b.param("tile_rows"), b.param("rows")))
        step = 1 if spec.log else TOGETHER
        steps = b.let(tirx.truncdiv(end - first, i64(step)))
        with b.range(0, steps) as number:
            _rows(b, spec, isa, literals, b.let(first + number * step), step)
        if step > 1:
            with b.range(first + steps * step, end) as row:
                _rows(b, spec, isa, literals, row, 1)


def _rows(
    b: Builder, spec: SoftmaxSpec, isa: Isa, literals: Literals | None, first: Value, count: int
) -> None:  # fmt: skip
    """`count` rows from number `first` on."""
    rows = [tuple(b.let((first + i) * b.param(name)) for name in ("x_row", "y_row")) for i in range(count)]
    if spec.dtype == "int8":
        _int8_rows(b, isa, rows)
    else:
        _float_rows(b, spec, isa, literals, rows)


def _maximum(b: Builder, isa: Isa, dtype: str, lanes: int, x_row: Value) -> Value:
    """The largest element of a row: int8 or a float that is computed with."""
    x, count, size, stored = b.pointer("x"), b.param("count"), BITS[dtype] // 8, dtype
    in_halves = dtype == "float16" and isa.computes_halves
    dtype = "float32" if dtype == "float16" and not in_halves else dtype
    lowest = -128 if dtype == "int8" else float("-inf")
    best = Register(dtype, lanes, const(lowest, dtype, lanes))
    whole = b.let(tirx.truncdiv(count, i64(lanes)))

    def larger(n: int, one: Value, other: Value) -> Value:
        return llvm_float("maximum", n, one, other) if in_halves else tirx.max(one, other)

    with b.range(0, whole) as i:
        best.set(larger(lanes, best.get(), load(x, x_row + i * (lanes * size), stored, lanes, dtype)))
    rest = Register(dtype, 1, const(lowest, dtype))
    with b.range(whole * lanes, count) as i:  # few: no vector code for them
        rest.set(larger(1, rest.get(), load(x, x_row + b.opaque(i * size), stored, 1, dtype)))
    if dtype == "int8":
        return tirx.max(intrinsic(f"llvm.vector.reduce.smax.v{lanes}i8", "int8", 1, best.get()), rest.get())
    largest = horizontal(b, lambda n: partial(larger, n), best.get(), lanes, rest.get())
    return cast(largest, "float32", 1) if in_halves else largest


def _int8_rows(b: Builder, isa: Isa, rows: Sequence[tuple[Value, Value]]) -> None:
    """Rows that begin at (byte of x, byte of y), side by side."""
    made = [_Int8Row(b, isa, *row) for row in rows]
    count, width, many = b.param("count"), 2 * isa.lanes, b.param("count") > KEPT
    whole = b.let(tirx.truncdiv(count, i64(LOOKUPS)))
    with b.range(0, whole) as i:
        for row in made:
            row.add(b.let(i * LOOKUPS), LOOKUPS)
    with b.range(whole * LOOKUPS, count) as i:
        for row in made:
            row.add(i, 1)
    for row in made:
        row.sum_up()
    kept = b.let(tirx.Select(many, i64(0), tirx.truncdiv(count, i64(width))))
    with b.range(0, kept) as v:
        for row in made:
            row.store(v * width, row.codes(v * width * 4), width)
    with b.range(kept, tirx.truncdiv(count + (width - 1), i64(width))) as v:
        first = b.let(v * width)
        length = b.let(tirx.min(count - first, i64(width)))
        for row in made:
            row.store_part(first, length, many)


class _Int8Row:
    """A row: the powers of its elements, in memory, and their sum."""

    def __init__(self, b: Builder, isa: Isa, x_row: Value, y_row: Value) -> None:
        self._b, self._isa, self._x_row, self._y_row = b, isa, x_row, y_row
        # or LLVM subtracts before it multiplies
        self._origin = b.opaque(i64(_maximum(b, isa, "int8", FEW, x_row)) * 4)
        self._powers = b.stack(KEPT * 4)
        self._total = Register("int32", 1, const(0, "int32"))

    def _power(self, i: Value) -> Value:
        x, w = (self._b.pointer(name) for name in "xw")
        return w.load(self._origin - i64(x.load(self._x_row + i, "int8")) * 4, "int32")

    def add(self, first: Value, number: int) -> None:
        """Look up some elements. In vectors they would take more instructions to be put together than to be added."""
        b = self._b
        found = [b.opaque(i64(self._power(first + i))) for i in range(number)]
        at = b.let((first & (KEPT - 1)) * 4)
        for i, e in enumerate(found):
            self._powers.store(at + i * 4, cast(e, "int32", 1), "int32")
        self._total.set(self._total.get() + cast(added(found), "int32", 1))

    def sum_up(self) -> None:
        """All powers have been looked up."""
        b, isa = self._b, self._isa
        quotient = b.let(b.param_float("inverse_scale") / cast(self._total.get(), "float32", 1))
        self._multiplier, self._zero_point = b.let(splat(quotient, isa.lanes)), splat16(b, isa, "zero_point")

    def codes(self, at: Value) -> Value:
        """Of a vector of powers in memory."""
        isa = self._isa
        low, high = (self._powers.load(at + half * isa.lanes * 4, "int32", isa.lanes) for half in range(2))
        return self._b.let(isa.narrow8(requantize(isa, (low, high), [self._multiplier] * 2, self._zero_point)))

    def store(self, first: Value, codes: Value, width: int) -> None:
        """Results from element `first` on."""
        self._b.pointer("y").store(self._y_row + first, codes, "int8", width)

    def store_part(self, first: Value, length: Value, many: Value) -> None:
        """Results of less than a vector, or of powers that were not kept, which are looked up again."""
        b = self._b
        with b.when(many), b.range(0, length) as i:
            self._powers.store(b.opaque(i * 4), self._power(first + i), "int32")
        at = b.let(tirx.Select(many, i64(0), first * 4))
        self._powers.store(at, self.codes(at), "int8", 2 * self._isa.lanes)
        with b.range(0, length) as i:
            self.store(first + i, self._powers.load(b.opaque(at + i), "int8"), 1)


def _float_rows(
    b: Builder, spec: SoftmaxSpec, isa: Isa, literals: Literals | None, rows: Sequence[tuple[Value, Value]]
) -> None:
    """Rows that begin at (byte of x, byte of y), side by side: steps of one wait for each other. The results of float16
    have no room for powers until they are divided: these are elsewhere, or computed twice."""
    y, count, lanes, dtype, size = b.pointer("y"), b.param("count"), SUM_BYTES // 4, spec.dtype, BITS[spec.dtype] // 8
    kept = _places_of_powers(b, spec, rows)
    largest = [b.let(_maximum(b, isa, dtype, lanes, x_row)) for x_row, _ in rows]
    whole = b.let(tirx.truncdiv(count, i64(lanes)))
    sums = [{n: Register("float32", n, const(0.0, "float32", n)) for n in (lanes, 1)} for _ in rows]
    spans, zero = ((lanes, i64(0), whole), (1, whole * lanes, count)), Register("int64", 1, i64(0))

    def shifted(n: int, row: int, at: Value) -> Value:
        return load(b.pointer("x"), rows[row][0] + at, dtype, n) - splat(largest[row], n)

    for n, begin, end in spans:
        with b.range(begin, end) as i:
            powers_of = _powers(b, literals, zero, n, len(rows))
            for row, total in enumerate(sums):
                e = b.let(powers_of[row](shifted(n, row, i * (size * n))))
                total[n].set(total[n].get() + e)
                if kept:
                    powers, start = kept[row]
                    powers.store(start + i * (4 * n), e, "float32", n)
    totals = [b.let(horizontal(b, lambda _: operator.add, s[lanes].get(), lanes, s[1].get())) for s in sums]
    last = [b.let(log(vectors_of(1), t) if spec.log else const(1.0, "float32") / t) for t in totals]
    for n, begin, end in spans:
        with b.range(begin, end) as i:
            at = i * (size * n)
            for row, (_, y_row) in enumerate(rows):
                if spec.log:
                    store(isa, y, y_row + at, shifted(n, row, at) - splat(last[row], n), dtype, n)
                    continue
                if kept:
                    powers, start = kept[row]
                    power = powers.load(start + i * (4 * n), "float32", n)
                else:
                    power = decay(vectors_of(n), shifted(n, row, at))
                y.store(y_row + at, cast(power * splat(last[row], n), dtype, n), dtype, n)


def _powers(
    b: Builder, literals: Literals | None, zero: Register, lanes: int, rows: int
) -> list[Callable[[Value], Value]]:
    """What gives the powers of e of a vector of each row, in a turn of a loop. `zero`: as for `Literals.vectors`."""

    def plain(x: Value) -> Value:
        return fenced(lanes, decay(vectors_of(lanes), x))

    if literals is None or lanes == 1:
        return [plain] * rows
    width = literals.lanes
    parts = range(0, lanes, width)
    vectors = literals.vectors(b, zero, rows * len(parts))

    def in_parts(own: Sequence[Vectors], x: Value) -> Value:
        x = keep(x)
        each = (shuffle([x], range(first, first + width)) for first in parts)
        found = [fenced(width, decay(v, part)) for v, part in zip(own, each, strict=True)]
        return shuffle(found, range(lanes))

    return [partial(in_parts, vectors[row * len(parts) :][: len(parts)]) for row in range(rows)]


def _places_of_powers(
    b: Builder, spec: SoftmaxSpec, rows: Sequence[tuple[Value, Value]]
) -> list[tuple[Pointer, Value]]:
    """Where the powers of each row are kept until they are divided, if they are."""
    if spec.log or not (spec.dtype == "float32" or spec.short):
        return []
    if spec.dtype == "float32":
        return [(b.pointer("y"), y_row) for _, y_row in rows]
    return [(b.stack(KEPT_HALVES * 4), i64(0)) for _ in rows]
