"""NEON: Armv8.0 and, with `dotprod`, the sdot instruction. One weight packing serves both."""

from collections.abc import Sequence

from ..compiler.kernels.builder import Pointer, Register, Value, bitcast, cast, const, intrinsic, shuffle, splat
from ..compiler.kernels.isa import Isa, Tile, added

_ARM = "llvm.aarch64.neon."


def _words(x: Pointer, row_offsets: Sequence[Value], dtype: str, count: int) -> list[Register]:
    """`count` words of 32 bits of every row."""
    return [Register(dtype, count, x.load(o, dtype, count)) for o in row_offsets]


def _word(words: Register, number: int) -> Value:
    return words.get() if words.lanes == 1 else shuffle([words.get()], [number])


class _DotTile(Tile):
    """sdot by lane: 16 products an instruction. Group of 4, four groups (16 bytes of a row) a step."""

    dtype, columns, group = "int8", 8, 4

    def __init__(self, rows: int, blocks: int) -> None:
        self.rows, self.blocks = rows, blocks

    def start(self, bias: Sequence[Value]) -> None:
        self._sums = [[Register("int32", 4, b) for b in bias] for _ in range(self.rows)]

    def step(
        self, x: Pointer, row_offsets: Sequence[Value], w: Pointer, w_offsets: Sequence[Value], groups: int
    ) -> None:
        quads = _words(x, row_offsets, "int32", groups)
        for g in range(groups):
            weights = [
                Register("int8", 16, w.load(o + (g * 2 + j) * 16, "int8", 16)) for o in w_offsets for j in range(2)
            ]
            for quad, sums in zip(quads, self._sums, strict=True):
                elements = bitcast(splat(_word(quad, g), 4), "int8", 16)
                for acc, weight in zip(sums, weights, strict=True):
                    acc.set(intrinsic(_ARM + "sdot.v4i32.v16i8", "int32", 4, acc.get(), weight.get(), elements))

    def row(self, r: int) -> Sequence[Value]:
        return [acc.get() for acc in self._sums[r]]


class _WideningTile(Tile):
    """Armv8.0: smull and smlal over two groups, then sadalp: 6 instructions for 32 products.

    With weights in [-127, 127] two products fit int16 (2 * 127 * 128 = 32512); with full-range weights every
    product is folded into the 32-bit sums by itself. Each 32-bit accumulator holds half a channel's sum; `row`
    adds the halves.
    """

    dtype, columns, group = "int8", 8, 4
    groups_per_step = 2  # more in one basic block, and LLVM's scheduler spills the sums

    def __init__(self, rows: int, *, full_range: bool) -> None:
        self.rows = rows
        self._pair = 1 if full_range else 2

    def start(self, bias: Sequence[Value]) -> None:
        zero = const(0, "int32", 4)
        spread = [shuffle([b, zero], lanes) for b in bias for lanes in ([0, 4, 1, 5], [2, 6, 3, 7])]
        self._sums = [[Register("int32", 4, s) for s in spread] for _ in range(self.rows)]

    def step(
        self, x: Pointer, row_offsets: Sequence[Value], w: Pointer, w_offsets: Sequence[Value], groups: int
    ) -> None:
        (w_offset,) = w_offsets
        quads = _words(x, row_offsets, "int32", groups)
        for first in range(0, groups, self._pair):
            pair = range(first, min(first + self._pair, groups))
            for j in range(4):  # two channels each: 8 bytes of weights a group
                weights = [Register("int8", 8, w.load(w_offset + g * 32 + j * 8, "int8", 8)) for g in pair]
                for quad, sums in zip(quads, self._sums, strict=True):
                    products = None
                    for g, weight in zip(pair, weights, strict=True):
                        elements = bitcast(splat(_word(quad, g), 2), "int8", 8)
                        product = intrinsic(_ARM + "smull.v8i16", "int16", 8, weight.get(), elements)
                        products = product if products is None else products + product
                    widened = intrinsic(_ARM + "saddlp.v4i32.v8i16", "int32", 4, products)
                    sums[j].set(sums[j].get() + widened)

    def row(self, r: int) -> tuple[Value, Value]:
        a, b, c, d = (s.get() for s in self._sums[r])
        return intrinsic(_ARM + "addp.v4i32", "int32", 4, a, b), intrinsic(_ARM + "addp.v4i32", "int32", 4, c, d)


class _FloatTile(Tile):
    """fmla by lane; four elements of a row a step. The bias is added last: a large one would cost the sums low bits.

    A single row has a chain of sums for each element of a step: one would wait for every multiplication.
    """

    dtype, columns, group = "float32", 8, 1

    def __init__(self, rows: int, blocks: int) -> None:
        self.rows, self.blocks, self._chains = rows, blocks, self.groups_per_step if rows == 1 else 1

    def start(self, bias: Sequence[Value]) -> None:
        def zeros() -> list[Register]:
            return [Register("float32", 4, const(0.0, "float32", 4)) for _ in bias]

        self._bias = bias
        self._sums = [[zeros() for _ in range(self._chains)] for _ in range(self.rows)]

    def step(
        self, x: Pointer, row_offsets: Sequence[Value], w: Pointer, w_offsets: Sequence[Value], groups: int
    ) -> None:
        quads = _words(x, row_offsets, "float32", groups)
        used = self._chains if groups == self.groups_per_step else 1  # what is left joins the first chain
        for g in range(groups):
            weights = [
                Register("float32", 4, w.load(o + (g * 2 + j) * 16, "float32", 4)) for o in w_offsets for j in range(2)
            ]
            for quad, sums in zip(quads, (chains[g % used] for chains in self._sums), strict=True):
                element = splat(_word(quad, g), 4)
                for acc, weight in zip(sums, weights, strict=True):
                    acc.set(intrinsic("llvm.fma.v4f32", "float32", 4, weight.get(), element, acc.get()))

    def row(self, r: int) -> Sequence[Value]:
        sums = (added([acc.get() for acc in chains]) for chains in zip(*self._sums[r], strict=True))
        return [total + bias for total, bias in zip(sums, self._bias, strict=True)]


def _zip_low(a: Value, b: Value) -> Value:
    """zip1: a0 b0 a1 b1 ... of the low halves of two int8 x 16."""
    return shuffle([a, b], [lane for i in range(8) for lane in (i, i + 16)])


class Neon(Isa):
    """128-bit vectors."""

    lanes = 4
    registers = 32

    def __init__(self, *, dotprod: bool) -> None:
        self.has_dot = dotprod
        self.name = "neondot" if dotprod else "neon"

    def load_half(self, p: Pointer, offset: Value) -> Value:
        """ldr of a d register, which clears the upper half of the whole one."""
        halves = [Register("int64", 1, p.load(offset, "int64")).get(), const(0, "int64")]
        return bitcast(shuffle(halves, range(2)), "int8", 16)

    def interleave4(self, rows: Sequence[Value]) -> tuple[Value, Value]:
        """zip1 of bytes, then zip1 and zip2 of pairs."""
        pairs = [_zip_low(rows[0], rows[1]), _zip_low(rows[2], rows[3])]
        wide = [bitcast(pair, "int16", 8) for pair in pairs]
        low, high = (shuffle(wide, [lane for i in half for lane in (i, i + 8)]) for half in (range(4), range(4, 8)))
        return bitcast(low, "int8", 16), bitcast(high, "int8", 16)

    def dot4(self, acc: Value, a: Value, b: Value) -> Value:
        """sdot."""
        return intrinsic(_ARM + "sdot.v4i32.v16i8", "int32", 4, acc, a, b)

    def int8_tile(self, rows: int, *, paired: bool, full_range: bool) -> Tile:
        """sdot by lane, or smull, smlal and sadalp."""
        if self.has_dot:
            return _DotTile(5, 2) if paired else _DotTile(min(rows, 8), 1)
        return _WideningTile(min(rows, 4), full_range=full_range)

    def float_tile(self, rows: int, *, paired: bool) -> Tile:
        """fmla by lane."""
        return _FloatTile(5, 2) if paired else _FloatTile(min(rows, 8), 1)

    def round_to_int(self, value: Value) -> Value:
        """fcvtns, which saturates by itself."""
        return intrinsic(_ARM + "fcvtns.v4i32.v4f32", "int32", 4, value)

    def round_real(self, value: Value) -> Value:
        """fcvtns: NaN gives 0."""
        return self.round_to_int(value)

    def narrow16(self, low: Value, high: Value) -> Value:
        """sqxtn, sqxtn2."""
        halves = [intrinsic(_ARM + "sqxtn.v4i16", "int16", 4, v) for v in (low, high)]
        return shuffle(halves, range(8))

    def narrow8(self, value: Value) -> Value:
        """sqxtn."""
        return intrinsic(_ARM + "sqxtn.v8i8", "int8", 8, value)

    def add16(self, a: Value, b: Value) -> Value:
        """sqadd."""
        return intrinsic(_ARM + "sqadd.v8i16", "int16", 8, a, b)

    def multiply16(self, a: Value, b: Value) -> tuple[Value, Value]:
        """smull, smull2."""
        low, high = (
            intrinsic(_ARM + "smull.v4i32", "int32", 4, shuffle([a], half), shuffle([b], half))
            for half in (range(4), range(4, 8))
        )
        return low, high

    def multiply8(self, a: Value, b: Value) -> Value:
        """smull."""
        return intrinsic(_ARM + "smull.v8i16", "int16", 8, a, b)

    def widen16(self, value: Value) -> Value:
        """sshll."""
        return cast(value, "int16", 8)

    def widen32(self, value: Value) -> tuple[Value, Value]:
        """sshll, sshll2."""
        return cast(shuffle([value], range(4)), "int32", 4), cast(shuffle([value], range(4, 8)), "int32", 4)

    def load_table(self, table: Pointer, offset: Value) -> Sequence[Value]:
        """Sixteen registers of 16 entries."""
        return [Register("int8", 16, table.load(offset + 16 * i, "int8", 16)) for i in range(16)]

    def lookup(self, table: Sequence[Value], index: Value) -> Value:
        """tbl of four registers, then three times tbx."""
        chunks = [[t.get() for t in table[i : i + 4]] for i in range(0, 16, 4)]
        position = index ^ const(-128, "int8", 16)
        result = intrinsic(_ARM + "tbl4.v16i8", "int8", 16, *chunks[0], position)
        for i in range(1, 4):  # positions outside a chunk leave the result as it is
            position = position - const(64, "int8", 16)
            result = intrinsic(_ARM + "tbx4.v16i8", "int8", 16, result, *chunks[i], position)
        return result
