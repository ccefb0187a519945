"""Register tiles of NEON: Armv8.0 and, with dotprod, the sdot instruction."""

from collections.abc import Sequence

from ..compiler.kernels.builder import (
    BITS,
    Builder,
    Pointer,
    Register,
    Value,
    bitcast,
    cast,
    const,
    i64,
    intrinsic,
    shuffle,
    splat,
)
from ..compiler.kernels.floating import fma
from ..compiler.kernels.halves import load
from ..compiler.kernels.isa import Tile, added
from ..compiler.kernels.tir import tirx

ARM = "llvm.aarch64.neon."


def _words(x: Pointer, row_offsets: Sequence[Value], dtype: str, count: int) -> list[Register]:
    """`count` words of 32 bits of every row, for three of them four."""
    loaded = 4 if count == 3 else count
    return [Register(dtype, loaded, x.load(o, dtype, loaded)) for o in row_offsets]


def _word(words: Register, number: int) -> Value:
    return words.get() if words.lanes == 1 else shuffle([words.get()], [number])


class DotTile(Tile):
    """sdot by lane: 16 products an instruction. Group of 4, four groups (16 bytes of a row) a step."""

    dtype, columns, group = "int8", 8, 4
    own_bias = True

    def __init__(self, rows: int, blocks: int) -> None:
        self.rows, self.blocks = rows, blocks

    def start(self, bias: Sequence[Value]) -> None:
        """Sums := bias."""
        count = 2 * self.blocks
        self._sums = [[Register("int32", 4, b) for b in bias[r * count :][:count]] for r in range(self.rows)]

    def step(
        self, x: Pointer, row_offsets: Sequence[Value], w: Pointer, w_offsets: Sequence[Value], groups: int
    ) -> None:
        """Accumulate some groups."""
        quads = _words(x, row_offsets, "int32", groups)
        for g in range(groups):
            weights = [
                Register("int8", 16, w.load(o + (g * 2 + j) * 16, "int8", 16)) for o in w_offsets for j in range(2)
            ]
            for quad, sums in zip(quads, self._sums, strict=True):
                elements = bitcast(splat(_word(quad, g), 4), "int8", 16)
                for acc, weight in zip(sums, weights, strict=True):
                    acc.set(intrinsic(ARM + "sdot.v4i32.v16i8", "int32", 4, acc.get(), weight.get(), elements))

    def row(self, r: int) -> Sequence[Value]:
        """Row r's sums."""
        return [acc.get() for acc in self._sums[r]]


class WideningTile(Tile):
    """Armv8.0: smull and smlal over two groups, then sadalp: 6 instructions for 32 products.

    With weights in [-127, 127] two products fit int16 (2 * 127 * 128 = 32512); with full-range weights every
    product is folded into the 32-bit sums by itself. Each 32-bit accumulator holds half a channel's sum; `row`
    adds the halves.
    """

    dtype, columns, group = "int8", 8, 4
    groups_per_step = 2  # more in one basic block, and LLVM's scheduler spills the sums

    def __init__(self, rows: int, *, full_range: bool) -> None:
        self.rows = rows
        self._pair = 1 if full_range else 2

    def start(self, bias: Sequence[Value]) -> None:
        """Sums := bias."""
        zero = const(0, "int32", 4)
        spread = [shuffle([b, zero], lanes) for b in bias for lanes in ([0, 4, 1, 5], [2, 6, 3, 7])]
        self._sums = [[Register("int32", 4, s) for s in spread] for _ in range(self.rows)]

    def step(
        self, x: Pointer, row_offsets: Sequence[Value], w: Pointer, w_offsets: Sequence[Value], groups: int
    ) -> None:
        """Accumulate some groups."""
        (w_offset,) = w_offsets
        quads = _words(x, row_offsets, "int32", groups)
        for first in range(0, groups, self._pair):
            pair = range(first, min(first + self._pair, groups))
            for j in range(4):  # two channels each: 8 bytes of weights a group
                weights = [Register("int8", 8, w.load(w_offset + g * 32 + j * 8, "int8", 8)) for g in pair]
                for quad, sums in zip(quads, self._sums, strict=True):
                    products = None
                    for g, weight in zip(pair, weights, strict=True):
                        elements = bitcast(splat(_word(quad, g), 2), "int8", 8)
                        product = intrinsic(ARM + "smull.v8i16", "int16", 8, weight.get(), elements)
                        products = product if products is None else products + product
                    widened = intrinsic(ARM + "saddlp.v4i32.v8i16", "int32", 4, products)
                    sums[j].set(sums[j].get() + widened)

    def row(self, r: int) -> tuple[Value, Value]:
        """Row r's sums."""
        a, b, c, d = (s.get() for s in self._sums[r])
        return intrinsic(ARM + "addp.v4i32", "int32", 4, a, b), intrinsic(ARM + "addp.v4i32", "int32", 4, c, d)


class FloatTile(Tile):
    """fmla by lane; four elements of a row a step, float16 converted as it is loaded. The bias is added last: a large
    one would cost the sums low bits.

    A single row has a chain of sums for each element of a step: one would wait for every multiplication.
    """

    columns, group = 8, 1

    def __init__(self, rows: int, blocks: int, dtype: str = "float32") -> None:
        self.dtype, self._size = dtype, BITS[dtype] // 8
        self.rows, self.blocks, self._chains = rows, blocks, self.groups_per_step if rows == 1 else 1

    def start(self, bias: Sequence[Value]) -> None:
        """Sums := bias."""

        def zeros() -> list[Register]:
            return [Register("float32", 4, const(0.0, "float32", 4)) for _ in bias]

        self._bias = bias
        self._sums = [[zeros() for _ in range(self._chains)] for _ in range(self.rows)]

    def step(
        self, x: Pointer, row_offsets: Sequence[Value], w: Pointer, w_offsets: Sequence[Value], groups: int
    ) -> None:
        """Accumulate some groups."""
        quads = [Register("float32", groups, load(x, o, self.dtype, groups)) for o in row_offsets]
        used = self._chains if groups == self.groups_per_step else 1  # what is left joins the first chain
        for g in range(groups):
            places = [o + (g * 2 + j) * 4 * self._size for o in w_offsets for j in range(2)]
            weights = [Register("float32", 4, load(w, place, self.dtype, 4)) for place in places]
            for quad, sums in zip(quads, (chains[g % used] for chains in self._sums), strict=True):
                element = splat(_word(quad, g), 4)
                for acc, weight in zip(sums, weights, strict=True):
                    acc.set(intrinsic("llvm.fma.v4f32", "float32", 4, weight.get(), element, acc.get()))

    def row(self, r: int) -> Sequence[Value]:
        """Row r's sums."""
        sums = (added([acc.get() for acc in chains]) for chains in zip(*self._sums[r], strict=True))
        return [total + bias for total, bias in zip(sums, self._bias, strict=True)]


class HalfTile(Tile):
    """fmla of float16 by lane, eight sums an instruction; eight elements of a row a step. A single row has several
    chains of sums, as in `FloatTile`.

    Long sums in float16 would lose what is small next to them: after `BLOCK` groups or a step more, they are added to
    totals in memory, and start again from zero. So a product passes through as many roundings as a block has groups,
    and then as there are blocks.
    """

    dtype, columns, group = "float16", 8, 1
    groups_per_step = 8
    BLOCK = 32

    def __init__(self, rows: int, blocks: int) -> None:
        self.rows, self.blocks, self._chains = rows, blocks, 4 if rows == 1 else 1

    def start(self, bias: Sequence[Value]) -> None:
        """Sums := bias, which is added last."""
        pairs = [shuffle(bias[i : i + 2], range(8)) for i in range(0, len(bias), 2)]
        self._bias = [Register("float16", 8, cast(pair, "float16", 8)) for pair in pairs]

        def zeros() -> list[Register]:
            return [Register("float16", 8, _no_sum()) for _ in pairs]

        self._sums = [[zeros() for _ in range(self._chains)] for _ in range(self.rows)]
        self._summed, self._added = Register("int64", 1, i64(0)), Register("int64", 1, i64(0))

    def run(
        self, b: Builder, x: Pointer, row_offsets: Sequence[Value], w: Pointer, w_offsets: Sequence[Value], steps: Value
    ) -> None:
        """Accumulate steps, as many together as a block still takes."""
        self._totals, self._first_total = b.stack(16 * len(self._all_sums())), b.opaque(i64(0))  # LLVM has no registers
        step, done = self.groups_per_step, Register("int64", 1, i64(0))
        with b.loop(done.get() < tirx.max(steps, 1)):  # steps that are not whole may fill a block too
            with b.when(self._summed.get() > self.BLOCK - step):
                self._add_totals(b)
                for i, total in enumerate(self._all_sums()):
                    self._totals.store(self._first_total + 16 * i, total.get(), "float16", 8)
                    total.set(_no_sum())
                self._added.set(i64(1))
                self._summed.set(i64(0))
            count = b.let(tirx.min(steps - done.get(), tirx.truncdiv(self.BLOCK - self._summed.get(), i64(step))))
            x_at, w_at = b.let(done.get() * (2 * step)), b.let(done.get() * (2 * step * self.columns))
            self._run_block(
                b, x, [b.let(o + x_at) for o in row_offsets], w, [b.let(o + w_at) for o in w_offsets], count
            )
            self._summed.set(self._summed.get() + count * step)
            done.set(done.get() + tirx.max(count, 1))

    def _run_block(
        self, b: Builder, x: Pointer, row_offsets: Sequence[Value], w: Pointer, w_offsets: Sequence[Value], steps: Value
    ) -> None:
        """Accumulate steps that are all of one block."""
        super().run(b, x, row_offsets, w, w_offsets, steps)

    def step(
        self, x: Pointer, row_offsets: Sequence[Value], w: Pointer, w_offsets: Sequence[Value], groups: int
    ) -> None:
        """Accumulate some groups."""
        octets = _words(x, row_offsets, "float16", groups)
        for g in range(groups):
            weights = [Register("float16", 8, w.load(o + g * 16, "float16", 8)) for o in w_offsets]
            for octet, chains in zip(octets, self._sums, strict=True):
                element = splat(_word(octet, g), 8)
                for acc, weight in zip(chains[g % self._chains], weights, strict=True):
                    acc.set(fma(8, weight.get(), element, acc.get()))
        if groups < self.groups_per_step:
            self._summed.set(self._summed.get() + groups)

    def end(self, b: Builder) -> None:
        """Add what earlier blocks have left."""
        self._add_totals(b)

    def _add_totals(self, b: Builder) -> None:
        with b.when(self._added.get() > 0):
            for i, total in enumerate(self._all_sums()):
                total.set(total.get() + self._totals.load(self._first_total + 16 * i, "float16", 8))

    def _all_sums(self) -> list[Register]:
        return [total for chains in self._sums for chain in chains for total in chain]

    def row(self, r: int) -> Sequence[Value]:
        """Row r's sums."""
        sums = (added([acc.get() for acc in chains]) for chains in zip(*self._sums[r], strict=True))
        return [total + bias.get() for total, bias in zip(sums, self._bias, strict=True)]


def _no_sum() -> Value:
    return const(0.0, "float16", 8)
