"""The register tile of Armv8.6's matrix products (i8mm): smmla, 32 products an instruction."""

from collections.abc import Sequence

from ..compiler.kernels.emit.builder import Builder, Pointer, Register, Value, i64, shuffle
from ..compiler.kernels.emit.isa import Tile
from ..compiler.kernels.emit.tir import tirx


class MatrixTile(Tile):
    """smmla multiplies two rows by two columns, eight elements deep: two groups of the weights that sdot takes are
    zipped for it, and pairs of rows, eight elements of each side by side. Tiles of more than ten rows do not fit the
    registers, beside the operands that are multiplied next, and these do as long as LLVM keeps the order: hence
    `asm sideeffect`."""

    dtype, columns, group, gathers, mixed = "int8", 8, 4, True, True
    instructions = """
define <4 x i32> @edge_smmla(<4 x i32> %acc, <16 x i8> %rows, <16 x i8> %columns) {
  %r = call <4 x i32> asm sideeffect "smmla $0.4s, $2.16b, $3.16b", "=w,0,w,w"(
    <4 x i32> %acc, <16 x i8> %rows, <16 x i8> %columns)
  ret <4 x i32> %r
}
"""

    def __init__(self, rows: int) -> None:
        self.rows = rows

    def start(self, bias: Sequence[Value]) -> None:
        """Sums := bias. A register is two columns of a row, then of the next."""
        self._sums = [[Register("int32", 4, b) for b in bias[r * 2 : r * 2 + 4]] for r in range(0, self.rows, 2)]

    def gather(
        self, b: Builder, x: Pointer, row_offsets: Sequence[Value], y: Pointer, offset: Value, groups: Value
    ) -> None:
        """All pairs' first eight elements, then their next ones, and so on."""
        at, end = Register("int64", 1, i64(0)), b.let((groups & -4) * 4)
        with b.loop(at.get() < end):
            rows = [Register("int64", 2, x.load(o + at.get(), "int64", 2)).get() for o in row_offsets]
            pairs = [shuffle(rows[r : r + 2], [half, half + 2]) for half in range(2) for r in range(0, self.rows, 2)]
            for number, pair in enumerate(pairs):
                y.store(offset + at.get() * self.rows + number * 16, pair, "int64", 2)
            at.set(at.get() + 16)
        with b.when((groups & 2) != 0):
            words = [Register("int64", 1, x.load(o + end, "int64")).get() for o in row_offsets]
            for r in range(0, self.rows, 2):
                y.store(offset + end * self.rows + r * 8, shuffle(words[r : r + 2], range(2)), "int64", 2)

    def arrange(self, b: Builder, w: Pointer, offset: Value, y: Pointer, groups: Value) -> None:
        """Pairs of groups: four times two columns, eight elements of each."""
        with b.range(0, tirx.shift_right(groups, i64(1))) as number:
            at = b.let(number * 64)
            loaded = [Register("int32", 4, w.load(offset + at + i, "int32", 4)).get() for i in range(0, 64, 16)]
            for half in range(2):
                zipped = shuffle(loaded[half::2], [lane for i in range(4) for lane in (i, i + 4)])
                y.store(at + half * 32, zipped, "int32", 8)

    def multiply(self, b: Builder, x: Pointer, offset: Value, w: Pointer, groups: Value) -> None:
        """Accumulate pairs of groups, two at a time."""
        size, width = self.rows * 8, self.columns * 8
        with b.range(0, tirx.shift_right(groups, i64(2))) as number:
            self._pairs(x, offset + number * (2 * size), w, number * (2 * width), 2)
        with b.when((groups & 2) != 0):
            at = b.let(tirx.shift_right(groups, i64(2)) * 2)
            self._pairs(x, offset + at * size, w, at * width, 1)

    def _pairs(self, x: Pointer, x_at: Value, w: Pointer, w_at: Value, count: int) -> None:
        """Accumulate `count` pairs of groups. Operands are loaded in pairs too."""
        steps = len(self._sums)
        rows: list[Register] = []
        for number in range(steps * count):
            if number % steps == 0:
                first = w_at + number // steps * 64
                weights = [Register("int8", 16, w.load(first + i, "int8", 16)) for i in range(0, 64, 16)]
            if number == len(rows):
                places = range(number, min(number + 2, steps * count))
                rows += [Register("int8", 16, x.load(x_at + p * 16, "int8", 16)) for p in places]
            for acc, column in zip(self._sums[number % steps], weights, strict=True):
                acc.set(tirx.call_extern("int32x4", "edge_smmla", acc.get(), rows[number].get(), column.get()))

    def step(
        self, x: Pointer, row_offsets: Sequence[Value], w: Pointer, w_offsets: Sequence[Value], groups: int
    ) -> None:
        """Operands are copied first."""
        raise AssertionError("this tile multiplies copies")

    def row_pair(self, r: int) -> Sequence[Value]:
        """The sums of the rows r and r + 1."""
        return [acc.get() for acc in self._sums[r // 2]]

    def row(self, r: int) -> Sequence[Value]:
        """Row r's sums."""
        a, b, c, d = (acc.get() for acc in self._sums[r // 2])
        lanes = [2, 3, 6, 7] if r % 2 else [0, 1, 4, 5]
        return shuffle([a, b], lanes), shuffle([c, d], lanes)
