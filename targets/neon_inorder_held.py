"""The register tile of int8 for Armv8.0 cores that issue in order, where a run is one step: words of all rows stay in
registers while the blocks of weights pass. The first products are what sums begin with; the bias is added last."""

from collections.abc import Sequence

from ..compiler.kernels.emit.builder import Pointer, Register, Value
from .neon_inorder import STEP_INSTRUCTIONS, address, call
from .neon_inorder_int8 import InOrderWideningTile
from .neon_inorder_marked import FOLD, GROUPS, PAIR, Weights


class InOrderHeldTile(InOrderWideningTile):
    """smull and smlal2 for all rows of a column, then saddlp or sadalp."""

    instructions = STEP_INSTRUCTIONS
    walks = False
    holds = True

    def hold(self, x: Pointer, row_offsets: Sequence[Value]) -> None:
        """The step of all rows, in pairs of words, each twice."""
        self._held = [[Register("int8", 16) for _ in range(PAIR)] for _ in row_offsets]
        for words, offset in zip(self._held, row_offsets, strict=True):
            place = address(x, offset)
            for word in words:
                word.set(call("int8x16", "step_word_pair", place.address))
                word.set(call("int8x16", "step_zip", word.get()))

    def start(self, bias: Sequence[Value]) -> None:
        """Sums have no values before `multiply_held`."""
        self._bias = [Register("int32", 4, b) for b in bias]
        self._sums = [[Register("int32", 4) for _ in range(4)] for _ in range(self.rows)]

    def multiply_held(self, w: Pointer, w_offset: Value, *, fitting: bool) -> None:
        """Sums := products of a block."""
        weights, depth = Weights(w, w_offset), GROUPS if fitting else PAIR
        for load in weights.first_loads():
            load()
        for j in range(4):
            self._multiply_column(j, depth, weights)

    def row(self, r: int) -> tuple[Value, Value]:
        """Row r's sums."""
        (low, high), bias = super().row(r), [b.get() for b in self._bias]
        return low + bias[0], high + bias[1]

    def _multiply_column(self, j: int, depth: int, weights: Weights) -> None:
        products = [Register("int16", 8) for _ in range(self.rows)]
        for g in range(GROUPS):
            for r, result in enumerate(products):
                factors = weights.pairs[g // PAIR].get(), self._held[r][g // PAIR].get()
                if g % depth:
                    result.set(call("int16x8", f"step_smlal{g % PAIR + 1}", result.get(), *factors))
                else:
                    result.set(call("int16x8", "step_smull", *factors))
                if j < 3 or g == 0:
                    weights.load_behind(j, g, r)
            if g % depth < depth - 1:
                continue
            for r, (sums, result) in enumerate(zip(self._sums, products, strict=True)):
                if g < depth:
                    sums[j].set(call("int32x4", "step_saddlp", result.get()))
                else:
                    sums[j].set(call("int32x4", "sadalp", sums[j].get(), result.get()))
                if g == GROUPS - 1 and j < 3:
                    weights.load_behind(j, FOLD, r)
