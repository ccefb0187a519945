"""The register tile of float16 for cores that issue in order: see `neon_inorder.py`."""

from collections.abc import Sequence

from ..compiler.kernels.emit.builder import Builder, Pointer, Value
from .neon_half import HalfTile
from .neon_inorder import run_columns


class InOrderHalfTile(HalfTile):
    """fmla of float16 by lane for a pair of blocks."""

    in_turns = False  # what rows wait for is hidden by other rows

    def __init__(self, rows: int) -> None:
        super().__init__(rows, 2)

    def _run_block(
        self, b: Builder, x: Pointer, row_offsets: Sequence[Value], w: Pointer, w_offsets: Sequence[Value], steps: Value
    ) -> None:
        """Accumulate steps that are all of one block."""
        sums = [chain for (chain,) in self._sums]
        run_columns(b, "half_fmla", self.groups_per_step, sums, x, row_offsets, w, w_offsets, steps)

    def begin(
        self, b: Builder, x: Pointer, row_offsets: Sequence[Value], w: Pointer, w_offsets: Sequence[Value], steps: Value
    ) -> None:
        """From zeros: loads are between multiplications, and these cost as little."""
        self._run_blocks(b, x, row_offsets, w, w_offsets, steps, self._block(b))
