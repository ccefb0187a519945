"""Rows that a register tile reads from a copy on the stack, where their elements lie as it multiplies them: made once
for all blocks of channels, and one run of however many a kernel has."""

from collections.abc import Sequence

from .builder import Builder, Pointer, Register, Value, i64
from .isa import Tile
from .tir import tirx

DEEPEST = 4608
"""Bytes of a row that are copied at most."""


class Gathered:
    """The rows of a tile, `groups` groups in each."""

    def __init__(
        self, b: Builder, tile: Tile, x: Pointer, rows: Sequence[Value], parts: int, *, pointwise: bool
    ) -> None:
        self._b, self._tile = b, tile
        self._copy = b.stack(tile.rows * DEEPEST)
        groups = self._groups = b.param("groups")
        if pointwise and parts == 1:
            tile.gather(b, x, rows, self._copy, i64(0), groups)
            return
        size = b.let(groups * (tile.group * tile.rows))
        end = Register("int64", 1, i64(0))
        with b.range(0, b.param("taps_y")) as ty, b.range(0, b.param("taps_x")) as tx:
            tap = b.let(ty * b.param("tap_y") + tx * b.param("tap_x"))
            starts = [b.let(r + tap) for r in rows]
            for _ in range(parts):  # whose weights follow each other
                tile.gather(b, x, starts, self._copy, end.get(), groups)
                end.set(end.get() + size)
        self._groups = b.let(groups * b.param("taps_y") * b.param("taps_x") * parts)

    def accumulate(self, w: Pointer, first: Value) -> None:
        """Add up their products with a block's weights."""
        b, tile, step = self._b, self._tile, self._tile.groups_per_step
        whole = b.let(self._groups & -step)
        tile.run(b, self._copy, [i64(0)], w, [first], b.let(tirx.shift_right(whole, i64(step.bit_length() - 1))))
        with b.when(self._groups > whole):
            x_at, w_at = b.let(whole * (tile.group * tile.rows)), b.let(whole * (tile.group * tile.columns))
            tile.step(self._copy, [x_at], w, [first + w_at], step // 2)
