"""The register tile of Armv8.6's matrix products (i8mm): smmla, 32 products an instruction."""

from collections.abc import Sequence

from ..compiler.kernels.builder import Builder, Pointer, Register, Value, bitcast, i64, shuffle
from ..compiler.kernels.isa import Tile
from ..compiler.kernels.tir import tirx


class MatrixTile(Tile):
    """smmla multiplies two rows by two columns, eight elements deep: two groups of the weights that sdot takes are
    zipped for it, and rows are gathered in pairs, eight elements of each side by side. 48 instructions of vectors for
    40 smmla; larger tiles do not fit the registers, and these do as long as LLVM keeps the order: hence `asm
    sideeffect`."""

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
        both = [shuffle([b], pair * 2) for b in bias for pair in ([0, 1], [2, 3])]
        self._sums = [[Register("int32", 4, b) for b in both] for _ in range(self.rows // 2)]

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

    def run(
        self, b: Builder, x: Pointer, row_offsets: Sequence[Value], w: Pointer, w_offsets: Sequence[Value], steps: Value
    ) -> None:
        """Accumulate so many times four groups of gathered rows."""
        at, end = Register("int64", 1, i64(0)), b.let(steps * 16)
        with b.loop(at.get() < end):
            x_at, w_at = row_offsets[0] + at.get() * self.rows, w_offsets[0] + at.get() * self.columns
            self.step(x, [x_at], w, [w_at], self.groups_per_step)
            at.set(at.get() + 16)

    def step(
        self, x: Pointer, row_offsets: Sequence[Value], w: Pointer, w_offsets: Sequence[Value], groups: int
    ) -> None:
        """Accumulate two or four groups of gathered rows. Operands are loaded in pairs."""
        count = len(self._sums)
        pairs: list[Register] = []
        for number in range(count * groups // 2):
            if number % count == 0:
                weights = _columns(w, w_offsets[0] + number // count * 64)
            if number == len(pairs):
                places = range(number, min(number + 2, count * groups // 2))
                pairs += [Register("int8", 16, x.load(row_offsets[0] + p * 16, "int8", 16)) for p in places]
            for acc, column in zip(self._sums[number % count], weights, strict=True):
                acc.set(tirx.call_extern("int32x4", "edge_smmla", acc.get(), pairs[number].get(), column.get()))

    def row_pair(self, r: int) -> Sequence[Value]:
        """The sums of the rows r and r + 1."""
        return [acc.get() for acc in self._sums[r // 2]]

    def row(self, r: int) -> Sequence[Value]:
        """Row r's sums."""
        a, b, c, d = (acc.get() for acc in self._sums[r // 2])
        lanes = [2, 3, 6, 7] if r % 2 else [0, 1, 4, 5]
        return shuffle([a, b], lanes), shuffle([c, d], lanes)


def _columns(w: Pointer, offset: Value) -> list[Register]:
    """Two groups of eight columns -> four registers of two columns, eight elements of each."""
    zipped = []
    for half in (0, 16):
        groups = [Register("int32", 4, w.load(offset + at + half, "int32", 4)).get() for at in (0, 32)]
        zipped += [shuffle(groups, [i, i + 4, i + 1, i + 5]) for i in (0, 2)]
    return [Register("int8", 16, bitcast(z, "int8", 16)) for z in zipped]
