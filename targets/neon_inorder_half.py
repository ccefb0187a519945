"""The register tile of float16 for cores that issue in order: see `neon_inorder.py`."""

from collections.abc import Sequence
from itertools import product

from ..compiler.kernels.builder import Builder, Pointer, Register, Value, i64
from .neon_inorder import INSTRUCTIONS, address, call
from .neon_tiles import HalfTile


class InOrderHalfTile(HalfTile):
    """fmla of float16 by lane for a pair of blocks. While a group is multiplied, the weights of the next are loaded
    beside its first column, and behind four groups those of every row beside the second."""

    instructions = INSTRUCTIONS

    def __init__(self, rows: int) -> None:
        super().__init__(rows, 2)

    def run(
        self, b: Builder, x: Pointer, row_offsets: Sequence[Value], w: Pointer, w_offsets: Sequence[Value], steps: Value
    ) -> None:
        """Accumulate steps."""
        rows = [address(x, o) for o in row_offsets]
        places = [[address(w, o + half) for half in (0, 8)] for o in w_offsets]
        at, step = Register("int64", 1, i64(0)), Register("int64", 1, i64(16))
        words = [Register("int8", 16) for _ in rows]
        weights = [[Register("int8", 16) for _ in range(2)] for _ in range(2)]
        sums = [chain for (chain,) in self._sums]

        def load_half(number: int, column: int, half: int) -> None:
            register, place = weights[number % 2][column], places[column][half].address
            more = (register.get(), step.get()) if half else ()
            register.set(call("int8x16", "high" if half else "low", *more, place))

        def load_word(r: int) -> None:
            words[r].set(call("int8x16", "pair", rows[r].get(), at.get()))

        for half, column in product(range(2), range(2)):
            load_half(0, column, half)
        for r in range(self.rows):
            load_word(r)
        at.set(at.get() + 8)
        with b.range(0, steps):
            for g, j, r in product(range(self.groups_per_step), range(2), range(self.rows)):
                total = sums[r][j]
                operands = total.get(), weights[g % 2][j].get(), words[r].get()
                total.set(call("float16x8", f"half_fmla{g % 4}", *operands))
                if j == 0 and r in _HALF_LOADS:
                    load_half(g + 1, *_HALF_LOADS[r])
                if g % 4 == 3 and j == 1:
                    load_word(r)
                    if r == self.rows - 1:
                        at.set(at.get() + 8)


_HALF_LOADS = {0: (0, 0), 1: (1, 0), 3: (0, 1), 4: (1, 1)}
"""Behind the multiplication of a row by the first column: which column's weights, and which half of them, is loaded."""
