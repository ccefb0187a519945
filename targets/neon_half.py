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
    or up to a step less where runs are not whole steps, they join totals, which begin with the bias, and start again
    from zero; of a single row after as many for each chain. So a product passes through as many roundings as a chain
    has products in a block, and then as there are blocks. Sums and totals take half of the registers each.
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
        """Totals := bias, of several chains the first."""
        pairs = [shuffle(bias[i : i + 2], range(8)) for i in range(0, len(bias), 2)]
        zeros = [_nothing()] * self.blocks
        firsts = [cast(pair, "float16", 8) for pair in pairs] or zeros
        starts = [firsts, *[zeros] * (self._chains - 1)]
        self._totals = [[[Register("float16", 8, v) for v in start] for start in starts] for _ in range(self.rows)]
        self._sums = [[[Register("float16", 8, v) for v in zeros] for _ in starts] for _ in range(self.rows)]
        self._summed, self._all_joined = Register("int64", 1, i64(0)), False

    def begin(
        self, b: Builder, x: Pointer, row_offsets: Sequence[Value], w: Pointer, w_offsets: Sequence[Value], steps: Value
    ) -> None:
        """All steps that there are: the first products of each block are what its sums begin with."""
        at, end = Register("int64", 1, i64(0)), b.let(tirx.max(steps, 1) * self._step_bytes)  # or LLVM has zeros ready
        size, longer = (b.let(b.param(name) * (2 * self._chains)) for name in ("summands", "longer_from"))
        with b.loop(at.get() < end):
            block = tirx.Select(at.get() < longer, tirx.min(size, longer - at.get()), size + self._step_bytes)
            stop = b.let(tirx.min(at.get() + block, end))
            rows, weights = [o + at.get() for o in row_offsets], [o + at.get() * self.columns for o in w_offsets]
            self._step(x, rows, w, weights, self.groups_per_step, begins=True)
            at.set(at.get() + self._step_bytes)
            self._run_on(b, x, row_offsets, w, w_offsets, at, stop)
            self._join()
        self._all_joined = True

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
        step, done = self.groups_per_step, Register("int64", 1, i64(0))
        with b.loop(done.get() < tirx.max(steps, 1)):  # steps that are not whole may fill a block too
            with b.when(self._summed.get() > block - step):
                self._join()
                for _, part in self._pairs():
                    part.set(_nothing())
                self._summed.set(i64(0))
            count = b.let(tirx.min(steps - done.get(), tirx.truncdiv(block - self._summed.get(), i64(step))))
            rows, weights = self._places(b, row_offsets, w_offsets, done.get())
            self._run_block(b, x, rows, w, weights, count)
            self._summed.set(self._summed.get() + count * step)
            done.set(done.get() + tirx.max(count, 1))

    def _block(self, b: Builder) -> Value:
        """Groups of a block."""
        return b.let(b.param("summands") * self._chains)

    def _join(self) -> None:
        """Totals := totals + sums."""
        for total, part in self._pairs():
            total.set(total.get() + part.get())

    def _pairs(self) -> list[tuple[Register, Register]]:
        """All totals, and the sums that join them."""
        rows = zip(self._totals, self._sums, strict=True)
        chains = (pair for row in rows for pair in zip(*row, strict=True))
        return [pair for chain in chains for pair in zip(*chain, strict=True)]

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
        """Let the last sums join."""
        if not self._all_joined:
            self._join()

    def in_turn(self, sums: Sequence[Value]) -> Sequence[Value]:
        """Behind no instruction, as those of `DotTile`."""
        return [Register("float16", 8, tirx.call_extern("float16x8", "edge_here_half", v)).get() for v in sums]

    def row(self, r: int) -> Sequence[Value]:
        """Row r's totals."""
        return [added([acc.get() for acc in chains]) for chains in zip(*self._totals[r], strict=True)]


def _nothing() -> Value:
    return const(0.0, "float16", 8)
