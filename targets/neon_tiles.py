"""Register tiles of NEON: Armv8.0 and, with dotprod, the sdot instruction; float32."""

from collections.abc import Sequence

from ..compiler.kernels.emit.builder import (
    BITS,
    Builder,
    Pointer,
    Register,
    Value,
    bitcast,
    const,
    i64,
    intrinsic,
    shuffle,
    splat,
)
from ..compiler.kernels.emit.floating import fenced, fma
from ..compiler.kernels.emit.halves import load
from ..compiler.kernels.emit.isa import Tile, added
from ..compiler.kernels.emit.tir import tirx

ARM = "llvm.aarch64.neon."


def row_words(x: Pointer, row_offsets: Sequence[Value], dtype: str, count: int) -> list[Register]:
    """`count` words of 32 bits of every row, for three of them four."""
    loaded = 4 if count == 3 else count
    return [Register(dtype, loaded, x.load(o, dtype, loaded)) for o in row_offsets]


def word(words: Register, number: int) -> Value:
    """One of them, 32 bits or a float16."""
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
        quads = row_words(x, row_offsets, "int32", groups)
        for g in range(groups):
            weights = [
                Register("int8", 16, w.load(o + (g * 2 + j) * 16, "int8", 16)) for o in w_offsets for j in range(2)
            ]
            for quad, sums in zip(quads, self._chain(g), strict=True):
                elements = bitcast(splat(word(quad, g), 4), "int8", 16)
                for acc, weight in zip(sums, weights, strict=True):
                    acc.set(intrinsic(ARM + "sdot.v4i32.v16i8", "int32", 4, acc.get(), weight.get(), elements))

    def _chain(self, group: int) -> Sequence[Sequence[Register]]:
        """The sums of all rows that a group of a step is added to."""
        return self._sums

    def in_turn(self, sums: Sequence[Value]) -> Sequence[Value]:
        """Behind no instruction, which LLVM keeps in order: else it begins all rows before it ends one, and spills."""
        return [Register("int32", 4, tirx.call_extern("int32x4", "edge_here", v)).get() for v in sums]

    def row(self, r: int) -> Sequence[Value]:
        """Row r's sums."""
        return [acc.get() for acc in self._sums[r]]


class DotRowTile(DotTile):
    """A single row, with chains of sums for even and odd groups: one would wait for every product."""

    def __init__(self) -> None:
        super().__init__(1, 1)

    def start(self, bias: Sequence[Value]) -> None:
        """Sums := bias in the even chain, 0 in the odd one."""
        super().start(bias)
        self._odd = [[Register("int32", 4, const(0, "int32", 4)) for _ in bias]]

    def _chain(self, group: int) -> Sequence[Sequence[Register]]:
        """Of even or odd groups."""
        return self._odd if group % 2 else self._sums

    def row(self, r: int) -> Sequence[Value]:
        """The sums of both chains."""
        return [even.get() + odd.get() for even, odd in zip(self._sums[r], self._odd[r], strict=True)]


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
        quads = row_words(x, row_offsets, "int32", groups)
        for first in range(0, groups, self._pair):
            pair = range(first, min(first + self._pair, groups))
            for j in range(4):  # two channels each: 8 bytes of weights a group
                weights = [Register("int8", 8, w.load(w_offset + g * 32 + j * 8, "int8", 8)) for g in pair]
                for quad, sums in zip(quads, self._sums, strict=True):
                    products = None
                    for g, weight in zip(pair, weights, strict=True):
                        elements = bitcast(splat(word(quad, g), 2), "int8", 8)
                        product = intrinsic(ARM + "smull.v8i16", "int16", 8, weight.get(), elements)
                        products = product if products is None else products + product
                    widened = intrinsic(ARM + "saddlp.v4i32.v8i16", "int32", 4, products)
                    sums[j].set(sums[j].get() + widened)

    def row(self, r: int) -> tuple[Value, Value]:
        """Row r's sums."""
        a, b, c, d = (s.get() for s in self._sums[r])
        return intrinsic(ARM + "addp.v4i32", "int32", 4, a, b), intrinsic(ARM + "addp.v4i32", "int32", 4, c, d)


class FloatTile(Tile):
    """fmla by lane; four elements of a row a step, float16 converted as it is loaded.

    A single row has a chain of sums for each element of a step: one would wait for every multiplication.
    """

    columns, group = 8, 1
    own_bias = True
    resumes = True
    in_turns = True
    instructions = """
define <4 x float> @edge_here_float(<4 x float> %v) {
  %r = call <4 x float> asm sideeffect "", "=w,0"(<4 x float> %v)
  ret <4 x float> %r
}
"""

    def __init__(self, rows: int, blocks: int, dtype: str = "float32") -> None:
        self.dtype, self._size = dtype, BITS[dtype] // 8
        self.rows, self.blocks, self._chains = rows, blocks, self.groups_per_step if rows == 1 else 1

    def start(self, bias: Sequence[Value]) -> None:
        """Sums := bias, of several chains the first."""
        count, self._begun = 2 * self.blocks, bool(bias)

        def chain(values: Sequence[Value]) -> list[Register]:
            return [Register("float32", 4, value) for value in values]

        zeros = [const(0.0, "float32", 4)] * count
        firsts = [bias[r * count :][:count] or zeros for r in range(self.rows)]
        self._sums = [[chain(first), *(chain(zeros) for _ in range(self._chains - 1))] for first in firsts]

    def begin(
        self, b: Builder, x: Pointer, row_offsets: Sequence[Value], w: Pointer, w_offsets: Sequence[Value], steps: Value
    ) -> None:
        """The first step is outside the loop, beside loads of the bias; without one, sums begin with its products."""
        self._step(x, row_offsets, w, w_offsets, self.groups_per_step, begins=not self._begun)
        at, end = Register("int64", 1, i64(self._step_bytes)), b.let(steps * self._step_bytes)
        self._run_on(b, x, row_offsets, w, w_offsets, at, end)

    def step(
        self, x: Pointer, row_offsets: Sequence[Value], w: Pointer, w_offsets: Sequence[Value], groups: int
    ) -> None:
        """Accumulate some groups."""
        self._step(x, row_offsets, w, w_offsets, groups, begins=False)

    def _step(
        self, x: Pointer, row_offsets: Sequence[Value], w: Pointer, w_offsets: Sequence[Value], groups: int, *,
        begins: bool,
    ) -> None:  # fmt: skip
        quads = [Register("float32", groups, load(x, o, self.dtype, groups)) for o in row_offsets]
        used = self._chains if groups == self.groups_per_step else 1  # what is left joins the first chain
        for g in range(groups):
            places = [o + (g * 2 + j) * 4 * self._size for o in w_offsets for j in range(2)]
            weights = [Register("float32", 4, load(w, place, self.dtype, 4)) for place in places]
            for quad, sums in zip(quads, (chains[g % used] for chains in self._sums), strict=True):
                element = splat(word(quad, g), 4)
                for acc, weight in zip(sums, weights, strict=True):
                    if begins and g < used:
                        acc.set(fenced(4, weight.get() * element))
                    else:
                        acc.set(fma(4, weight.get(), element, acc.get()))

    def in_turn(self, sums: Sequence[Value]) -> Sequence[Value]:
        """Behind no instruction, as those of `DotTile`."""
        return [Register("float32", 4, tirx.call_extern("float32x4", "edge_here_float", v)).get() for v in sums]

    def keep(self, p: Pointer, offset: Value) -> None:
        """Row after row."""
        for i, acc in enumerate(self._all_sums()):
            p.store(offset + 16 * i, acc.get(), "float32", 4)

    def resume(self, p: Pointer, offset: Value) -> None:
        """Likewise."""
        for i, acc in enumerate(self._all_sums()):
            acc.set(p.load(offset + 16 * i, "float32", 4))

    def _all_sums(self) -> list[Register]:
        return [acc for chains in self._sums for chain in chains for acc in chain]

    def row(self, r: int) -> Sequence[Value]:
        """Row r's sums."""
        return [added([acc.get() for acc in chains]) for chains in zip(*self._sums[r], strict=True)]
