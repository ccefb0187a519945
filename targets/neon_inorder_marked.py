"""The register tile of int8 for Armv8.0 cores that issue in order, where runs are whole steps of four groups, or each
is a step of three (`neon_inorder_short.py`).

In steps that are marked (`kernels/convolutions/conv.py`), products of all four groups add up in int16 before they join
the sums, in others those of two. The words of a row lie twice in a half of a register each, for smlal and smlal2: so
the words of a step are eight registers, where `InOrderWideningTile` has as many for half a step.
"""

from collections.abc import Callable, Sequence
from functools import partial

from ..compiler.kernels.emit.builder import Builder, Pointer, Register, Value, i64
from ..compiler.kernels.emit.tir import tirx
from ..compiler.kernels.emit.walk import Walk
from .neon_inorder import STEP_INSTRUCTIONS, Action, address, call
from .neon_inorder_int8 import InOrderWideningTile, in_turns
from .neon_inorder_short import ShortRuns

GROUPS, PAIR, STEP_BYTES = 4, 2, 128
"""Groups of a step; those in a register; bytes of a step's weights."""

FOLD = GROUPS
"""What follows the last group: products join the sums."""

WEIGHTS = {(2, 0): (0, "low"), (3, 0): (0, "high"), (FOLD, 0): (1, "low"), (0, 0): (1, "high")}
"""Behind the instruction of (group, row) of each column: which half of which pair of groups is loaded, of the weights
of the next column; behind the first group of this one."""

ZIPPED, LOADED = ("word_pair", "zip"), ("spread", "lane2", "lane3")
"""How a pair of words comes into its register, each part four cycles after the one before: in fewer instructions, or
without taking the vector units."""

LOADED_ROWS = 2
"""In windows of several taps, the last rows are `LOADED`: with more, loads stand in each other's way."""

FIRST_COLUMN = {
    (0, 1): [(2, 1, 1)], (0, 2): [(3, 1, 1)], (0, 3): [(0, 1, 1)],
    (1, 0): [(1, 1, 1)], (1, 1): [(2, 1, 2)], (1, 2): [(3, 1, 2)],
}  # fmt: skip
LAST_COLUMN = {
    (1, 0): [(0, 0, 0)], (1, 1): [(1, 0, 0)], (1, 2): [(2, 0, 0)], (1, 3): [(3, 0, 0)],
    (2, 1): [(0, 0, 1)], (2, 2): [(1, 0, 1), (2, 0, 1)], (2, 3): [(3, 0, 1)],
    (3, 2): [(2, 0, 2)], (3, 3): [(3, 0, 2), (2, 1, 0)],
    (FOLD, 1): [(3, 1, 0)], (FOLD, 2): [(0, 1, 0)], (FOLD, 3): [(1, 1, 0)],
}  # fmt: skip
"""Behind the instruction of (group, row) of the last column: which parts of words of the next step, (row, pair, part),
and behind those of the first column what is left of them."""


class InOrderMarkedTile(InOrderWideningTile):
    """smull, smlal and smlal2 for all rows of a column, then sadalp."""

    instructions = STEP_INSTRUCTIONS
    marks = True

    def walk(
        self, b: Builder, x: Pointer, row_offsets: Sequence[Value], w: Pointer, w_offsets: Sequence[Value], walk: Walk
    ) -> None:
        """Steps by their marks, which stand behind the weights, or all the same."""
        if not (walk.marked or walk.fitting):
            super().walk(b, x, row_offsets, w, w_offsets, walk)
            return
        if walk.short:
            self._walk_short(b, x, row_offsets, w, w_offsets[0], walk)
            return
        words, weights = _Words(x, row_offsets, LOADED_ROWS if walk.looped else 0), Weights(w, w_offsets[0])
        runs = walk.count_y * walk.count_x if walk.looped else i64(1)
        marks = _marks(b, w, w_offsets[0], runs, walk)
        in_turns([*weights.first_loads(), *([] if walk.looped else words.first_loads())], self.copies())
        if not walk.looped:
            self._steps(b, walk, words, weights, marks)
            return
        with walk.runs(b) as start:
            for place, offset in zip(words.rows, row_offsets, strict=True):
                place.set(address(x, offset + start).get())
            for load in words.first_loads():
                load()
            self._steps(b, walk, words, weights, marks)

    def _steps(self, b: Builder, walk: Walk, words: "_Words", weights: "Weights", marks: "_Marks | None") -> None:
        with walk.steps(b):
            _as_marked(b, marks, lambda fits: self._add_step(GROUPS if fits else PAIR, words, weights))

    def _walk_short(
        self, b: Builder, x: Pointer, row_offsets: Sequence[Value], w: Pointer, w_offset: Value, walk: Walk
    ) -> None:
        runs, marks = ShortRuns(x, row_offsets, w, w_offset), _marks(b, w, w_offset, walk.count_y, walk)
        in_turns(runs.first_loads(), self.copies())
        with walk.short_runs(b) as (start, following):
            jump = b.let(following - start - walk.short * 4)
            _as_marked(b, marks, lambda fits: runs.multiply(self._sums, jump, fits=fits))

    def _add_step(self, depth: int, words: "_Words", weights: "Weights") -> None:
        for j in range(4):
            self._add_column(j, depth, words, weights)

    def _add_column(self, j: int, depth: int, words: "_Words", weights: "Weights") -> None:
        """All groups of two channels, `depth` of them at once in int16."""
        products = [Register("int16", 8) for _ in range(self.rows)]
        for g in range(GROUPS):
            for r, result in enumerate(products):
                factors = weights.pairs[g // PAIR].get(), words.pairs[r][g // PAIR].get()
                if g % depth:
                    result.set(call("int16x8", f"step_smlal{g % PAIR + 1}", result.get(), *factors))
                else:
                    result.set(call("int16x8", "step_smull", *factors))
                weights.load_behind(j, g, r)
                words.load_behind(j, g, r)
            if g % depth < depth - 1:
                continue
            for r, (sums, result) in enumerate(zip(self._sums, products, strict=True)):
                sums[j].set(call("int32x4", "sadalp", sums[j].get(), result.get()))
                if g == GROUPS - 1:
                    weights.load_behind(j, FOLD, r)
                    words.load_behind(j, FOLD, r)


def _marks(b: Builder, w: Pointer, w_offset: Value, runs: Value, walk: Walk) -> "_Marks | None":
    """Those behind the weights of a block that has some."""
    return _Marks(w, b.let(w_offset + runs * walk.groups * 32)) if walk.marked else None


def _as_marked(b: Builder, marks: "_Marks | None", add: Callable[[bool], None]) -> None:
    """Add a step, which fits or not as the next mark says, or fits if there are none."""
    if marks is None:
        add(True)
        return
    fits = b.let(marks.take())
    for chosen, fitting in ((fits != 0, True), (tirx.EQ(fits, i64(0)), False)):
        with b.when(chosen):
            add(fitting)


class _Marks:
    """Of steps, one after the other."""

    def __init__(self, w: Pointer, offset: Value) -> None:
        self._w, self._at = w, Register("int64", 1, offset)

    def take(self) -> Value:
        """The next one."""
        mark = Register("int64", 1, i64(self._w.load(self._at.get(), "uint8")))
        self._at.set(self._at.get() + 1)
        return mark.get()


class Weights:
    """The registers of a column's weights, by pair of groups, which are loaded while they are used."""

    def __init__(self, w: Pointer, offset: Value) -> None:
        self.pairs = [Register("int8", 16) for _ in range(PAIR)]
        self._low = address(w, offset)
        self._high = [address(w, offset + 32 + 64 * pair) for pair in range(PAIR)]
        self._next_column, self._next_step = (Register("int64", 1, i64(by)) for by in (8, STEP_BYTES - 24))

    def first_loads(self) -> list[Action]:
        """Of what the first column begins with."""
        return [partial(self._load, -1, pair, half) for pair, half in ((0, "low"), (0, "high"), (1, "low"))]

    def load_behind(self, j: int, g: int, r: int) -> None:
        """What is loaded behind the instruction of group `g`, row `r` of column `j`."""
        if (g, r) in WEIGHTS:
            self._load(j - 1 if g == 0 else j, *WEIGHTS[g, r])

    def _load(self, j: int, pair: int, half: str) -> None:
        """Those that follow column `j`, behind the last those of the next step."""
        register = self.pairs[pair]
        if half == "low" and j == 3 and pair == 0:
            register.set(call("int8x16", "step_next", self._low.address))
        elif half == "low":
            register.set(call("int8x16", f"step_at{64 * pair + 8 * ((j + 1) % 4)}", self._low.get()))
        else:
            by = self._next_step if j == 2 else self._next_column
            register.set(call("int8x16", "high", register.get(), by.get(), self._high[pair].address))


class _Words:
    """The registers of a step's words, by row and pair of groups, which are loaded while they are used, so many of the
    last rows as `LOADED`."""

    def __init__(self, x: Pointer, row_offsets: Sequence[Value], loaded: int) -> None:
        self._parts = [ZIPPED] * (len(row_offsets) - loaded) + [LOADED] * loaded
        self.rows = [address(x, o) for o in row_offsets]
        self.pairs = [[Register("int8", 16) for _ in range(PAIR)] for _ in row_offsets]

    def first_loads(self) -> list[Action]:
        """Of what a run begins with: what the last column of a step leaves to the next."""
        parts = [part for place in sorted(LAST_COLUMN) for part in LAST_COLUMN[place]]
        return [partial(self._load, *part) for part in parts]

    def load_behind(self, j: int, g: int, r: int) -> None:
        """As of weights."""
        for part in {0: FIRST_COLUMN, 3: LAST_COLUMN}.get(j, {}).get((g, r), ()):
            self._load(*part)

    def _load(self, r: int, pair: int, part: int) -> None:
        word = self.pairs[r][pair]
        kind = dict(enumerate(self._parts[r])).get(part)
        operands = [] if part == 0 else [word.get()]
        if kind is not None:
            operands += [] if kind == "zip" else [self.rows[r].address]
            word.set(call("int8x16", f"step_{kind}", *operands))
