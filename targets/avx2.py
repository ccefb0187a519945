"""AVX2: 256-bit vectors on x86-64.

Exact int8 products without VNNI: |x| * sign(w, x) with vpmaddubsw. Its pair sums are at most 2 * 128 * 127 = 32512,
so nothing saturates while weights lie in [-127, 127].
"""

from collections.abc import Sequence

from ..compiler.kernels.emit.builder import (
    BITS,
    Pointer,
    Register,
    Value,
    bitcast,
    cast,
    const,
    intrinsic,
    shuffle,
    splat,
)
from ..compiler.kernels.emit.halves import load
from ..compiler.kernels.emit.isa import Isa, Tile, added

_X86 = "llvm.x86.avx2."
BELOW_2_31 = 2147483520.0  # the largest float32 under 2^31; vcvtps2dq turns anything above into INT_MIN


class _SignTile(Tile):
    """|x| and sign(w, x) in place of x and w: vpmaddubsw multiplies what is unsigned by what is signed.
    vpsignb, vpmaddubsw, vpmaddwd, vpaddd: four for 32 products."""

    dtype, columns, group = "int8", 16, 4

    def __init__(self, rows: int) -> None:
        self.rows = rows

    def start(self, bias: Sequence[Value]) -> None:
        self._sums = [[Register("int32", 8, b) for b in bias] for _ in range(self.rows)]

    def step(
        self, x: Pointer, row_offsets: Sequence[Value], w: Pointer, w_offsets: Sequence[Value], groups: int
    ) -> None:
        (w_offset,) = w_offsets
        for g in range(groups):
            weights = [Register("int8", 32, w.load(w_offset + (g * 2 + j) * 32, "int8", 32)) for j in range(2)]
            for offset, sums in zip(row_offsets, self._sums, strict=True):
                elements = Register("int8", 32, bitcast(splat(x.load(offset + g * 4, "int32"), 8), "int8", 32))
                magnitude = Register("int8", 32, _absolute(elements.get()))
                for acc, weight in zip(sums, weights, strict=True):
                    signed = intrinsic(_X86 + "psign.b", "int8", 32, weight.get(), elements.get())
                    pairs = intrinsic(_X86 + "pmadd.ub.sw", "int16", 16, magnitude.get(), signed)
                    quads = intrinsic(_X86 + "pmadd.wd", "int32", 8, pairs, const(1, "int16", 16))
                    acc.set(acc.get() + quads)

    def row(self, r: int) -> tuple[Value, Value]:
        low, high = self._sums[r]
        return low.get(), high.get()


class _WideTile(Tile):
    """Full-range weights: both sides widened to int16, vpmaddwd. Each accumulator holds half a channel's sum."""

    dtype, columns, group = "int8", 16, 4

    def __init__(self, rows: int) -> None:
        self.rows = rows

    def start(self, bias: Sequence[Value]) -> None:
        zero = const(0, "int32", 8)
        order = [range(4), range(4, 8)]
        spread = [shuffle([b, zero], [lane for i in part for lane in (i, i + 8)]) for b in bias for part in order]
        self._sums = [[Register("int32", 8, s) for s in spread] for _ in range(self.rows)]

    def step(
        self, x: Pointer, row_offsets: Sequence[Value], w: Pointer, w_offsets: Sequence[Value], groups: int
    ) -> None:
        (w_offset,) = w_offsets
        for g in range(groups):
            for j in range(4):  # four channels each
                weight = Register("int16", 16, cast(w.load(w_offset + (g * 4 + j) * 16, "int8", 16), "int16", 16))
                for offset, sums in zip(row_offsets, self._sums, strict=True):
                    elements = bitcast(splat(x.load(offset + g * 4, "int32"), 4), "int8", 16)
                    products = intrinsic(_X86 + "pmadd.wd", "int32", 8, cast(elements, "int16", 16), weight.get())
                    sums[j].set(sums[j].get() + products)

    def row(self, r: int) -> tuple[Value, Value]:
        even, odd = [range(0, 16, 2), range(1, 16, 2)]
        a, b, c, d = (s.get() for s in self._sums[r])
        return (
            shuffle([a, b], even) + shuffle([a, b], odd),
            shuffle([c, d], even) + shuffle([c, d], odd),
        )


class _FloatTile(Tile):
    """vbroadcastss and two vfmadd231ps an element; float16 is converted as it is loaded.

    A single row has a chain of sums for each element of a step: one would wait for every multiplication.
    """

    columns, group = 16, 1

    def __init__(self, rows: int, dtype: str = "float32") -> None:
        self.dtype, self._size = dtype, BITS[dtype] // 8
        self.rows, self._chains = rows, self.groups_per_step if rows == 1 else 1

    def start(self, bias: Sequence[Value]) -> None:
        zeros = [const(0.0, "float32", 8)] * 2
        starts = [bias or zeros, *[zeros] * (self._chains - 1)]
        self._sums = [[[Register("float32", 8, v) for v in start] for start in starts] for _ in range(self.rows)]

    def step(
        self, x: Pointer, row_offsets: Sequence[Value], w: Pointer, w_offsets: Sequence[Value], groups: int
    ) -> None:
        (w_offset,) = w_offsets
        used = self._chains if groups == self.groups_per_step else 1  # what is left joins the first chain
        for g in range(groups):
            places = [w_offset + (g * 2 + j) * 8 * self._size for j in range(2)]
            weights = [Register("float32", 8, load(w, place, self.dtype, 8)) for place in places]
            for offset, sums in zip(row_offsets, (chains[g % used] for chains in self._sums), strict=True):
                element = Register("float32", 8, splat(load(x, offset + g * self._size, self.dtype), 8))
                for acc, weight in zip(sums, weights, strict=True):
                    acc.set(intrinsic("llvm.fma.v8f32", "float32", 8, weight.get(), element.get(), acc.get()))

    def row(self, r: int) -> tuple[Value, Value]:
        low, high = (added([acc.get() for acc in sums]) for sums in zip(*self._sums[r], strict=True))
        return low, high


def _absolute(v: Value) -> Value:
    """|v| of int8 as unsigned bytes (|-128| = 128): vpabsb."""
    return intrinsic("llvm.abs.v32i8", "int8", 32, v, const(0, "bool"))


class Avx2(Isa):
    """256-bit vectors."""

    name = "avx2"
    lanes = 8
    registers, addresses = 16, 2
    second_bias = True

    def int8_tile(self, rows: int, *, paired: bool, full_range: bool, even: bool) -> Tile:
        """vpsignb and vpmaddubsw, or vpmaddwd of widened elements."""
        return _WideTile(min(rows, 4)) if full_range else _SignTile(min(rows, 4))

    def float_tile(self, rows: int, *, paired: bool) -> Tile:
        """vfmadd231ps of broadcast elements."""
        return _FloatTile(min(rows, 4))

    def half_tile(self, rows: int, *, paired: bool) -> Tile:
        """Likewise, by vcvtph2ps."""
        return _FloatTile(rows, "float16")

    def round_to_int(self, value: Value) -> Value:
        """vcvtps2dq, which gives INT_MIN above 2^31: hence vminps."""
        bounded = intrinsic("llvm.x86.avx.min.ps.256", "float32", 8, value, const(BELOW_2_31, "float32", 8))
        return intrinsic("llvm.x86.avx.cvt.ps2dq.256", "int32", 8, bounded)

    def round_within(self, value: Value, low: Value, high: Value) -> Value:
        """vmaxps, vminps, vcvtps2dq."""
        above = intrinsic("llvm.x86.avx.max.ps.256", "float32", 8, value, low)
        bounded = intrinsic("llvm.x86.avx.min.ps.256", "float32", 8, above, high)
        return intrinsic("llvm.x86.avx.cvt.ps2dq.256", "int32", 8, bounded)

    def round_real(self, value: Value) -> Value:
        """vcvtps2dq with NaN zeroed."""
        ordered = intrinsic("llvm.x86.avx.cmp.ps.256", "float32", 8, value, value, const(7, "int8"))
        return bitcast(ordered, "int32", 8) & self.round_to_int(value)

    def narrow16(self, *values: Value) -> Value:
        """vpackssdw and vpermq."""
        packed = bitcast(intrinsic(_X86 + "packssdw", "int16", 16, *values), "int64", 4)
        return bitcast(shuffle([packed], [0, 2, 1, 3]), "int16", 16)  # vpackssdw works on 128-bit halves

    def narrow8(self, value: Value) -> Value:
        """vpacksswb."""
        halves = [shuffle([value], range(8)), shuffle([value], range(8, 16))]
        return intrinsic("llvm.x86.sse2.packsswb.128", "int8", 16, *halves)

    def add16(self, a: Value, b: Value) -> Value:
        """vpaddsw."""
        return intrinsic("llvm.sadd.sat.v16i16", "int16", 16, a, b)

    def multiply16(self, a: Value, b: Value) -> tuple[Value, Value]:
        """vpmulld of widened elements."""
        (a0, a1), (b0, b1) = self.widen32(a), self.widen32(b)
        return a0 * b0, a1 * b1

    def multiply8(self, a: Value, b: Value) -> Value:
        """vpmullw of widened elements."""
        return self.widen16(a) * self.widen16(b)

    def widen16(self, value: Value) -> Value:
        """vpmovsxbw."""
        return cast(value, "int16", 16)

    def widen32(self, value: Value) -> tuple[Value, Value]:
        """vpmovsxwd."""
        return cast(shuffle([value], range(8)), "int32", 8), cast(shuffle([value], range(8, 16)), "int32", 8)

    def load_table(self, table: Pointer, offset: Value) -> Sequence[Value]:
        """Sixteen registers, each with 16 entries twice."""
        rows = [table.load(offset + 16 * i, "int8", 16) for i in range(16)]
        return [Register("int8", 32, shuffle([row, row], range(32))) for row in rows]

    def lookup(self, table: Sequence[Value], index: Value) -> Value:
        """Sixteen times vpshufb, with positions of other rows made negative."""
        position = index ^ const(-128, "int8", 32)
        result = const(0, "int8", 32)
        for i, row in enumerate(table):
            # positions of this row become 0x70..0x7f, all others >= 0x80, for which vpshufb gives 0
            local = position ^ const(i * 16 if i < 8 else i * 16 - 256, "int8", 32)
            local = intrinsic("llvm.uadd.sat.v32i8", "int8", 32, local, const(0x70, "int8", 32))
            result = result | intrinsic(_X86 + "pshuf.b", "int8", 32, row.get(), local)
        return result
