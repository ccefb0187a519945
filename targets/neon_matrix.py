"""The register tile of Armv8.6's matrix products (i8mm): smmla, 32 products an instruction."""

from collections.abc import Sequence

from ..compiler.kernels.builder import Pointer, Register, Value, bitcast, shuffle
from ..compiler.kernels.isa import Tile
from ..compiler.kernels.tir import tirx


class MatrixTile(Tile):
    """smmla multiplies two rows by two columns, eight elements deep: two groups of the weights that sdot takes are
    zipped for it, and so are two rows. 58 instructions of vectors for 40 smmla; larger tiles do not fit the registers,
    and these do as long as LLVM keeps the order: hence `asm sideeffect`."""

    dtype, columns, group, whole = "int8", 8, 4, True
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

    def step(
        self, x: Pointer, row_offsets: Sequence[Value], w: Pointer, w_offsets: Sequence[Value], groups: int
    ) -> None:
        """Accumulate four groups."""
        weights = [_columns(w, w_offsets[0] + half) for half in (0, 64)]
        for pair, sums in enumerate(self._sums):
            elements = _row_pair(x, row_offsets[2 * pair : 2 * pair + 2])
            for rows, columns in zip(elements, weights, strict=True):
                for acc, column in zip(sums, columns, strict=True):
                    acc.set(tirx.call_extern("int32x4", "edge_smmla", acc.get(), rows, column.get()))

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


def _row_pair(x: Pointer, offsets: Sequence[Value]) -> list[Value]:
    """Sixteen elements of two rows -> eight elements of each side by side, twice."""
    rows = [Register("int64", 2, x.load(o, "int64", 2)).get() for o in offsets]
    return [bitcast(shuffle(rows, [i, i + 2]), "int8", 16) for i in range(2)]
