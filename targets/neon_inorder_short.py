"""Runs of three groups, rows of a first layer's kernel, for Armv8.0 cores that issue in order: where a run fits int16
(`neon_inorder_marked.py`), its products add up before they join the sums, else those of two groups and of the third."""

from collections.abc import Sequence
from functools import partial

from ..compiler.kernels.emit.builder import Pointer, Register, Value, i64
from .neon_inorder import Action, address, call

GROUPS, PAIR, RUN_BYTES = 3, 2, 96
"""Groups of a run; those that share a register; bytes of a run's weights."""

FOLD = GROUPS
"""What follows the last group: products join the sums."""

PARTS = {1: "spread", 2: "lane2", FOLD: "lane3"}
"""Behind the instructions of which group in the last column a row's pair of words for the next run is loaded, each part
four instructions after the one before."""

WEIGHTS = {(0, 0): "last", (2, 0): "low", (FOLD, 0): "high"}
"""Behind the instruction of (group, row): the weights of the column's last group, and the pair of the next column."""


class ShortRuns:
    """The operands of a run: words of each row, twice in a half of a register each, and weights of a column, a pair of
    groups in one register and the last in another."""

    def __init__(self, x: Pointer, row_offsets: Sequence[Value], w: Pointer, w_offset: Value) -> None:
        self._rows = [address(x, o) for o in row_offsets]
        self._low, self._high = address(w, w_offset), address(w, w_offset + 32)
        self._next_column, self._next_run = (Register("int64", 1, i64(by)) for by in (8, RUN_BYTES - 24))
        self._words = [[Register("int8", 16) for _ in range(2)] for _ in row_offsets]
        self._weights = [Register("int8", 16) for _ in range(2)]

    def first_loads(self) -> list[Action]:
        """What a run finds loaded."""
        words = [partial(self._load_word, r, part) for part in PARTS.values() for r in range(len(self._rows))]
        return [partial(self._load_weights, -1, "low"), partial(self._load_weights, -1, "high"), *words]

    def multiply(self, sums: Sequence[Sequence[Register]], jump: Value, *, fits: bool) -> None:
        """Add a run to four registers of `sums` a row; the next one begins a `jump` behind the words of this one."""
        for j in range(4):
            products = [Register("int16", 8) for _ in self._rows]
            for g in range(GROUPS):
                for r, result in enumerate(products):
                    self._multiply(result, g, r, begins=g == 0 or (g == PAIR and not fits))
                    self._load_behind(j, g, r)
                if g == GROUPS - 1 or (g == PAIR - 1 and not fits):
                    for r, (row, result) in enumerate(zip(sums, products, strict=True)):
                        row[j].set(call("int32x4", "sadalp", row[j].get(), result.get()))
                        if g == GROUPS - 1:
                            self._load_behind(j, FOLD, r)
            if j == 1:
                for place in self._rows:
                    place.set(place.get() + jump)

    def _multiply(self, result: Register, g: int, r: int, *, begins: bool) -> None:
        factors = self._weights[g // PAIR].get(), self._words[r][g // PAIR].get()
        if begins:
            result.set(call("int16x8", "step_smull", *factors))
        else:
            result.set(call("int16x8", f"step_smlal{g % PAIR + 1}", result.get(), *factors))

    def _load_behind(self, j: int, g: int, r: int) -> None:
        if (g, r) in WEIGHTS:
            self._load_weights(j, WEIGHTS[g, r])
        if j == 0 and g == 0:
            self._words[r][1].set(call("int8x16", "step_spread", self._rows[r].address))
        if j == 3 and g in PARTS:
            self._load_word(r, PARTS[g])

    def _load_word(self, r: int, part: str) -> None:
        """A part of a row's pair of words."""
        word = self._words[r][0]
        before = [] if part == "spread" else [word.get()]
        word.set(call("int8x16", f"step_{part}", *before, self._rows[r].address))

    def _load_weights(self, j: int, which: str) -> None:
        """Of column `j` those of the last group, else half of the pair that follows; behind the last column the next
        run's."""
        pair, last = self._weights
        if which == "last":
            last.set(call("int8x16", f"step_at{64 + 8 * j}", self._low.get()))
        elif which == "high":
            by = self._next_run if j == 2 else self._next_column
            pair.set(call("int8x16", "high", pair.get(), by.get(), self._high.address))
        elif j == 3:
            pair.set(call("int8x16", "step_next_run", self._low.address))
        else:
            pair.set(call("int8x16", f"step_at{8 * (j + 1)}", self._low.get()))
