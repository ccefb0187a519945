"""Register tiles of int8 for cores that issue in order: see `neon_inorder.py`.

They walk over all taps at once: the weights of the next tap are loaded with the last of this one, and the first of all
while vector units copy the bias.
"""

from collections.abc import Sequence
from functools import partial
from itertools import product, zip_longest

from ..compiler.kernels.emit.builder import Builder, Pointer, Register, Value, i64
from ..compiler.kernels.emit.tir import tirx
from ..compiler.kernels.emit.walk import Walk
from .neon_inorder import Action, PairOperands, address, call, run_columns, run_pair
from .neon_tiles import DotTile, WideningTile


def in_turns(*sequences: Sequence[Action]) -> None:
    """One of each sequence after the other."""
    for actions in zip_longest(*sequences):
        for act in actions:
            if act is not None:
                act()


def _copy(target: Register, source: Register) -> None:
    target.set(call("int32x4", "copy", source.get()))


class InOrderDotTile(DotTile):
    """sdot by lane for a pair of blocks."""

    own_bias = False
    walks = True

    def __init__(self, rows: int) -> None:
        super().__init__(rows, 2)

    def start(self, bias: Sequence[Value]) -> None:
        """Sums := bias."""
        super().start(list(bias) * self.rows)

    def run(
        self, b: Builder, x: Pointer, row_offsets: Sequence[Value], w: Pointer, w_offsets: Sequence[Value], steps: Value
    ) -> None:
        """Accumulate steps."""
        run_pair(b, "sdot", self._sums, x, row_offsets, w, w_offsets, steps)

    def walk(
        self, b: Builder, x: Pointer, row_offsets: Sequence[Value], w: Pointer, w_offsets: Sequence[Value], walk: Walk
    ) -> None:
        """Words of a row are loaded by pairs of groups."""
        operands = PairOperands(x, row_offsets, w, w_offsets)

        def multiply(groups: int, advance: Value) -> None:
            """Behind the last group the next words of a row lie `advance` from those before."""
            for g in range(groups):
                last = g == groups - 1
                operands.multiply("sdot", self._sums, g, advance if last else i64(8) if g % 2 else None)

        copies: list[Action] = [
            partial(_copy, self._sums[r][j], self._sums[0][j]) for j, r in product(range(4), range(1, self.rows))
        ]
        by_tap = walk.looped and not walk.short
        in_turns([*operands.first_loads, *(operands.word_loads if not by_tap else [])], copies)
        if walk.short:
            with walk.short_runs(b) as (start, following):
                multiply(walk.short, following - start - (walk.short - 1) // 2 * 8)
        elif by_tap:
            with walk.runs(b) as start:
                operands.at.set(start)
                for load in operands.word_loads:
                    load()
                with walk.steps(b):
                    multiply(walk.step, i64(8))
        else:
            with walk.steps(b):
                multiply(walk.step, i64(8))


class InOrderDotColumnsTile(DotTile):
    """sdot by lane for a block."""

    def __init__(self, rows: int) -> None:
        super().__init__(rows, 1)

    def run(
        self, b: Builder, x: Pointer, row_offsets: Sequence[Value], w: Pointer, w_offsets: Sequence[Value], steps: Value
    ) -> None:
        """Accumulate steps."""
        run_columns(b, "sdot", self.groups_per_step, self._sums, x, row_offsets, w, w_offsets, steps)


class InOrderWideningTile(WideningTile):
    """smull, smlal and sadalp for all rows of a column, four multiplications apart."""

    walks = True

    def __init__(self, rows: int) -> None:
        super().__init__(rows, full_range=False)

    def run(
        self, b: Builder, x: Pointer, row_offsets: Sequence[Value], w: Pointer, w_offsets: Sequence[Value], steps: Value
    ) -> None:
        """Accumulate steps."""
        self._begin(x, row_offsets, w, w_offsets)
        self._load_weights(0, 0)
        for r, g in product(range(self.rows), range(2)):
            self._load_word(r, g)
        with b.range(0, steps):
            self._multiply(self.groups_per_step)

    def walk(
        self, b: Builder, x: Pointer, row_offsets: Sequence[Value], w: Pointer, w_offsets: Sequence[Value], walk: Walk
    ) -> None:
        """Words are loaded as soon as those before have been used for the last time."""
        self._begin(x, row_offsets, w, w_offsets)
        every, by_tap = range(self.rows), walk.looped and not walk.short
        words: list[Action] = [partial(self._load_word, r, g) for r, g in product(every, range(2))]
        loads: list[Action] = [partial(self._load_weights, 0, 0), *(words if not by_tap else [])]
        in_turns(loads, self.copies())
        if walk.short:
            with walk.short_runs(b) as (start, following):
                self._multiply(walk.short, b.let(following - start - (walk.short + 1) // 2 * 8))
        elif by_tap:
            with walk.runs(b) as start:
                for place, offset in zip(self._rows, row_offsets, strict=True):
                    place.set(address(x, offset + start).get())
                for load in words:
                    load()
                self._multiply_run(b, walk)
        else:
            self._multiply_run(b, walk)

    def _multiply_run(self, b: Builder, walk: Walk) -> None:
        """An even number of groups."""
        with b.range(0, tirx.shift_right(walk.groups, i64(2))):
            self._multiply(4)
        with b.when((walk.groups & 2) != 0):
            self._multiply(2)

    def copies(self) -> list[Action]:
        """What gives the sums of all rows the bias that the first row's have."""
        return [partial(_copy, row[j], self._sums[0][j]) for j, row in product(range(4), self._sums[1:])]

    def _begin(self, x: Pointer, row_offsets: Sequence[Value], w: Pointer, w_offsets: Sequence[Value]) -> None:
        self._rows, (self._place,) = [address(x, o) for o in row_offsets], [address(w, o) for o in w_offsets]
        self._words = [[Register("int8", 8) for _ in range(2)] for _ in row_offsets]
        self._weights = [Register("int8", 8) for _ in range(2)]
        self._products = [Register("int16", 8) for _ in row_offsets]

    def _load_weights(self, g: int, offset: int) -> None:
        self._weights[g].set(call("int8x8", f"at{offset}", self._place.get()))

    def _load_word(self, r: int, g: int) -> None:
        self._words[r][g].set(call("int8x8", "word", self._rows[r].address))

    def _multiply(self, groups: int, jump: Value | None = None) -> None:
        """Two columns of a group are 8 bytes, which the weights of the next group follow 32 bytes later. Behind the
        last group, rows go on after a `jump`."""
        for begin in range(0, groups, 4):
            end = min(4, groups - begin)
            for first, j in product(range(0, end, 2), range(4)):
                if j == 3 and jump is not None and begin + first + 2 >= groups:
                    for row in self._rows:
                        row.set(row.get() + jump)
                at, following = 32 * first + 8 * j, 32 * min(first + 2, end)
                load_next = partial(self._load_weights, 0, at + 8 if j < 3 else following)
                if j == 3 and following == 32 * end:
                    load_next = partial(self._go_on, following)
                self._column(j, at, load_next, pair=first + 1 < end)

    def _go_on(self, by: int) -> None:
        """To the weights `by` bytes further on, of which the first are loaded."""
        self._weights[0].set(call("int8x8", f"ahead{by}", self._place.address))

    def _column(self, j: int, at: int, load_next: Action, *, pair: bool) -> None:
        """One or two groups of a column, whose weights are at `at`."""
        for r, result in enumerate(self._products):
            result.set(call("int16x8", "smull", self._weights[0].get(), self._words[r][0].get()))
            if r == 0 and pair:
                self._load_weights(1, at + 32)
            if j == 3:
                self._load_word(r, 0)
        for r, result in enumerate(self._products):
            if pair:
                result.set(call("int16x8", "smlal", result.get(), self._weights[1].get(), self._words[r][1].get()))
            if r == 0:
                load_next()
            if j == 3:
                self._load_word(r, 1)
        for sums, result in zip(self._sums, self._products, strict=True):
            sums[j].set(call("int32x4", "sadalp", sums[j].get(), result.get()))
