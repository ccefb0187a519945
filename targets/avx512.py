"""AVX-512 with VNNI, for convolutions, dense and depthwise: 512-bit registers, of which one holds the sums of a block
of channels. With VBMI also for tables."""

from abc import abstractmethod
from collections.abc import Sequence

from ..compiler.kernels.emit.builder import (
    PREFETCH,
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
from ..compiler.kernels.emit.floating import fenced
from ..compiler.kernels.emit.isa import Isa, Tile, added
from ..compiler.kernels.emit.tir import tirx
from .avx2 import BELOW_2_31

_X86 = "llvm.x86.avx512."


def _all() -> Value:
    """A mask of all lanes."""
    return const(-1, "int16")


def _as_set() -> Value:
    """The rounding that the control register says."""
    return const(4, "int32")


def _float(name: str, a: Value, b: Value) -> Value:
    return intrinsic(f"{_X86}{name}.ps.512", "float32", 16, a, b, _as_set())


def _signs() -> Value:
    """int32 x 16: 128 in each byte. If LLVM knew that, it would flip signs before elements are spread."""
    return bitcast(fenced(16, bitcast(const(-128, "int8", 64), "float32", 16)), "int32", 16)


def _dot(acc: Value, unsigned: Value, signed: Value) -> Value:
    """vpdpbusd, which cannot overflow: int32 x 16, 64 products."""
    operands = (bitcast(v, "int8", 64) for v in (unsigned, signed))
    return intrinsic(_X86 + "vpdpbusd.512", "int32", 16, acc, *operands)


def _rounded(value: Value) -> Value:
    return intrinsic(_X86 + "mask.cvtps2dq.512", "int32", 16, value, const(0, "int32", 16), _all(), _as_set())


AHEAD = 2048
"""Bytes between the weights that are multiplied and those that are asked for: what a core fetches by itself stops at
the ends of pages."""


class _WordsTile(Tile):
    """A word of a row, broadcast, by the words of 16 channels. A single row has a chain of sums for each group of a
    step: one would wait for every multiplication."""

    columns, instructions = 16, PREFETCH
    _sum_dtype: str

    def __init__(self, rows: int, blocks: int) -> None:
        self.rows, self.blocks = rows, blocks
        self.groups_per_step = 4 if rows * blocks <= 8 else 2  # few products a group
        self._chains = self.groups_per_step if rows == 1 else 1

    @abstractmethod
    def _multiplied(self, acc: Value, words: Value, weights: Value) -> Value:
        """acc + the products, of int32 x 16 each."""

    def _spread(self, word: Value) -> Value:
        """int32 x 16."""
        return splat(word, 16)

    def start(self, bias: Sequence[Value]) -> None:
        zeros = [const(0, self._sum_dtype, 16)] * self.blocks
        starts = [bias or zeros, *[zeros] * (self._chains - 1)]
        self._sums = [[[Register(self._sum_dtype, 16, v) for v in start] for start in starts] for _ in range(self.rows)]

    def step(
        self, x: Pointer, row_offsets: Sequence[Value], w: Pointer, w_offsets: Sequence[Value], groups: int
    ) -> None:
        used = self._chains if groups == self.groups_per_step else 1  # what is left joins the first chain
        for g in range(groups):
            weights = [Register("int32", 16, w.load(o + g * 64, "int32", 16)) for o in w_offsets]
            for o in w_offsets:
                w.prefetch(o + (g * 64 + AHEAD))
            for offset, chains in zip(row_offsets, self._sums, strict=True):
                words = Register("int32", 16, self._spread(x.load(offset + g * 4, "int32")))
                for acc, weight in zip(chains[g % used], weights, strict=True):
                    acc.set(self._multiplied(acc.get(), words.get(), weight.get()))

    def row(self, r: int) -> Sequence[Value]:
        return [added([acc.get() for acc in chains]) for chains in zip(*self._sums[r], strict=True)]


class _UnsignedTile(_WordsTile):
    """vpxord, whose operand is broadcast, and vpdpbusd, which multiplies unsigned by signed bytes. One flip of the
    signs serves all blocks."""

    dtype, group, unsigned, _sum_dtype = "int8", 4, True, "int32"

    def start(self, bias: Sequence[Value]) -> None:
        super().start(bias)
        self._signs = Register("int32", 16, _signs())

    def _spread(self, word: Value) -> Value:
        return splat(word, 16) ^ self._signs.get()

    def _multiplied(self, acc: Value, words: Value, weights: Value) -> Value:
        return _dot(acc, words, weights)


class _FloatTile(_WordsTile):
    """vfmadd231ps: 16 products."""

    dtype, group, _sum_dtype = "float32", 1, "float32"

    def _multiplied(self, acc: Value, words: Value, weights: Value) -> Value:
        operands = (bitcast(v, "float32", 16) for v in (weights, words))
        return intrinsic("llvm.fma.v16f32", "float32", 16, *operands, acc)


def _shape(rows: int, *, paired: bool, single: int) -> tuple[int, int]:
    """A part of so many rows, and blocks: each word that is loaded meets two registers of weights, or each register of
    weights the words of up to `single` rows. Of 56 rows pairs do not take 8, since planes are mostly so many times
    7."""
    most, blocks = (7 if rows % 7 == 0 else 8, 2) if paired else (single, 1)
    return next(n for n in range(most, 0, -1) if rows % n == 0), blocks


class Avx512(Isa):
    """512-bit vectors: tiles, what epilogues need, and tables with VBMI. Other families run the plainer code."""

    lanes, vectors = 16, 1
    registers, addresses = 32, 4
    second_bias = has_dot = has_unsigned_dot = renames = True

    def __init__(self, *, vbmi: bool) -> None:
        self.name = "vbmi" if vbmi else "vnni"

    def load_half(self, p: Pointer, offset: Value) -> Value:
        """A quarter of a register."""
        return p.load(offset, "int8", 16)

    def interleave4(self, rows: Sequence[Value | None]) -> Sequence[Value]:
        """vinserti32x4 for each row but the first, vpermd, vpshufb."""
        quarters = [const(0, "int8", 16) if row is None else row for row in rows]
        return [shuffle(quarters, [16 * row + lane for lane in range(16) for row in range(4)])]

    def dot_data(self, quad: Value) -> Value:
        """x + 128: vpxord."""
        return bitcast(bitcast(quad, "int32", 16) ^ _signs(), "int8", 64)

    def dot_start(self, bias: Value, quads: Sequence[Value]) -> Value:
        """vpdpbusd with 128."""
        least = bias
        for quad in quads:
            least = _dot(least, _signs(), quad)
        return Register("int32", 16, bias + bias - least).get()

    def dot4(self, acc: Value, a: Value, b: Value) -> Value:
        """vpdpbusd, for all weights."""
        return _dot(acc, a, b)

    def int8_tile(self, rows: int, *, paired: bool, full_range: bool, even: bool) -> Tile:
        """vpdpbusd, for all weights."""
        return _UnsignedTile(*_shape(rows, paired=paired, single=14))

    def float_tile(self, rows: int, *, paired: bool) -> Tile:
        """vfmadd231ps of broadcast elements."""
        return _FloatTile(*_shape(rows, paired=paired, single=8))  # whose addresses stay in registers

    def round_to_int(self, value: Value) -> Value:
        """vcvtps2dq, which gives INT_MIN above 2^31: hence vminps."""
        return _rounded(_float("min", value, const(BELOW_2_31, "float32", 16)))

    def round_within(self, value: Value, low: Value, high: Value) -> Value:
        """vmaxps, vminps, vcvtps2dq."""
        return _rounded(_float("min", _float("max", value, low), high))

    def round_real(self, value: Value) -> Value:
        """Of other families."""
        raise AssertionError(_OTHERS)

    def narrow16(self, *values: Value) -> Value:
        """vpmovsdw."""
        return intrinsic(_X86 + "mask.pmovs.dw.512", "int16", 16, *values, const(0, "int16", 16), _all())

    def narrow8(self, value: Value) -> Value:
        """vpmovswb."""
        return intrinsic(_X86 + "mask.pmovs.wb.256", "int8", 16, value, const(0, "int8", 16), _all())

    def narrow32(self, *values: Value) -> Value:
        """vpmovsdb."""
        return intrinsic(_X86 + "mask.pmovs.db.512", "int8", 16, *values, const(0, "int8", 16), _all())

    def add16(self, a: Value, b: Value) -> Value:
        """vpaddsw."""
        return intrinsic("llvm.sadd.sat.v16i16", "int16", 16, a, b)

    def multiply16(self, a: Value, b: Value) -> Sequence[Value]:
        """Of other families."""
        raise AssertionError(_OTHERS)

    def multiply8(self, a: Value, b: Value) -> Value:
        """vpmullw of widened elements."""
        return self.widen16(a) * self.widen16(b)

    def widen16(self, value: Value) -> Value:
        """vpmovsxbw."""
        return cast(value, "int16", 16)

    def widen32(self, value: Value) -> Sequence[Value]:
        """vpmovsxwd."""
        return [cast(value, "int32", 16)]

    def load_table(self, table: Pointer, offset: Value) -> Sequence[Value]:
        """Four registers."""
        return [Register("int8", 64, table.load(offset + 64 * i, "int8", 64)) for i in range(4)]

    def lookup(self, table: Sequence[Value], index: Value) -> Value:
        """vpermi2b, by the last seven bits, of both halves of the table; vpblendmb."""
        a, b, c, d = (register.get() for register in table)
        negative, positive = (
            intrinsic(_X86 + "vpermi2var.qi.512", "int8", 64, low, index, high) for low, high in ((a, b), (c, d))
        )
        return tirx.Select(index < const(0, "int8", 64), negative, positive)


_OTHERS = "of AVX-512 there is no code but for convolutions and tables"
