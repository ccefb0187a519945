"""Long runs of floats in parts, of matrix products and of convolutions. The weights of a part stay in the first cache
while all register tiles of a scheduling tile are multiplied by them; the tiles' sums wait in memory for the next
part."""

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
    """`count` groups of a run, `x_at` bytes behind the beginning of a pixel's data and `w_at` behind that of a block's
    weights. `begins`: there are none before; `last`: there are none behind. `kept`: the sums of tile after tile."""

    x_at: Value
    w_at: Value
    count: Value
    begins: Value
    last: Value
    kept: Pointer

    def accumulate(
        self, b: Builder, tile: Tile, number: Value, x: Pointer, rows: Sequence[Value], w: Pointer,
        w_firsts: Sequence[Value],
    ) -> None:  # fmt: skip
        """Add it to the sums of register tile `number`, whose rows begin at `rows`, blocks of weights at `w_firsts`."""
        place = b.let(number * (tile.rows * tile.blocks * tile.columns * 4))
        with b.when(tirx.Not(self.begins)):
            tile.resume(self.kept, place)
        starts, weights = [b.let(o + self.x_at) for o in rows], [b.let(o + self.w_at) for o in w_firsts]
        tile.run(b, x, starts, w, weights, b.let(tirx.truncdiv(self.count, i64(tile.groups_per_step))))
        with b.when(tirx.Not(self.last)):
            tile.keep(self.kept, place)


@contextmanager
def parts(b: Builder, tile: Tile, rows: int, *, pointwise: bool) -> Iterator[Part]:
    """The loop over parts of nearly the same size, in steps of `tile`, for scheduling tiles of so many rows: those of
    the only run, if `pointwise`, else of one run after the other."""
    columns, groups, step = tile.columns * tile.blocks, b.param("groups"), tile.groups_per_step
    number = b.let(tirx.max(tirx.truncdiv(groups, i64(part_groups(columns))), i64(1)))
    size = b.let(tirx.truncdiv(groups + (number * step - 1), number * step) * step)
    kept = b.stack(rows * columns * 4)
    runs = i64(1) if pointwise else b.let(b.param("taps_y") * b.param("taps_x"))
    with b.range(0, runs * number) as i:
        run, tap = i64(0), i64(0)
        if not pointwise:
            run, across = b.let(tirx.truncdiv(i, number)), b.param("taps_x")
            tap = b.let(tirx.truncdiv(run, across) * b.param("tap_y") + tirx.truncmod(run, across) * b.param("tap_x"))
        first = b.let((i - run * number) * size)
        x_at, w_at = b.let(tap + first * 4), b.let((run * groups + first) * (4 * tile.columns))
        count = b.let(tirx.min(size, groups - first))
        yield Part(x_at, w_at, count, tirx.EQ(i, i64(0)), tirx.EQ(i + 1, runs * number), kept)
