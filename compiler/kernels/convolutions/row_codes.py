"""Rows of float32 -> int8 codes and a scale each, as `ops/row_codes.py` says: what a product with int8 weights takes
where its data has no quantization. A tile is `tile_rows` rows; codes and scales are dense."""

from collections.abc import Sequence
from dataclasses import dataclass

from ...ops.row_codes import LEAST
from ..emit.builder import BITS, Builder, Register, Value, bitcast, const, define, i64, shuffle, splat
from ..emit.floating import fenced, infinite_bits
from ..emit.isa import Isa
from ..emit.quantization import OFFSET
from ..emit.tir import tirx
from ..reduce import horizontal

OPERANDS = ("x", "y", "scales")

CHAINS = 4
"""Vectors whose largest elements are found at the same time: one would wait for the one before."""

TOGETHER = 4
"""Vectors of codes of a long row that are made at the same time: one would wait for each of its steps."""


@dataclass(frozen=True)
class RowCodesSpec:
    """`count` elements a row, `x_row` bytes from one to the next."""

    symbol: str = "f32_row_codes"
    params: tuple[str, ...] = ("rows", "tile_rows", "count", "x_row")


def build(spec: RowCodesSpec, isa: Isa) -> object:
    """The TIR function of `spec` on `isa`."""
    return define(spec.symbol, OPERANDS, spec.params, lambda b: _body(b, isa))


def _body(b: Builder, isa: Isa) -> None:
    scales, count = b.pointer("scales"), b.param("count")
    with b.tiles() as t:
        first = b.let(t * b.param("tile_rows"))
        with b.range(first, tirx.min(first + b.param("tile_rows"), b.param("rows"))) as row:
            x_row, y_row = b.let(row * b.param("x_row")), b.let(row * count)
            bits = _largest(b, isa, x_row)
            largest = b.let(bitcast(bits, "float32", 1))
            scales.store(row * 4, largest / const(127.0, "float32"), "float32")
            # comparisons of bits: those of infinity and NaN are the largest
            known = tirx.And(largest >= const(LEAST, "float32"), bits < const(infinite_bits(largest), "int32"))
            factor = b.let(tirx.Select(known, const(127.0, "float32") / largest, const(0.0, "float32")))
            _codes(b, isa, x_row, y_row, factor)


def _largest(b: Builder, isa: Isa, x_row: Value) -> Value:
    """The bits of the largest magnitude: as integers they are in the order of the numbers, infinity and NaN last."""
    x, count, lanes = b.pointer("x"), b.param("count"), isa.lanes
    width = CHAINS * lanes

    def magnitude(offset: Value, n: int) -> Value:
        return x.load(offset, "int32", n) & const(0x7FFFFFFF, "int32", n)

    best = [Register("int32", lanes, const(0, "int32", lanes)) for _ in range(CHAINS)]
    whole = b.let(tirx.truncdiv(count, i64(width)))
    with b.range(0, whole) as i:
        at = b.let(x_row + i * (4 * width))
        for c, chain in enumerate(best):
            chain.set(tirx.max(chain.get(), magnitude(at + c * 4 * lanes, lanes)))
    rest = Register("int32", 1, const(0, "int32"))
    with b.range(whole * width, count) as i:
        rest.set(tirx.max(rest.get(), magnitude(x_row + i * 4, 1)))
    one, other = (b.let(tirx.max(p.get(), q.get())) for p, q in zip(best[::2], best[1::2], strict=True))
    return horizontal(b, lambda _: tirx.max, b.let(tirx.max(one, other)), lanes, rest.get())


def _codes(b: Builder, isa: Isa, x_row: Value, y_row: Value, factor: Value) -> None:
    """rne(x * factor) of a row; the last vectors overlap with those before. Sums with 1.5 * 2^23 end with the codes,
    which int8 holds, and NaN, which infinity times 0 is, with 0. (A row with a NaN may have any: it gives NaN.)
    """
    x, y, count, lanes = b.pointer("x"), b.pointer("y"), b.param("count"), isa.lanes
    width, factors = 2 * lanes, b.let(splat(factor, lanes))
    offset = bitcast(const(OFFSET, "int32", lanes), "float32", lanes)
    step = TOGETHER * width

    def codes(vectors: Sequence[Value]) -> Value:
        rounded = [b.let(fenced(lanes, vector * factors) + offset) for vector in vectors]
        pairs = [every_second(rounded[v : v + 2], "int16") for v in range(0, len(rounded), 2)]
        return every_second(pairs, "int8")

    def every_second(vectors: Sequence[Value], dtype: str) -> Value:
        """Of the elements of this type that neighbouring vectors, two registers or one, consist of."""
        count = 4 * lanes * 8 // BITS[dtype]
        return b.let(shuffle([bitcast(v, dtype, count) for v in vectors], range(0, count * len(vectors), 2)))

    def store(at: Value, vectors: int) -> None:
        x_at, y_at = b.opaque(x_row + at * 4), b.let(y_row + at)  # one address each, not one for each vector
        parts = [x_at + h * lanes * 4 for h in range(2 * vectors)]
        loaded = [b.let(x.load(part, "float32", lanes)) for part in parts]
        together = min(vectors, 2)
        for v in range(0, vectors, together):
            value = codes(loaded[2 * v : 2 * (v + together)])
            y.store(y_at + v * width, value, "int8", together * width)

    with b.when(count >= step), b.range(0, tirx.truncdiv(count + (step - 1), i64(step))) as i:
        store(b.let(tirx.min(i * step, count - step)), TOGETHER)
    few = tirx.And(count >= width, count < step)
    with b.when(few), b.range(0, tirx.truncdiv(count + (width - 1), i64(width))) as i:
        store(b.let(tirx.min(i * width, count - width)), 1)
    with b.when(count < width):
        scratch = b.stack(width)
        with b.range(0, count) as i:
            element = b.let(splat(x.load(x_row + i * 4, "float32"), lanes))
            scratch.store(i64(0), codes([element, element]), "int8", width)
            y.store(y_row + i, scratch.load(i64(0), "int8"), "int8")
