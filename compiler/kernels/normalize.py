"""`normalize` of dense rows. A tile is `tile_rows` rows.

int8 follows the arithmetic contract: `w` holds what `header` says, then the gains and offsets of the elements, each
array padded to at least `PADDED` elements.
"""

import operator
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from ..ops.float_sums import SUM_BYTES
from .emit.builder import BITS, Builder, Pointer, Register, Value, cast, const, define, i64, splat
from .emit.floating import fenced, fma, llvm_float
from .emit.halves import KEPT, computed, load, store
from .emit.isa import Isa
from .emit.naming import SHORT
from .emit.quantization import splat16
from .emit.tir import tirx
from .reduce import horizontal

OPERANDS = ("x", "scale", "bias", "y")
"""int8: `scale` is w, and there is no `bias`."""

HEADER = ("variance_factor", "variance_offset", "step")
"""float64: variance = V * factor + offset of the integer V, r = step / sqrt(variance)."""

HEADER_BYTES = 64
TOGETHER = 4
"""Vectors of floats that are loaded, and computed, at the same time: steps of one wait for each other."""

ROWS = 2
"""Rows of floats that are computed side by side: their sums do not wait for each other, and they share gains."""

PADDED = 16
"""The least number of gains and of offsets: a vector of them is read in any case."""

_PARAMS = ("rows", "tile_rows", "count")


@dataclass(frozen=True)
class NormalizeSpec:
    """Which member of the family: floats with or without mean, scale and bias (float16
    takes those of float32); int8 with or without mean. `short`: rows of float16 have at most `halves.KEPT` elements."""

    dtype: str
    rms: bool = False
    scale: bool = True
    bias: bool = True
    short: bool = False

    @property
    def symbol(self) -> str:
        """The kernel's name in plans, symbols and profiles."""
        prefix = "qs8" if self.dtype == "int8" else SHORT[self.dtype]
        affine = ("s" if self.scale else "") + ("b" if self.bias else "")
        parts = [prefix, "rms" if self.rms else "norm", affine if self.dtype != "int8" else "", "short" * self.short]
        return "_".join(filter(None, parts))

    @property
    def params(self) -> tuple[str, ...]:
        """Names of the kernel's parameters, in order."""
        return _PARAMS + (("epsilon",) if self.dtype != "int8" else ("offsets", "input_zero", "y_zero_point"))


_Rows = Callable[[Builder, NormalizeSpec, Isa, Sequence[Value]], None]


def build(spec: NormalizeSpec, isa: Isa) -> object:
    """The TIR function of `spec` on `isa`."""
    code, together = (_int8_rows, 1) if spec.dtype == "int8" else (_float_rows, ROWS)
    return define(spec.symbol, OPERANDS, spec.params, lambda b: _body(b, spec, isa, code, together))


def _body(b: Builder, spec: NormalizeSpec, isa: Isa, code: _Rows, together: int) -> None:
    """`code` is for rows that begin at given bytes: `together` of them, and the last ones one by one."""
    size = b.let(b.param("count") * (BITS[spec.dtype] // 8))
    with b.tiles() as t:
        first = b.let(t * b.param("tile_rows"))
        end = b.let(tirx.min(first + b.param("tile_rows"), b.param("rows")))
        whole = b.let(first + tirx.truncdiv(end - first, i64(together)) * together)
        for rows, begin, stop in ((together, first, whole), (1, whole, end))[: min(together, 2)]:
            with _steps(b, begin, stop, rows) as row:
                code(b, spec, isa, [b.let((row + r) * size) for r in range(rows)])


def _float_rows(b: Builder, spec: NormalizeSpec, isa: Isa, starts: Sequence[Value]) -> None:
    """Means, then the means of squared differences, then results: three passes over rows that are in the cache."""
    x, y, count, dtype = b.pointer("x"), b.pointer("y"), b.param("count"), computed(spec.dtype)
    size, number = BITS[spec.dtype] // 8, b.let(cast(count, dtype, 1))
    lanes = SUM_BYTES * 8 // BITS[dtype]
    spans = _spans(b, lanes, count, TOGETHER // len(starts))

    kept = [b.stack(KEPT * 4) for _ in starts if spec.short]

    def elements(r: int, i: Value, n: int, vectors: int, again: bool = True) -> list[Value]:
        """So many vectors of `n` from vector number i of row r on, which an earlier pass may have seen."""
        places = [(i + v) * n for v in range(vectors)]
        if kept and again:
            return [b.let(kept[r].load(place * 4, dtype, n)) for place in places]
        found = [b.let(load(x, starts[r] + place * size, spec.dtype, n)) for place in places]
        for place, value in zip(places, found, strict=True):
            if kept:
                kept[r].store(place * 4, value, dtype, n)
        return found

    def totals(
        prepared: Callable[[int, int, Value], Value], joined: Callable[[int, Value, Value], Value], *, again: bool
    ) -> list[Value]:
        sums = [{n: Register(dtype, n, const(0.0, dtype, n)) for n in (lanes, 1)} for _ in starts]
        for n, vectors, begin, end in spans:
            with _steps(b, begin, end, vectors) as i:
                for r in range(len(starts)):
                    for part in [b.let(prepared(r, n, e)) for e in elements(r, i, n, vectors, again)]:
                        sums[r][n].set(joined(n, sums[r][n].get(), part))
        return [horizontal(b, lambda _: operator.add, s[lanes].get(), lanes, s[1].get()) for s in sums]

    added = [] if spec.rms else totals(lambda r, n, e: e, lambda n, s, e: s + e, again=False)
    means = [b.let(s / number) for s in added]

    def centered(r: int, n: int, element: Value) -> Value:
        return element if spec.rms else element - splat(means[r], n)

    squares = totals(centered, lambda n, s, d: fma(n, d, d, s), again=not spec.rms)
    variances = [b.let(s / number + cast(b.param_float("epsilon"), dtype, 1)) for s in squares]
    inverses = [b.let(const(1.0, dtype) / llvm_float("sqrt", 1, v)) for v in variances]
    for n, vectors, begin, end in spans:
        with _steps(b, begin, end, vectors) as i:
            places = [b.let((i + v) * (n * BITS[dtype] // 8)) for v in range(vectors)]
            factors = [(o, [b.let(b.pointer(name).load(p, dtype, n)) for p in places]) for name, o in _affine(spec)]
            for r, start in enumerate(starts):
                values = [b.let(centered(r, n, e) * splat(inverses[r], n)) for e in elements(r, i, n, vectors)]
                for apply, others in factors:
                    values = [b.let(apply(fenced(n, v), o)) for v, o in zip(values, others, strict=True)]
                for v, value in enumerate(values):
                    store(isa, y, start + (i + v) * (n * size), value, spec.dtype, n)


def _affine(spec: NormalizeSpec) -> list[tuple[str, Callable[[Value, Value], Value]]]:
    """The operands that a result meets, and how."""
    found = (("scale", spec.scale, operator.mul), ("bias", spec.bias, operator.add))
    return [(name, apply) for name, used, apply in found if used]


def _spans(b: Builder, lanes: int, count: Value, vectors: int) -> list[tuple[int, int, Value, Value]]:
    """(lanes, vectors a step, first, end) of the vectors of `count` elements, most of which are taken so many at a
    time, and of the single elements behind them."""
    whole = b.let(tirx.truncdiv(count, i64(lanes)))
    together = b.let(tirx.truncdiv(whole, i64(vectors)) * vectors)
    return [(lanes, vectors, i64(0), together), (lanes, 1, together, whole), (1, 1, b.let(whole * lanes), count)]


@contextmanager
def _steps(b: Builder, begin: Value, end: Value, size: int) -> Iterator[Value]:
    """A loop over every `size`-th number from `begin` on."""
    with b.range(0, tirx.truncdiv(end - begin, i64(size))) as number:
        yield b.let(begin + number * size)


def _int8_rows(b: Builder, spec: NormalizeSpec, isa: Isa, starts: Sequence[Value]) -> None:
    (start,) = starts
    x, w, y, count, width = b.pointer("x"), b.pointer("scale"), b.pointer("y"), b.param("count"), 2 * isa.lanes
    total, squares = _int8_sums(b, isa, start)
    n64, q64 = count, b.let(cast(squares, "int64", 1))
    factor, offset, step = (w.load(i64(8 * i), "float64") for i in range(len(HEADER)))
    spread = q64 if spec.rms else n64 * q64 - cast(total, "int64", 1) * cast(total, "int64", 1)
    scaled = fenced(1, cast(b.let(spread), "float64", 1) * factor)
    ratio = b.let(cast(step / llvm_float("sqrt", 1, scaled + offset), "float32", 1))

    def codes(row: Pointer, at: Value, element: Value) -> Value:
        """The results of `width` elements from byte `at` of `row`, which is element number `element`."""
        halves = []
        for half, c in enumerate(isa.widen32(_differences(b, isa, row, at))):
            d = c if spec.rms else c * splat(cast(count, "int32", 1), isa.lanes) - splat(total, isa.lanes)
            place = HEADER_BYTES + (element + half * isa.lanes) * 4
            value = fenced(isa.lanes, cast(d, "float32", isa.lanes) * splat(ratio, isa.lanes))
            value = fenced(isa.lanes, value * w.load(place, "float32", isa.lanes))
            halves.append(isa.round_real(b.let(value + w.load(place + b.param("offsets"), "float32", isa.lanes))))
        return b.let(isa.narrow8(isa.add16(isa.narrow16(*halves), splat16(b, isa, "y_zero_point"))))

    with b.when(count >= width), b.range(0, tirx.truncdiv(count + (width - 1), i64(width))) as i:
        at = b.let(tirx.min(i * width, count - width))
        y.store(start + at, codes(x, start + at, at), "int8", width)
    with b.when(count < width):
        scratch = b.stack(width)
        with b.range(0, count) as i:
            scratch.store(i, x.load(start + i, "int8"), "int8")
        scratch.store(i64(0), codes(scratch, i64(0), i64(0)), "int8", width)
        with b.range(0, count) as i:
            y.store(start + i, scratch.load(i, "int8"), "int8")


def _int8_sums(b: Builder, isa: Isa, start: Value) -> tuple[Value, Value]:
    """The sum of x - zx and that of its squares: int32, exact in any order."""
    x, count, width = b.pointer("x"), b.param("count"), 2 * isa.lanes
    sums, squares = (Register("int32", isa.lanes, const(0, "int32", isa.lanes)) for _ in range(2))
    rest, rest_squares = Register("int32", 1, const(0, "int32")), Register("int32", 1, const(0, "int32"))
    whole = b.let(tirx.truncdiv(count, i64(width)))
    with b.range(0, whole) as i:
        c = _differences(b, isa, x, start + i * width)
        low, high = isa.widen32(c)
        low2, high2 = isa.multiply16(c, c)
        sums.set(sums.get() + low + high)
        squares.set(squares.get() + low2 + high2)
    with b.range(whole * width, count) as i:
        c = b.let(cast(x.load(start + i, "int8"), "int32", 1) - b.param32("input_zero"))
        rest.set(rest.get() + c)
        rest_squares.set(rest_squares.get() + c * c)
    total, total_squares = (
        b.let(horizontal(b, lambda _: operator.add, vectors.get(), isa.lanes, single.get()))
        for vectors, single in ((sums, rest), (squares, rest_squares))
    )
    return total, total_squares


def _differences(b: Builder, isa: Isa, row: Pointer, at: Value) -> Value:
    """x - zx: int16 x 2*lanes."""
    return b.let(isa.widen16(row.load(at, "int8", 2 * isa.lanes)) - splat16(b, isa, "input_zero"))
