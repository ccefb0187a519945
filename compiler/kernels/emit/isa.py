"""The vector ISA: what kernel templates are written over.

An instance (`targets/neon.py`, `targets/avx2.py`) says how wide its registers are and how the few operations that
differ between instruction sets are spelled in TIR; everything else (add, min, select, conversion) is plain TIR that
LLVM selects well. Each docstring here is the operation's meaning: instances agree with it bit for bit.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence

from .builder import BITS, Builder, Pointer, Register, Value, const, i64, shuffle, splat
from .floating import keep
from .tir import tirx
from .walk import Walk


def added(values: Sequence[Value]) -> Value:
    """The sum, of pairs of neighbours first."""
    half = len(values) // 2
    return values[0] if len(values) == 1 else added(values[:half]) + added(values[half:])


class Tile(ABC):
    """A register tile of multiply-accumulates: `rows` output pixels by `blocks` blocks of `columns` output channels.

    The reduction dimension is consumed in groups of `group` elements. Packed weights hold, group after group,
    [columns][group] elements of a block. `unsigned`: it multiplies x + 128, which is unsigned, and starts from the
    block's second bias. `gathers`: it multiplies rows that `gather` has copied by weights that `arrange` has.
    `mixed`: registers of sums hold two channels of a row, then the same of the next row.
    `walks`: it takes all runs at once, where they have an even number of groups or few. `marks`: it gains where steps
    fit int16 or are marked, and nothing else from whole steps. `unrolls`: short runs take it less time without a loop.
    `resumes`: its sums can be kept in memory and go on from there.
    `holds`: it takes runs of one step, which stay in registers while blocks of weights pass.
    `in_turns`: float32 results with activations beyond clamps are better stored row by row, or registers would not do.
    `instructions`: functions in LLVM's language that it calls.
    """

    dtype: str
    rows: int
    columns: int
    group: int
    blocks: int = 1
    groups_per_step: int = 4
    unsigned: bool = False
    own_bias: bool = False
    gathers: bool = False
    mixed: bool = False
    walks: bool = False
    marks: bool = False
    unrolls: bool = True
    resumes: bool = False
    holds: bool = False
    in_turns: bool = False
    instructions: str = ""

    def gather(
        self, b: Builder, x: Pointer, row_offsets: Sequence[Value], y: Pointer, offset: Value, groups: Value
    ) -> None:
        """Copy `groups` groups of all rows, a multiple of half a step, to byte `offset` of y."""
        raise AssertionError("this tile reads rows where they are")

    def arrange(self, b: Builder, w: Pointer, offset: Value, y: Pointer, groups: Value) -> None:
        """Copy so many groups of a block's weights from byte `offset` of w to y."""
        raise AssertionError("this tile reads weights where they are")

    def multiply(self, b: Builder, x: Pointer, offset: Value, w: Pointer, groups: Value) -> None:
        """Accumulate so many groups: gathered rows from byte `offset` of x on, arranged weights at w."""
        raise AssertionError("this tile reads operands where they are")

    @abstractmethod
    def start(self, bias: Sequence[Value]) -> None:
        """Every row's sums := `bias` (for each block `Isa.vectors` of `Isa.lanes` int32 or float32); with `own_bias`
        one row after the other has its own, or one pair of rows whose sums are `mixed`. Empty: floats that have
        none."""

    @abstractmethod
    def step(
        self, x: Pointer, row_offsets: Sequence[Value], w: Pointer, w_offsets: Sequence[Value], groups: int
    ) -> None:
        """Accumulate `groups` groups: row r's elements start at byte row_offsets[r] of x, block i's weights at
        w_offsets[i]. Fewer than `groups_per_step` are the last of a run."""

    def keep(self, p: Pointer, offset: Value) -> None:
        """Write the sums to byte `offset` of p: 4 * rows * blocks * columns bytes."""
        raise AssertionError("sums of this tile stay in registers")

    def resume(self, p: Pointer, offset: Value) -> None:
        """Go on with the sums that were kept there."""
        raise AssertionError("sums of this tile stay in registers")

    def begin(
        self, b: Builder, x: Pointer, row_offsets: Sequence[Value], w: Pointer, w_offsets: Sequence[Value], steps: Value
    ) -> None:
        """As `run`, of one step or more, before anything else is accumulated."""
        self.run(b, x, row_offsets, w, w_offsets, steps)

    def run(
        self, b: Builder, x: Pointer, row_offsets: Sequence[Value], w: Pointer, w_offsets: Sequence[Value], steps: Value
    ) -> None:
        """Accumulate so many times `groups_per_step` groups."""
        at, end = Register("int64", 1, i64(0)), b.let(steps * self._step_bytes)
        self._run_on(b, x, row_offsets, w, w_offsets, at, end)

    @property
    def _step_bytes(self) -> int:
        """Of a row."""
        return self.groups_per_step * self.group * BITS[self.dtype] // 8

    def _run_on(
        self, b: Builder, x: Pointer, row_offsets: Sequence[Value], w: Pointer, w_offsets: Sequence[Value],
        at: Register, end: Value,
    ) -> None:  # fmt: skip
        """`run`, of the steps at bytes [`at`, `end`) of rows; it leaves `at` where they end."""
        with b.loop(at.get() < end):
            x_at, w_at = at.get(), at.get() * self.columns
            self.step(x, [o + x_at for o in row_offsets], w, [o + w_at for o in w_offsets], self.groups_per_step)
            at.set(at.get() + self._step_bytes)

    def walk(
        self, b: Builder, x: Pointer, row_offsets: Sequence[Value], w: Pointer, w_offsets: Sequence[Value], walk: Walk
    ) -> None:
        """Accumulate all runs."""
        raise AssertionError("this tile takes run by run")

    def hold(self, x: Pointer, row_offsets: Sequence[Value]) -> None:
        """Load the rows' only step."""
        raise AssertionError("this tile reads rows where they are")

    def multiply_held(self, w: Pointer, w_offset: Value, *, fitting: bool) -> None:
        """Accumulate the step that is held; `fitting`: it fits int16."""
        raise AssertionError("this tile reads rows where they are")

    def end(self, b: Builder) -> None:  # noqa: B027 - most tiles have nothing to do
        """All groups are accumulated: what is left to do before the sums are asked for."""

    def row_pair(self, r: int) -> Sequence[Value]:
        """The sums of the rows r and r + 1, `mixed`: channels in order."""
        raise AssertionError("rows have registers of their own")

    def in_turn(self, sums: Sequence[Value]) -> Sequence[Value]:
        """A row's sums. Where the order of instructions matters, loads and stores that follow, and what is computed of
        these sums, come behind the loads and stores before."""
        return sums

    @abstractmethod
    def row(self, r: int) -> Sequence[Value]:
        """Row r's sums: for each block `Isa.vectors` of `Isa.lanes` (or one of float16), channels in order."""


class Isa(ABC):
    """One instruction set's vectors. `lanes` is the number of 32-bit elements in a register; a kernel works on a block
    of `columns` channels at a time, which `vectors` of them hold. Two are a full register of int16 in the epilogue; one
    is what the widest registers of a target have, whose families of kernels are those that use `vectors`."""

    name: str
    lanes: int
    vectors: int = 2
    registers: int
    """How many vectors the registers hold."""
    addresses: int = 16
    """How many rows of a tile have their addresses in registers: of more, they are in memory anyway."""
    spans: bool = False
    """Whether lines of the first cache that are read again are worth a loop: cores in order fetch them ahead."""
    renames: bool = False
    """Whether a copy of a register costs nothing."""
    reloads: bool = False
    """Whether vectors of what functions compute with are better loaded each time than copied."""
    instructions: str = ""
    """Functions in LLVM's language that `load_again` and `in_turn` call."""
    second_bias: bool = False
    """Whether blocks of int8 weights have a second bias, for tiles that are `unsigned`."""
    has_fixed_point: bool = False
    """Whether `multiply_fixed` exists."""
    has_dot: bool = False
    """Whether `load_half`, `interleave4` and `dot4` exist."""
    has_unsigned_dot: bool = False
    """Whether `dot4` multiplies x + 128, which is unsigned: then there are `dot_data` and `dot_start`."""
    computes_halves: bool = False
    """Whether float16 is computed in, in vectors of 2*lanes."""

    @property
    def columns(self) -> int:
        """Channels of a block."""
        return self.vectors * self.lanes

    def load_half(self, p: Pointer, offset: Value) -> Value:
        """int8: the `columns` elements at byte `offset` of p, as `interleave4` takes them."""
        raise AssertionError(f"{self.name} has no dot product")

    def interleave4(self, rows: Sequence[Value | None]) -> Sequence[Value]:
        """Four times what `load_half` gives (None: zeros) -> `vectors` of int8 x 4*lanes in which the four values of a
        channel lie side by side."""
        raise AssertionError(f"{self.name} has no dot product")

    def dot_data(self, quad: Value) -> Value:
        """What `interleave4` gives, of data, as the first factor of `dot4`."""
        return quad

    def dot_start(self, bias: Value, quads: Sequence[Value]) -> Value:
        """int32 x lanes: the bias - 128 * the sums of the weights `quads`."""
        raise AssertionError(f"{self.name} multiplies data as it is")

    def dot4(self, acc: Value, a: Value, b: Value) -> Value:
        """int32 x lanes: acc + the sum of four products a lane, of `dot_data` and weights."""
        raise AssertionError(f"{self.name} has no dot product")

    def load_again(self, p: Pointer, offset: Value, dtype: str, vectors: int) -> list[Value]:
        """int32 or float32 x lanes, one or two of them that follow each other: loaded here where a load costs less than
        a copy of what has been loaded before."""
        return [p.load(offset + v * self.lanes * 4, dtype, self.lanes) for v in range(vectors)]

    def in_turn(self, values: Sequence[Value]) -> Sequence[Value]:
        """float32 x lanes: `Tile.in_turn` of results that no tile has computed."""
        return values

    def multiply_fixed(self, a: Value, b: Value) -> Value:
        """int32 x lanes: a * b / 2^31, rounded to the nearest integer."""
        raise AssertionError(f"{self.name} has no products of fractions")

    @abstractmethod
    def int8_tile(self, rows: int, *, paired: bool, full_range: bool, even: bool) -> Tile:
        """int8 x int8 -> int32, of at most `rows` rows and, if `paired`, two blocks. `full_range`: weights may be -128
        (otherwise they lie in [-127, 127]). `even`: all runs are multiples of two groups, and not too long to be
        gathered."""

    def held_tile(self) -> Tile | None:
        """The tile that `holds` steps of int8, for weights in [-127, 127], where there is one."""
        return None

    @abstractmethod
    def float_tile(self, rows: int, *, paired: bool) -> Tile:
        """float32 multiply-accumulate, likewise."""

    def half_tile(self, rows: int, *, paired: bool) -> Tile:
        """float16 operands, likewise. Its sums are float16 if `computes_halves`, in one vector of 2*lanes a block,
        otherwise float32."""
        raise AssertionError(f"{self.name} has no tile for float16")

    def clamp(self, value: Value, low: float, high: float) -> Value:
        """float32 x lanes within [low, high], of which either may be infinite; NaN stays. If a bound is 0, none is
        -0."""
        if low > -math.inf:
            value = self.at_least(value, const(low, "float32", self.lanes))
        if high < math.inf:
            value = self.at_most(value, const(high, "float32", self.lanes))
        return value

    def at_least(self, value: Value, bound: Value) -> Value:
        """float32 x lanes: the larger one; NaN stays. If a bound is 0, no value is -0."""
        return keep(tirx.Select(bound > value, bound, value))

    def at_most(self, value: Value, bound: Value) -> Value:
        """float32 x lanes: the smaller one; NaN stays. If a bound is 0, no value is -0."""
        return keep(tirx.Select(bound < value, bound, value))

    @abstractmethod
    def round_to_int(self, value: Value) -> Value:
        """float32 x lanes -> int32 x lanes: half to even, saturating."""

    @abstractmethod
    def round_within(self, value: Value, low: Value, high: Value) -> Value:
        """As `round_to_int`, of what is first clamped to [low, high], which int32 holds; no NaN."""

    @abstractmethod
    def round_real(self, value: Value) -> Value:
        """As `round_to_int`, for any float32: NaN gives 0."""

    @abstractmethod
    def narrow16(self, *values: Value) -> Value:
        """`vectors` of int32 x lanes -> int16 x columns, saturating."""

    @abstractmethod
    def narrow8(self, value: Value) -> Value:
        """int16 x columns -> int8 x columns, saturating."""

    def load_codes(self, p: Pointer, offset: Value, blocks: int) -> list[Value]:
        """int8 x columns of neighbouring blocks."""
        codes = Register("int8", blocks * self.columns, p.load(offset, "int8", blocks * self.columns)).get()
        return [shuffle([codes], range(i * self.columns, (i + 1) * self.columns)) for i in range(blocks)]

    def below(self, zero: Value, codes: Value) -> Sequence[Value]:
        """zero - code: an int32 and int8 x columns -> int32, in `vectors`."""
        return [splat(zero, self.lanes) - code for code in self.widen32(self.widen16(codes))]

    def narrow32(self, *values: Value) -> Value:
        """`vectors` of int32 x lanes -> int8 x columns, saturating."""
        return self.narrow8(self.narrow16(*values))

    @abstractmethod
    def add16(self, a: Value, b: Value) -> Value:
        """int16 x columns: saturating sum."""

    @abstractmethod
    def multiply16(self, a: Value, b: Value) -> Sequence[Value]:
        """int16 x columns -> their int32 products, in `vectors`."""

    @abstractmethod
    def multiply8(self, a: Value, b: Value) -> Value:
        """int8 x columns -> int16 x columns products (exact: -128 * -128 fits)."""

    @abstractmethod
    def widen16(self, value: Value) -> Value:
        """int8 x columns -> int16 x columns."""

    @abstractmethod
    def widen32(self, value: Value) -> Sequence[Value]:
        """int16 x columns -> int32, in `vectors`."""

    @abstractmethod
    def load_table(self, table: Pointer, offset: Value) -> Sequence[Value]:
        """A 256-byte table in the form that `lookup` wants."""

    @abstractmethod
    def lookup(self, table: Sequence[Value], index: Value) -> Value:
        """int8 x 4*lanes -> table[index + 128] per lane."""

    def look_up(self, table: Pointer, offset: Value, indices: Sequence[Value]) -> list[Value]:
        """`lookup` of several vectors in the table at byte `offset`."""
        loaded = self.load_table(table, offset)
        return [self.lookup(loaded, index) for index in indices]
