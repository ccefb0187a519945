"""The register tile of NEON with arithmetic in float16."""

from collections.abc import Sequence

from ..compiler.kernels.emit.builder import Builder, Pointer, Register, Value, cast, const, i64, shuffle, splat
from ..compiler.kernels.emit.floating import fenced, fma
from ..compiler.kernels.emit.isa import Tile, added
from ..compiler.kernels.emit.tir import tirx
from .neon_tiles import row_words, word


class HalfTile(Tile):
    """fmla of float16 by lane, eight sums an instruction; eight elements of a row a step. A single row has a chain of
    sums for each of them, as in `FloatTile`.

    Long sums in float16 would lose what is small next to them: after as many groups as the parameter "summands" says,
    or up to a step less where runs are not whole steps, they are added to totals in memory, and start again from zero;
    of a single row after as many for each chain. So a product passes through as many roundings as a chain has products
    in a block, and then as there are blocks.
    """

    dtype, columns, group = "float16", 8, 1
    groups_per_step = 8
    in_turns = True
    instructions = """
define <8 x half> @edge_here_half(<8 x half> %v) {
  %r = call <8 x half> asm sideeffect "", "=w,0"(<8 x half> %v)
  ret <8 x half> %r
}
"""

    def __init__(self, rows: int, blocks: int) -> None:
        self.rows, self.blocks, self._chains = rows, blocks, self.groups_per_step if rows == 1 else 1

    def start(self, bias: Sequence[Value]) -> None:
        """Sums := bias, which is added last."""
        pairs = [shuffle(bias[i : i + 2], range(8)) for i in range(0, len(bias), 2)]
        self._bias = [Register("float16", 8, cast(pair, "float16", 8)) for pair in pairs]

        def zeros() -> list[Register]:
            return [Register("float16", 8, _no_sum()) for _ in pairs]

        self._sums = [[zeros() for _ in range(self._chains)] for _ in range(self.rows)]
        self._summed, self._added = Register("int64", 1, i64(0)), Register("int64", 1, i64(0))

    def begin(
        self, b: Builder, x: Pointer, row_offsets: Sequence[Value], w: Pointer, w_offsets: Sequence[Value], steps: Value
    ) -> None:
        """All steps that there are: the first products of each block are what its sums begin with."""
        self._reserve(b)
        at, end = Register("int64", 1, i64(0)), b.let(tirx.max(steps, 1) * self._step_bytes)  # or LLVM has zeros ready
        block = b.let(self._block(b) * (self._step_bytes // self.groups_per_step))
        with b.loop(at.get() < end):
            with b.when(at.get() > 0):
                self._put_by(b)
            stop = b.let(tirx.min(at.get() + block, end))
            rows, weights = [o + at.get() for o in row_offsets], [o + at.get() * self.columns for o in w_offsets]
            self._step(x, rows, w, weights, self.groups_per_step, begins=True)
            at.set(at.get() + self._step_bytes)
            self._run_on(b, x, row_offsets, w, w_offsets, at, stop)

    def run(
        self, b: Builder, x: Pointer, row_offsets: Sequence[Value], w: Pointer, w_offsets: Sequence[Value], steps: Value
    ) -> None:
        """Accumulate steps, as many together as a block of a step less still takes."""
        self._run_blocks(b, x, row_offsets, w, w_offsets, steps, self._block(b) - self.groups_per_step * self._chains)

    def _run_blocks(
        self, b: Builder, x: Pointer, row_offsets: Sequence[Value], w: Pointer, w_offsets: Sequence[Value],
        steps: Value, block: Value,
    ) -> None:  # fmt: skip
        """Accumulate steps, as many together as a block of so many groups still takes."""
        self._reserve(b)
        step, done = self.groups_per_step, Register("int64", 1, i64(0))
        with b.loop(done.get() < tirx.max(steps, 1)):  # steps that are not whole may fill a block too
            with b.when(self._summed.get() > block - step):
                self._put_by(b)
                for total in self._all_sums():
                    total.set(_no_sum())
                self._summed.set(i64(0))
            count = b.let(tirx.min(steps - done.get(), tirx.truncdiv(block - self._summed.get(), i64(step))))
            rows, weights = self._places(b, row_offsets, w_offsets, done.get())
            self._run_block(b, x, rows, w, weights, count)
            self._summed.set(self._summed.get() + count * step)
            done.set(done.get() + tirx.max(count, 1))

    def _block(self, b: Builder) -> Value:
        """Groups of a block."""
        return b.let(b.param("summands") * self._chains)

    def _reserve(self, b: Builder) -> None:
        self._totals, self._first_total = b.stack(16 * len(self._all_sums())), b.opaque(i64(0))  # LLVM has no registers

    def _put_by(self, b: Builder) -> None:
        """Totals := totals + sums."""
        self._add_totals(b)
        for i, total in enumerate(self._all_sums()):
            self._totals.store(self._first_total + 16 * i, total.get(), "float16", 8)
        self._added.set(i64(1))

    def _places(
        self, b: Builder, row_offsets: Sequence[Value], w_offsets: Sequence[Value], done: Value
    ) -> tuple[list[Value], list[Value]]:
        """Where rows and weights are after so many steps."""
        x_at = b.let(done * (2 * self.groups_per_step))
        w_at = b.let(x_at * self.columns)
        return [b.let(o + x_at) for o in row_offsets], [b.let(o + w_at) for o in w_offsets]

    def _run_block(
        self, b: Builder, x: Pointer, row_offsets: Sequence[Value], w: Pointer, w_offsets: Sequence[Value], steps: Value
    ) -> None:
        """Accumulate steps that are all of one block."""
        super().run(b, x, row_offsets, w, w_offsets, steps)

    def step(
        self, x: Pointer, row_offsets: Sequence[Value], w: Pointer, w_offsets: Sequence[Value], groups: int
    ) -> None:
        """Accumulate some groups."""
        self._step(x, row_offsets, w, w_offsets, groups, begins=False)
        if groups < self.groups_per_step:
            self._summed.set(self._summed.get() + groups)

    def _step(
        self, x: Pointer, row_offsets: Sequence[Value], w: Pointer, w_offsets: Sequence[Value], groups: int, *,
        begins: bool,
    ) -> None:  # fmt: skip
        octets = row_words(x, row_offsets, "float16", groups)
        for g in range(groups):
            weights = [Register("float16", 8, w.load(o + g * 16, "float16", 8)) for o in w_offsets]
            for octet, chains in zip(octets, self._sums, strict=True):
                element = splat(word(octet, g), 8)
                for acc, weight in zip(chains[g % self._chains], weights, strict=True):
                    if begins and g < self._chains:
                        acc.set(fenced(8, weight.get() * element))
                    else:
                        acc.set(fma(8, weight.get(), element, acc.get()))

    def end(self, b: Builder) -> None:
        """Add what earlier blocks have left."""
        self._add_totals(b)

    def _add_totals(self, b: Builder) -> None:
        with b.when(self._added.get() > 0):
            for i, total in enumerate(self._all_sums()):
                total.set(total.get() + self._totals.load(self._first_total + 16 * i, "float16", 8))

    def _all_sums(self) -> list[Register]:
        return [total for chains in self._sums for chain in chains for total in chain]

    def in_turn(self, sums: Sequence[Value]) -> Sequence[Value]:
        """Behind no instruction, as those of `DotTile`."""
        return [Register("float16", 8, tirx.call_extern("float16x8", "edge_here_half", v)).get() for v in sums]

    def row(self, r: int) -> Sequence[Value]:
        """Row r's sums."""
        sums = (added([acc.get() for acc in chains]) for chains in zip(*self._sums[r], strict=True))
        return [total + bias.get() for total, bias in zip(sums, self._bias, strict=True)]


def _no_sum() -> Value:
    return const(0.0, "float16", 8)
