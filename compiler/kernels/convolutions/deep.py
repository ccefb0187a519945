"""Long runs of a matrix product of floats in parts. The weights of a part stay in the first cache while all register
tiles of a scheduling tile are multiplied by them; the tiles' sums wait in memory for the next part."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from ..emit.builder import Builder, Pointer, Value, i64
from ..emit.isa import Tile
from ..emit.tir import tirx

PART_BYTES = 16384
"""Of a register tile's weights: half of a small core's first cache, beside its rows."""


def part_groups(columns: int) -> int:
    """Groups of a part at least, for register tiles of so many columns."""
    return PART_BYTES // (4 * columns)


@dataclass(frozen=True)
class Part:
    """Groups [first, first + count) of the runs. `last`: there are none behind. `kept`: the sums of tile after tile."""

    first: Value
    count: Value
    last: Value
    kept: Pointer

    def accumulate(
        self, b: Builder, tile: Tile, number: Value, x: Pointer, rows: Sequence[Value], w: Pointer,
        w_firsts: Sequence[Value],
    ) -> None:  # fmt: skip
        """Add it to the sums of register tile `number`, whose rows begin at `rows`, blocks of weights at `w_firsts`."""
        place = b.let(number * (tile.rows * tile.blocks * tile.columns * 4))
        x_at, w_at = b.let(self.first * 4), b.let(self.first * (4 * tile.columns))
        with b.when(self.first > 0):
            tile.resume(self.kept, place)
        starts, weights = [b.let(o + x_at) for o in rows], [b.let(o + w_at) for o in w_firsts]
        tile.run(b, x, starts, w, weights, b.let(tirx.truncdiv(self.count, i64(tile.groups_per_step))))
        with b.when(tirx.Not(self.last)):
            tile.keep(self.kept, place)


@contextmanager
def parts(b: Builder, tile: Tile, rows: int) -> Iterator[Part]:
    """The loop over parts of nearly the same size, in steps of `tile`, for scheduling tiles of so many rows."""
    columns, groups, step = tile.columns * tile.blocks, b.param("groups"), tile.groups_per_step
    number = b.let(tirx.max(tirx.truncdiv(groups, i64(part_groups(columns))), i64(1)))
    size = b.let(tirx.truncdiv(groups + (number * step - 1), number * step) * step)
    kept = b.stack(rows * columns * 4)
    with b.range(0, number) as i:
        first = b.let(i * size)
        yield Part(first, b.let(tirx.min(size, groups - first)), tirx.EQ(i + 1, number), kept)
