"""Register tiles of int8 for cores that issue in order, of a single row: see `neon_inorder.py`."""

from collections.abc import Sequence
from itertools import product

from ..compiler.kernels.emit.builder import Builder, Pointer, Register, Value, i64
from .neon_inorder import address, call
from .neon_tiles import DotTile, WideningTile

PAIR, STEP_BYTES = 2, 64
"""Groups of a step; bytes of its weights."""


class InOrderRowTile(WideningTile):
    """smull of a group for all columns, smlal of the next, then sadalp: none waits for the one before. The weights of
    the next step are loaded behind the multiplication by those of this one, its words beside sadalp."""

    def __init__(self) -> None:
        super().__init__(1, full_range=False)

    def run(
        self, b: Builder, x: Pointer, row_offsets: Sequence[Value], w: Pointer, w_offsets: Sequence[Value], steps: Value
    ) -> None:
        """Accumulate steps."""
        row, place = address(x, row_offsets[0]), address(w, w_offsets[0])
        words = [Register("int8", 8) for _ in range(PAIR)]
        weights = [[Register("int8", 8) for _ in range(4)] for _ in range(PAIR)]
        products, (sums,) = [Register("int16", 8) for _ in range(4)], self._sums

        def load_weights(g: int, j: int, *, next_step: bool) -> None:
            if next_step and g == j == 0:
                weights[g][j].set(call("int8x8", f"ahead{STEP_BYTES}", place.address))
            else:
                weights[g][j].set(call("int8x8", f"at{32 * g + 8 * j}", place.get()))

        def load_word(g: int) -> None:
            words[g].set(call("int8x8", "word", row.address))

        for g, j in product(range(PAIR), range(4)):
            load_weights(g, j, next_step=False)
        for g in range(PAIR):
            load_word(g)
        with b.range(0, steps):
            for g, j in product(range(PAIR), range(4)):
                factors = weights[g][j].get(), words[g].get()
                name, before = ("smlal", [products[j].get()]) if g else ("smull", [])
                products[j].set(call("int16x8", name, *before, *factors))
                load_weights(g, j, next_step=True)
            for j in range(4):
                sums[j].set(call("int32x4", "sadalp", sums[j].get(), products[j].get()))
                if j < PAIR:
                    load_word(j)


class InOrderDotRowTile(DotTile):
    """sdot by lane. Weights are loaded half a step ahead, by halves of a register, of which the upper one follows two
    multiplications later."""

    def __init__(self) -> None:
        super().__init__(1, 1)

    def run(
        self, b: Builder, x: Pointer, row_offsets: Sequence[Value], w: Pointer, w_offsets: Sequence[Value], steps: Value
    ) -> None:
        """Accumulate steps."""
        row, at, step = address(x, row_offsets[0]), Register("int64", 1, i64(0)), Register("int64", 1, i64(16))
        low, high = address(w, w_offsets[0]), address(w, w_offsets[0] + 8)
        words = [Register("int8", 16) for _ in range(2)]
        weights = [Register("int8", 16) for _ in range(4)]
        (sums,) = self._sums

        def load_low(number: int) -> None:
            weights[number % 4].set(call("int8x16", "low", low.address))

        def load_high(number: int) -> None:
            register = weights[number % 4]
            register.set(call("int8x16", "high", register.get(), step.get(), high.address))

        def load_words(half: int) -> None:
            words[half].set(call("int8x16", "pair", row.get(), at.get()))
            at.set(at.get() + 8)

        for number in range(4):
            load_low(number)
        for half in range(2):
            load_words(half)
            load_high(half)
        with b.range(0, steps):
            for number in range(8):  # 2 * group + column
                load_high(number + 2)
                acc, half = sums[number % 2], number // 4
                operands = acc.get(), weights[number % 4].get(), words[half].get()
                acc.set(call("int32x4", f"sdot{number // 2 % 2}", *operands))
                load_low(number)
                if number % 4 == 3:
                    load_words(half)
