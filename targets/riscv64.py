"""riscv64 with the vector extension (RVV 1.0), registers of 128 bits and more: the target, its vectors and its tiles.

Vectors are of fixed lengths, which LLVM maps to groups of registers; the code is the same for longer registers.
Float64 stays out of vectors: it is rare, and emulators before qemu 8 abort at vectors of it that are converted.
"""

from collections.abc import Sequence

from ..compiler.kernels.emit.builder import Pointer, Register, Value, cast, const, i64, intrinsic, shuffle, splat
from ..compiler.kernels.emit.floating import is_nan
from ..compiler.kernels.emit.isa import Isa, Tile, added
from ..compiler.kernels.emit.tir import tirx
from .target import Target, TileShape, Variant

_LOW, _HIGH, _ALL = range(4), range(4, 8), range(8)


def _halves(value: Value) -> tuple[Value, Value]:
    return shuffle([value], _LOW), shuffle([value], _HIGH)


class _WideningTile(Tile):
    """A segment load brings four elements of eight channels apart; vwmul.vx and vwmacc.vx of two of them, vwadd to the
    sums: six instructions for 32 products. Weights in [-127, 127] keep two products within int16 (2 * 127 * 128 =
    32512); with full-range weights every product joins the sums by itself."""

    dtype, columns, group = "int8", 8, 4
    groups_per_step = 2

    def __init__(self, rows: int, *, full_range: bool) -> None:
        self.rows, self._run = rows, 1 if full_range else 2

    def start(self, bias: Sequence[Value]) -> None:
        """Sums := bias."""
        self._sums = [Register("int32", 8, shuffle(list(bias), _ALL)) for _ in range(self.rows)]

    def step(
        self, x: Pointer, row_offsets: Sequence[Value], w: Pointer, w_offsets: Sequence[Value], groups: int
    ) -> None:
        """Accumulate some groups."""
        (w_offset,) = w_offsets
        for g in range(groups):
            packed = Register("int8", 32, w.load(w_offset + g * 32, "int8", 32))
            weights = [Register("int8", 8, shuffle([packed.get()], range(k, 32, 4))) for k in range(4)]
            for offset, sums in zip(row_offsets, self._sums, strict=True):
                for first in range(0, 4, self._run):
                    terms = [self._product(x, offset + g * 4 + k, weights[k]) for k in range(first, first + self._run)]
                    sums.set(sums.get() + cast(added(terms), "int32", 8))

    def _product(self, x: Pointer, at: Value, weight: Register) -> Value:
        return splat(cast(x.load(at, "int8"), "int16", 1), 8) * cast(weight.get(), "int16", 8)

    def row(self, r: int) -> Sequence[Value]:
        """Row r's sums."""
        return _halves(self._sums[r].get())


class _FloatTile(Tile):
    """vfmacc.vf.

    A single row has a chain of sums for each element of a step: one would wait for every multiplication.
    """

    dtype, columns, group = "float32", 8, 1

    def __init__(self, rows: int) -> None:
        self.rows, self._chains = rows, self.groups_per_step if rows == 1 else 1

    def start(self, bias: Sequence[Value]) -> None:
        """Sums := bias."""
        zero = const(0.0, "float32", 8)
        starts = [shuffle(list(bias), _ALL) if bias else zero, *[zero] * (self._chains - 1)]
        self._sums = [[Register("float32", 8, v) for v in starts] for _ in range(self.rows)]

    def step(
        self, x: Pointer, row_offsets: Sequence[Value], w: Pointer, w_offsets: Sequence[Value], groups: int
    ) -> None:
        """Accumulate some groups."""
        (w_offset,) = w_offsets
        used = self._chains if groups == self.groups_per_step else 1  # what is left joins the first chain
        for g in range(groups):
            weight = Register("float32", 8, w.load(w_offset + g * 32, "float32", 8))
            for offset, sums in zip(row_offsets, (chains[g % used] for chains in self._sums), strict=True):
                element = splat(x.load(offset + g * 4, "float32"), 8)
                sums.set(intrinsic("llvm.fma.v8f32", "float32", 8, weight.get(), element, sums.get()))

    def row(self, r: int) -> Sequence[Value]:
        """Row r's sums."""
        return _halves(added([acc.get() for acc in self._sums[r]]))


class Rvv(Isa):
    """128 bits of every vector register."""

    name = "rvv"
    lanes = 4
    registers = 32

    def int8_tile(self, rows: int, *, paired: bool, full_range: bool, even: bool) -> Tile:
        """vwmul, vwmacc, vwadd."""
        return _WideningTile(min(rows, 4), full_range=full_range)

    def float_tile(self, rows: int, *, paired: bool) -> Tile:
        """vfmacc."""
        return _FloatTile(min(rows, 8))

    def round_to_int(self, value: Value) -> Value:
        """vfcvt.x.f.v, which saturates by itself."""
        return intrinsic("llvm.lrint.v4i32.v4f32", "int32", 4, value)

    def round_within(self, value: Value, low: Value, high: Value) -> Value:
        """vfmax, vfmin, vfcvt.x.f.v."""
        above = intrinsic("llvm.maxnum.v4f32", "float32", 4, value, low)
        return self.round_to_int(intrinsic("llvm.minnum.v4f32", "float32", 4, above, high))

    def round_real(self, value: Value) -> Value:
        """vfcvt.x.f.v, which makes NaN the largest integer."""
        return tirx.Select(is_nan(4, value), const(0, "int32", 4), self.round_to_int(value))

    def narrow16(self, *values: Value) -> Value:
        """vnclip."""
        return _narrow(shuffle(values, _ALL), "int32", "int16")

    def narrow8(self, value: Value) -> Value:
        """vnclip."""
        return _narrow(value, "int16", "int8")

    def add16(self, a: Value, b: Value) -> Value:
        """vsadd."""
        return intrinsic("llvm.sadd.sat.v8i16", "int16", 8, a, b)

    def multiply16(self, a: Value, b: Value) -> tuple[Value, Value]:
        """vwmul."""
        return _halves(cast(a, "int32", 8) * cast(b, "int32", 8))

    def multiply8(self, a: Value, b: Value) -> Value:
        """vwmul."""
        return cast(a, "int16", 8) * cast(b, "int16", 8)

    def widen16(self, value: Value) -> Value:
        """vsext."""
        return cast(value, "int16", 8)

    def widen32(self, value: Value) -> tuple[Value, Value]:
        """vsext."""
        return _halves(cast(value, "int32", 8))

    def load_table(self, table: Pointer, offset: Value) -> Sequence[Value]:
        """Where it lies: no register holds 256 bytes, and looking up in parts takes longer than loads."""
        return [table, offset]

    def lookup(self, table: Sequence[Value], index: Value) -> Value:
        """A load an element."""
        pointer, offset = table
        entries = (i64(shuffle([index], [lane])) + (offset + 128) for lane in range(16))
        return shuffle([pointer.load(entry, "int8") for entry in entries], range(16))


def _narrow(value: Value, wide: str, narrow: str) -> Value:
    """Eight integers, saturated to half their width."""
    bits, kind = (16, "v8i32") if narrow == "int16" else (8, "v8i16")
    least, most = const(-(1 << bits - 1), wide, 8), const((1 << bits - 1) - 1, wide, 8)
    bounded = intrinsic(f"llvm.smin.{kind}", wide, 8, intrinsic(f"llvm.smax.{kind}", wide, 8, value, least), most)
    return cast(bounded, narrow, 8)


RISCV64_RVV = Target(
    name="riscv64-rvv",
    description="riscv64 Linux boards with the vector extension 1.0",
    arch="riscv64",
    systems=("linux",),
    variants=(
        Variant(
            "rvv",
            frozenset({"rvv"}),
            {
                "kind": "llvm",
                "mtriple": "riscv64-linux-gnu",
                "mcpu": "generic-rv64",
                "mattr": ["+m", "+a", "+f", "+d", "+c", "+zve64f", "+zvl128b", "+unaligned-scalar-mem"],
                "mabi": "lp64d",
                "opt-level": 2,
            },
            Rvv,
        ),
    ),
    columns=8,
    tiles={"int8": [TileShape(8, 8)], "float32": [TileShape(8, 8)]},
    cache=128 << 10,
)
