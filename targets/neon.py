"""NEON: Armv8.0 and, with `dotprod` and `i8mm`, sdot and smmla; with `half`, arithmetic in float16. One weight packing
serves all."""

from collections.abc import Sequence

from ..compiler.kernels.emit.builder import Pointer, Register, Value, bitcast, cast, const, intrinsic, shuffle, splat
from ..compiler.kernels.emit.isa import Isa, Tile
from ..compiler.kernels.emit.tir import tirx
from .neon_half import HalfTile
from .neon_inorder import INSTRUCTIONS, InOrderFloatColumnsTile, InOrderFloatTile, address, call
from .neon_inorder_half import InOrderHalfTile
from .neon_inorder_held import InOrderHeldTile
from .neon_inorder_int8 import InOrderDotColumnsTile, InOrderDotTile
from .neon_inorder_marked import InOrderMarkedTile
from .neon_inorder_row import InOrderDotRowTile, InOrderRowTile
from .neon_inorder_table import look_up
from .neon_matrix import MatrixTile
from .neon_tiles import ARM, DotRowTile, DotTile, FloatTile, WideningTile


def _zip_low(a: Value, b: Value) -> Value:
    """zip1: a0 b0 a1 b1 ... of the low halves of two int8 x 16."""
    return shuffle([a, b], [lane for i in range(8) for lane in (i, i + 16)])


_OUT_OF_ORDER = """
define <4 x i32> @edge_load(i64 %p) {
  %v = call <4 x i32> asm sideeffect "ldr ${0:q}, [$1]", "=w,r"(i64 %p)
  ret <4 x i32> %v
}

define <4 x i32> @edge_load_pair(i64 %p, ptr %second) {
  %both = call { <4 x i32>, <4 x i32> } asm sideeffect "ldp ${0:q}, ${1:q}, [$2]", "=w,=w,r"(i64 %p)
  %b = extractvalue { <4 x i32>, <4 x i32> } %both, 1
  store <4 x i32> %b, ptr %second
  %a = extractvalue { <4 x i32>, <4 x i32> } %both, 0
  ret <4 x i32> %a
}

define <4 x i32> @edge_here(<4 x i32> %v) {
  %r = call <4 x i32> asm sideeffect "", "=w,0"(<4 x i32> %v)
  ret <4 x i32> %r
}
"""


class Neon(Isa):
    """128-bit vectors."""

    lanes = 4
    registers = 32
    has_fixed_point = True

    def __init__(
        self, *, dotprod: bool = False, i8mm: bool = False, half: bool = False, in_order: bool = False
    ) -> None:
        self.has_dot, self.computes_halves = dotprod, half
        self._in_order, self.spans, self.reloads = in_order, not in_order, not in_order
        self._has_matrix = i8mm
        self.instructions = INSTRUCTIONS if in_order else _OUT_OF_ORDER if dotprod else ""
        self.name = "neonmatrix" if i8mm else "neondot" if dotprod else "neonhalf" if half else "neon"

    def load_again(self, p: Pointer, offset: Value, dtype: str, vectors: int) -> list[Value]:
        """ldr or ldp out of order, where copies take the vector units."""
        if self._in_order or not self.has_dot:
            return super().load_again(p, offset, dtype, vectors)
        address = tirx.reinterpret("int64", tirx.address_of(p.buffer[offset]))
        if vectors == 1:
            loaded = [Register("int32", 4, tirx.call_extern("int32x4", "edge_load", address))]
        else:
            second = Register("int32", 4)
            first = Register("int32", 4, tirx.call_extern("int32x4", "edge_load_pair", address, second.address))
            loaded = [first, second]
        return [v.get() if dtype == "int32" else bitcast(v.get(), dtype, 4) for v in loaded]

    def in_turn(self, values: Sequence[Value]) -> Sequence[Value]:
        """Out of order behind no instruction, which LLVM keeps in order."""
        if self._in_order or not self.has_dot:
            return values
        kept = (tirx.call_extern("int32x4", "edge_here", bitcast(v, "int32", 4)) for v in values)
        return [Register("float32", 4, bitcast(v, "float32", 4)).get() for v in kept]

    def load_half(self, p: Pointer, offset: Value) -> Value:
        """ldr of a d register, which clears the upper half of the whole one."""
        halves = [Register("int64", 1, p.load(offset, "int64")).get(), const(0, "int64")]
        return bitcast(shuffle(halves, range(2)), "int8", 16)

    def interleave4(self, rows: Sequence[Value | None]) -> Sequence[Value]:
        """zip1 of bytes, then zip1 and zip2 of pairs."""
        a, b, c, d = (const(0, "int8", 16) if row is None else row for row in rows)
        pairs = [_zip_low(a, b), _zip_low(c, d)]
        wide = [bitcast(pair, "int16", 8) for pair in pairs]
        low, high = (shuffle(wide, [lane for i in half for lane in (i, i + 8)]) for half in (range(4), range(4, 8)))
        return bitcast(low, "int8", 16), bitcast(high, "int8", 16)

    def dot4(self, acc: Value, a: Value, b: Value) -> Value:
        """sdot."""
        return intrinsic(ARM + "sdot.v4i32.v16i8", "int32", 4, acc, a, b)

    def multiply_fixed(self, a: Value, b: Value) -> Value:
        """sqrdmulh."""
        return intrinsic(ARM + "sqrdmulh.v4i32", "int32", 4, a, b)

    def int8_tile(self, rows: int, *, paired: bool, full_range: bool, even: bool) -> Tile:
        """smmla, sdot by lane, or smull, smlal and sadalp. Single blocks and rows are rare enough for code that suits
        all."""
        if self._has_matrix and even:
            return MatrixTile(10 if rows % 10 == 0 else 8)
        if self.has_dot and paired:
            return InOrderDotTile(5) if self._in_order else DotTile(5, 2)
        if self.has_dot and self._in_order and rows > 1:
            return InOrderDotColumnsTile(8)
        if self.has_dot and rows > 1:
            return DotTile(min(rows, 8), 1)
        if self.has_dot:
            return InOrderDotRowTile() if self._in_order and not full_range else DotRowTile()
        if not self._in_order or full_range:
            return WideningTile(min(rows, 4), full_range=full_range)
        return InOrderMarkedTile(4) if rows > 1 else InOrderRowTile()

    def held_tile(self) -> Tile | None:
        """In order, of Armv8.0."""
        return InOrderHeldTile(4) if self._in_order and not self.has_dot else None

    def float_tile(self, rows: int, *, paired: bool) -> Tile:
        """fmla by lane."""
        if not paired:
            height = 8 if rows % 8 == 0 else min(rows, 5)
            return InOrderFloatColumnsTile(height) if self._in_order and rows > 1 else FloatTile(height, 1)
        height = 5 if rows % 5 == 0 else 4
        return InOrderFloatTile(height) if self._in_order else FloatTile(height, 2)

    def half_tile(self, rows: int, *, paired: bool) -> Tile:
        """fmla by lane of float16, or of float32 after fcvtl."""
        if not self.computes_halves:
            return FloatTile(min(rows, 8), 1, "float16")
        if not paired:
            return HalfTile(min(rows, 8), 1)
        height = 5 if rows % 5 == 0 else 4
        return InOrderHalfTile(height) if self._in_order else HalfTile(height, 2)

    def at_least(self, value: Value, bound: Value) -> Value:
        """fmax."""
        return intrinsic(ARM + "fmax.v4f32", "float32", 4, value, bound)

    def at_most(self, value: Value, bound: Value) -> Value:
        """fmin."""
        return intrinsic(ARM + "fmin.v4f32", "float32", 4, value, bound)

    def round_to_int(self, value: Value) -> Value:
        """fcvtns, which saturates by itself."""
        return intrinsic(ARM + "fcvtns.v4i32.v4f32", "int32", 4, value)

    def round_within(self, value: Value, low: Value, high: Value) -> Value:
        """fmax, fmin, fcvtns."""
        above = intrinsic(ARM + "fmax.v4f32", "float32", 4, value, low)
        return self.round_to_int(intrinsic(ARM + "fmin.v4f32", "float32", 4, above, high))

    def round_real(self, value: Value) -> Value:
        """fcvtns: NaN gives 0."""
        return self.round_to_int(value)

    def narrow16(self, *values: Value) -> Value:
        """sqxtn, sqxtn2."""
        halves = [intrinsic(ARM + "sqxtn.v4i16", "int16", 4, v) for v in values]
        return shuffle(halves, range(8))

    def narrow8(self, value: Value) -> Value:
        """sqxtn."""
        return intrinsic(ARM + "sqxtn.v8i8", "int8", 8, value)

    def add16(self, a: Value, b: Value) -> Value:
        """sqadd."""
        return intrinsic(ARM + "sqadd.v8i16", "int16", 8, a, b)

    def multiply16(self, a: Value, b: Value) -> tuple[Value, Value]:
        """smull, smull2."""
        low, high = (
            intrinsic(ARM + "smull.v4i32", "int32", 4, shuffle([a], half), shuffle([b], half))
            for half in (range(4), range(4, 8))
        )
        return low, high

    def multiply8(self, a: Value, b: Value) -> Value:
        """smull."""
        return intrinsic(ARM + "smull.v8i16", "int16", 8, a, b)

    def widen16(self, value: Value) -> Value:
        """sshll."""
        return cast(value, "int16", 8)

    def widen32(self, value: Value) -> tuple[Value, Value]:
        """sshll, sshll2."""
        return cast(shuffle([value], range(4)), "int32", 4), cast(shuffle([value], range(4, 8)), "int32", 4)

    def load_codes(self, p: Pointer, offset: Value, blocks: int) -> list[Value]:
        """In order by loads of 64 bits, which go with another instruction, where rows are taken in turn."""
        if not (self._in_order and self.has_dot):
            return super().load_codes(p, offset, blocks)
        place = address(p, offset)
        return [Register("int8", 8, call("int8x8", f"at{8 * i}", place.get())).get() for i in range(blocks)]

    def below(self, zero: Value, codes: Value) -> tuple[Value, Value]:
        """ssubw, sshll, sshll2."""
        return self.widen32(splat(cast(zero, "int16", 1), 8) - self.widen16(codes))

    def load_table(self, table: Pointer, offset: Value) -> Sequence[Value]:
        """Sixteen registers of 16 entries."""
        return [Register("int8", 16, table.load(offset + 16 * i, "int8", 16)) for i in range(16)]

    def look_up(self, table: Pointer, offset: Value, indices: Sequence[Value]) -> list[Value]:
        """Quarter after quarter of the table in order."""
        return look_up(table, offset, indices) if self._in_order else super().look_up(table, offset, indices)

    def lookup(self, table: Sequence[Value], index: Value) -> Value:
        """tbl of four registers, then three times tbx; out of order four times tbl, which do not wait for another."""
        chunks = [[t.get() for t in table[i : i + 4]] for i in range(0, 16, 4)]
        position = index ^ const(-128, "int8", 16)
        if not self._in_order:  # positions outside a chunk give 0
            positions = [position, *(index - const(first, "int8", 16) for first in (-64, 0, 64))]
            a, b, c, d = (
                intrinsic(ARM + "tbl4.v16i8", "int8", 16, *chunk, p) for chunk, p in zip(chunks, positions, strict=True)
            )
            return (a | b) | (c | d)
        result = intrinsic(ARM + "tbl4.v16i8", "int8", 16, *chunks[0], position)
        for i in range(1, 4):  # positions outside a chunk leave the result as it is
            position = position - const(64, "int8", 16)
            result = intrinsic(ARM + "tbx4.v16i8", "int8", 16, result, *chunks[i], position)
        return result
