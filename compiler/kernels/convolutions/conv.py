"""Dense convolution and matrix product by implicit GEMM: one kernel family for both.

An output pixel's receptive field is `taps_y * taps_x` runs of contiguous channels-last elements (a run covers a whole
kernel row where the dilation is 1), so no im2col buffer exists: each of the tile's rows is an offset into the input,
advanced tap by tap. Padding is part of the input's buffer (its halo), and a matrix product is a convolution with one
tap. Weights are packed by `lower/nodes/pack.py`, block by block of `Tile.columns` output channels:

    bias[columns] (int32 | float32), multiplier[columns] (int8 only: float32, or int32 steps of 2^-31), second
    bias[columns] (int32, `Isa.second_bias` only: bias - 128 * the sum of the weights),
    taps x groups x [columns][group]

A block of `marked` kernels ends with

    a byte for each step of `STEPS` groups, or each run of `THREE`: 1 where it fits int16, else 0; then zeros, to a
    multiple of 16 bytes

A step fits where its products with any data do, added up over its groups for each column and place in a group: where
the sizes of these weights add up to at most `FITTING`.

Where results are `scaled`, the bias is float32 and the multipliers are the scales of the columns. float16 data and
weights have a float32 bias.

Computed weights are packed at run time, by `kernels/convolutions/pack.py`. A last block that is not full starts at
channels - columns instead and computes some channels twice; only the `narrow` kernels, for possibly fewer channels than
columns, copy their results element by element.
"""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace

from ..emit.builder import BITS, Builder, Pointer, Register, Value, const, define, i64, splat
from ..emit.isa import Isa, Tile
from ..emit.tir import tirx
from ..emit.walk import Walk
from . import gathered
from .contraction import OPERANDS as SHARED_OPERANDS
from .contraction import ContractionSpec, dense_header_bytes, header_bytes
from .deep import Part, parts
from .places import bases, batch, pixel_offsets
from .rescale import general
from .results import Results

OPERANDS = (*SHARED_OPERANDS, "beside")
"""`beside`: the thread's memory for copies, or what `rows` have; never both."""

PARAMS = (
    "m_begin", "m_end", "m_tiles", "out_width",  # output pixels [m_begin, m_end) of this step, in tiles of rows
    "x_row", "x_pixel",  # bytes from one output row's / pixel's receptive field to the next
    "taps_y", "tap_y", "taps_x", "tap_x", "groups",  # runs, bytes between them, groups in a run
    "y_row", "y_pixel", "r_row", "r_pixel",  # bytes between rows / pixels of the output and the residual
    "channels", "blocks", "blocks_per_tile", "block_bytes",
    "copied",  # register tiles of rows that are copied at once, where there are copies
)  # fmt: skip

BATCH = ("parts", "batch_1", "x_0", "x_1", "w_0", "w_1", "y_0", "y_1", "r_0", "r_1")
"""Of a batch of products: ranges of blocks in each, inner extent, bytes from one to the next (outer, inner)."""

ROWS = ("rows_at", "rows_0", "rows_1", "rows_row", "rows_pixel")
"""Where the number of a pixel that is added to all its sums lies."""


@dataclass(frozen=True, kw_only=True)
class ConvSpec(ContractionSpec):
    """Which member of the family. `tile_rows`: output pixels in one scheduling tile, the same for all variants of a
    bundle; an ISA whose register tile is smaller covers it in several passes. `paired`: channels are whole pairs of
    blocks, so the register tile may take two at once. `pointwise`: a single tap, so no loops over taps. `whole`: runs
    are whole steps of `STEPS` groups. `even`: all of a row of int8 can be `gathered`, runs are multiples of two groups.
    `short`: the groups of a run that is a kernel's row, where they are few, else 0.
    `deep`: float32 whose runs are many or long, whole steps, and taken in parts (`deep.py`).
    `marked`: `whole`, or `short` of `THREE`, and blocks say which steps fit int16. `fitting`: likewise, and all do.
    `held`: `pointwise`, and runs are one step, which may stay in registers while blocks pass.
    `batched`: tiles of several products, of which each has its own data and weights.
    `rows`: each pixel has an int32 (operand "beside") that is added to all its sums, or, where they are `scaled`, a
    float32 that multiplies them, in the same memory as the data."""

    tile_rows: int
    paired: bool = False
    pointwise: bool = False
    whole: bool = False
    even: bool = False
    short: int = 0
    deep: bool = False
    marked: bool = False
    fitting: bool = False
    held: bool = False
    batched: bool = False
    rows: bool = False

    @property
    def symbol(self) -> str:
        """The kernel's name in plans, symbols and profiles."""
        shape = ["gemm" if self.pointwise else "conv", f"m{self.tile_rows}", *["pair"] * self.paired]
        shape += [f"runs{self.short}"] * (self.short > 0)
        shape += ["whole"] * self.whole + ["even"] * self.even + ["deep"] * self.deep
        shape += ["marked"] * self.marked + ["fitting"] * self.fitting + ["held"] * self.held
        return self.name(*shape, *["batch"] * self.batched, *["rows"] * self.rows)

    @property
    def params(self) -> tuple[str, ...]:
        """Names of the kernel's parameters, in order."""
        return PARAMS + BATCH * self.batched + ROWS * self.rows + self.sum_params + self.epilogue_params

    def tile(self, isa: Isa) -> Tile:
        """The register tile that `isa` uses for this kernel."""
        if self.dtype == "int8":
            held = isa.held_tile() if self.held else None
            plain = isa.int8_tile(self.tile_rows, paired=self.paired, full_range=self.full_range, even=self.even)
            return held or plain
        if self.dtype == "float16":
            return isa.half_tile(self.tile_rows, paired=self.paired)
        return isa.float_tile(self.tile_rows, paired=self.paired)

    def seen_by(self, isa: Isa) -> "ConvSpec":
        """The member that serves this one too: the most general one, unless a register tile takes pairs of blocks or
        gathers rows or walks over taps. Others are rare, or run on cores where speed is not worth as much code."""
        tile = self.tile(isa)
        if self.scaled and self.scaling == "offset" and not tile.gathers:
            return replace(self, scaling="float").seen_by(isa)
        if tile.holds:
            return replace(self.plain, paired=False, whole=False, even=False, marked=False)
        if tile.walks and self.walkable:
            marked, fitting = self.marked and tile.marks, self.fitting and tile.marks
            whole = self.whole and (marked or fitting or not tile.marks)
            even, paired = (self.even or self.whole) and not (whole or self.short), self.paired and tile.blocks == 2
            form = self if paired else self.plain
            return replace(form, marked=marked, fitting=fitting, whole=whole, even=even, paired=paired, held=False)
        untold = replace(self, marked=False, fitting=False, held=False)
        if tile.gathers:
            return replace(untold.plain, paired=False, whole=False, short=0)
        if tile.blocks == 2:
            short = self.short if tile.unrolls else 0
            return replace(untold, even=False, short=short, deep=self.deep and tile.resumes)
        return replace(
            untold, paired=False, whole=False, even=False, short=0, deep=self.deep and tile.resumes,
            scaling=general(self.scaling), sum_form=self.plain.sum_form,
        )  # fmt: skip

    @property
    def walkable(self) -> bool:
        """Whether a tile may take all runs at once."""
        return self.parts == 1 and bool(self.whole or self.short or self.even)

    def row_term(self, b: Builder, isa: Isa, offset: Value) -> Value:
        """What a pixel has beside its data, for a vector of sums."""
        x, beside = b.pointer("x"), b.pointer("beside")
        value = x.load(offset, "float32") if self.scaled else beside.load(offset, "int32")
        return b.let(splat(value, isa.lanes))

    @property
    def general(self) -> "ConvSpec":
        """The member that serves this one too: any number of groups, but for short runs, of which loops take twice as
        long, and of floats any number of blocks."""
        paired = self.paired and self.dtype == "int8"
        untold = replace(self, marked=False, fitting=False, held=False)
        least = replace(untold, paired=paired, whole=False, even=False, deep=False)
        return replace(least, scaling=general(self.scaling), sum_form=self.plain.sum_form)


SHORT = 12
"""The most groups in a `short` run."""

PASS = 24576
"""Bytes of weights that all register tiles of a scheduling tile take before the next: they stay in the first cache."""

STEPS = {"int8": 4, "float32": 4, "float16": 8}
"""Groups in a `whole` step of each dtype: a multiple of every register tile's `groups_per_step`."""

THREE = 3
"""Groups of a `short` run of int8 that may be told to fit: a row of 3 x 3 pixels of three channels."""

FITTING = (2**15 - 1) // 128
"""Data are at most 128."""


def build(spec: ConvSpec, isa: Isa) -> object:
    """The TIR function of `spec` on `isa`."""
    tile = spec.tile(isa)
    body, literals = gathered.body if tile.gathers else _body, spec.literals(isa)
    instructions = tile.instructions + isa.instructions + (literals.instructions if literals else "")
    return define(spec.symbol, OPERANDS, spec.params, lambda b: body(b, spec, isa), instructions)


def _body(b: Builder, spec: ConvSpec, isa: Isa) -> None:
    tile = spec.tile(isa)
    per_pass = b.let(tirx.max(tirx.truncdiv(i64(PASS // tile.blocks), b.param("block_bytes")), i64(1)) * tile.blocks)
    next_tile, m_tiles = Register("int64", 1, b.tile_begin), b.param("m_tiles")
    with b.loop(next_tile.get() < b.tile_end):
        t = b.let(next_tile.get())
        pixels = b.let(tirx.truncmod(t, m_tiles) * spec.tile_rows + b.param("m_begin"))
        part = b.let(tirx.truncdiv(t, m_tiles))
        begins = bases(b, spec.params)
        together = b.let(tirx.Select(tirx.EQ(m_tiles, i64(1)), b.tile_end - t, i64(1)))  # neighbours of the same pixels
        if spec.batched:
            begins = batch(b, spec.params, b.let(tirx.truncdiv(part, b.param("parts"))))
            part = b.let(tirx.truncmod(part, b.param("parts")))
            together = b.let(tirx.min(together, b.param("parts") - part))
        next_tile.set(t + together)
        first_block = b.let(part * b.param("blocks_per_tile"))
        last_block = b.let(tirx.min(first_block + together * b.param("blocks_per_tile"), b.param("blocks")))
        if tile.rows == spec.tile_rows:
            _rows(b, spec, isa, begins, pixels, first_block, last_block)
            return
        passes = tirx.truncdiv(last_block - first_block + (per_pass - 1), per_pass)
        with b.range(0, passes) as number:
            begin = b.let(first_block + number * per_pass)
            end = b.let(tirx.min(begin + per_pass, last_block))
            runs = parts(b, tile, spec.tile_rows, pointwise=spec.pointwise) if spec.deep else nullcontext()
            with runs as part, b.range(0, spec.tile_rows // tile.rows) as run:
                first = b.let(pixels + run * tile.rows)
                with b.when(first < b.param("m_end")):
                    _rows(b, spec, isa, begins, first, begin, end, None if part is None else (part, run))


def _rows(
    b: Builder, spec: ConvSpec, isa: Isa, begins: Mapping[str, Value], first: Value, first_block: Value,
    last_block: Value, run_part: tuple[Part, Value] | None = None,
) -> None:  # fmt: skip
    """`tile.rows` output pixels from `first` on, over a range of channel blocks; or a part of their runs, for one block
    or pair of blocks and the register tile of this number."""
    tile = spec.tile(isa)
    x, w, aux, y = (b.pointer(name) for name in SHARED_OPERANDS)
    places = ["x", "y", *["r"] * spec.residual, *["rows"] * spec.rows]
    strides = [(begins[p], f"{p}_row", f"{p}_pixel") for p in places]
    table = pixel_offsets(b, first, tile.rows, strides, looped=tile.rows > isa.addresses)
    offsets = dict(zip(places, table, strict=True))
    terms = [spec.row_term(b, isa, o) for o in offsets.get("rows", [])]
    epilogue = spec.epilogue(b, isa)
    element = BITS[spec.y_dtype] // 8
    columns = i64(tile.columns)
    if spec.held:
        tile.hold(x, offsets["x"])
    last = b.opaque(tirx.max(b.param("channels") - columns, i64(0)))  # or LLVM looks for the maximum in the loop
    w_at = Register("int64", 1, begins["w"] + first_block * b.param("block_bytes"))
    next_channel, end = Register("int64", 1, first_block * columns), b.let(last_block * columns)
    with b.loop(next_channel.get() < end):
        w_blocks = [b.let(w_at.get() + i * b.param("block_bytes")) for i in range(tile.blocks)]
        channel = b.let(next_channel.get() if spec.paired else tirx.min(next_channel.get(), last))
        tile.start(_bias(spec, isa, tile, w, w_blocks))
        head = dense_header_bytes(spec.dtype, isa)
        w_firsts = [b.let(o + head) for o in w_blocks]
        if run_part is None:
            _accumulate(b, spec, tile, x, offsets["x"], w, w_firsts)
        else:
            run_part[0].accumulate(b, tile, run_part[1], x, offsets["x"], w, w_firsts)
        tile.end(b)
        with nullcontext() if run_part is None else b.when(run_part[0].last):
            results = Results(b, spec, isa, tile, epilogue, w_blocks)
            y_offsets = [b.let(o + channel * element) for o in offsets["y"]]
            r_offsets = [b.let(o + channel * element) for o in offsets["r"]] if spec.residual else [None] * tile.rows
            results.store(terms, (aux, r_offsets), (y, y_offsets))
        w_at.set(b.opaque(w_at.get() + tile.blocks * b.param("block_bytes")))  # no product with its number
        next_channel.set(next_channel.get() + tile.blocks * columns)


def _bias(spec: ConvSpec, isa: Isa, tile: Tile, w: Pointer, w_blocks: Sequence[Value]) -> list[Value]:
    """What the sums of neighbouring blocks start from."""
    if spec.scaled and not tile.unsigned:
        return [const(0, "int32", isa.lanes)] * (isa.vectors * len(w_blocks) * (tile.rows if tile.own_bias else 1))
    if tile.own_bias:
        return [
            v for _ in range(tile.rows) for o in w_blocks for v in isa.load_again(w, o, spec.bias_dtype, isa.vectors)
        ]
    first = header_bytes(spec.dtype, tile.columns) if tile.unsigned else 0
    places = [o + first + v * isa.lanes * 4 for o in w_blocks for v in range(isa.vectors)]
    return [w.load(place, spec.bias_dtype, isa.lanes) for place in places]


def _accumulate(
    b: Builder, spec: ConvSpec, tile: Tile, x: Pointer, rows: Sequence[Value], w: Pointer, w_firsts: Sequence[Value]
) -> None:
    """Add up all taps' runs."""
    if spec.held:
        tile.multiply_held(w, w_firsts[0], fitting=spec.fitting)
        return
    if tile.walks and spec.walkable:
        count_y, apart_y, count_x, apart_x, groups = map(b.param, ("taps_y", "tap_y", "taps_x", "tap_x", "groups"))
        step, looped = 4 if spec.whole else 2, not spec.pointwise
        walk = Walk(looped, count_y, apart_y, count_x, apart_x, groups, step, spec.short, spec.marked, spec.fitting)
        tile.walk(b, x, rows, w, w_firsts, walk)
        return
    if spec.pointwise and spec.parts == 1:
        accumulate_run(b, tile, x, rows, w, w_firsts, whole=spec.whole, begins=spec.whole)
        return
    if spec.short:
        _short_runs(b, spec, tile, x, rows, w, w_firsts)
        return
    run_bytes = b.param("groups") * (tile.columns * tile.group * BITS[tile.dtype] // 8)
    with b.range(0, b.param("taps_y")) as ty, b.range(0, b.param("taps_x")) as tx:
        tap = b.let(ty * b.param("tap_y") + tx * b.param("tap_x"))
        starts, number = [b.let(r + tap) for r in rows], (ty * b.param("taps_x") + tx) * spec.parts
        for part in range(spec.parts):
            w_starts = [b.let(o + (number + part) * run_bytes) for o in w_firsts]
            accumulate_run(b, tile, x, starts, w, w_starts, whole=spec.whole)


def _short_runs(
    b: Builder, spec: ConvSpec, tile: Tile, x: Pointer, rows: Sequence[Value], w: Pointer, w_firsts: Sequence[Value]
) -> None:
    """Add up runs of `spec.short` groups, each without a loop."""
    group_bytes = tile.group * BITS[tile.dtype] // 8
    x_at, w_at = (Register("int64", 1, i64(0)) for _ in range(2))
    size = spec.short * tile.columns * group_bytes
    end = b.let(b.param("taps_y") * size)
    with b.loop(w_at.get() < end):
        for first in range(0, spec.short, tile.groups_per_step):
            groups = min(tile.groups_per_step, spec.short - first)
            starts = [r + x_at.get() for r in rows]
            tile.step(x, starts, w, [o + w_at.get() + first * tile.columns * group_bytes for o in w_firsts], groups)
            last = first + groups == spec.short
            by = b.param("tap_y") - first * group_bytes if last else i64(groups * group_bytes)
            x_at.set(b.opaque(x_at.get() + by))  # of steps that LLVM sees together, it loads rows too early
        w_at.set(b.opaque(w_at.get() + size))


def accumulate_run(
    b: Builder, tile: Tile, x: Pointer, starts: Sequence[Value], w: Pointer, w_starts: Sequence[Value], *, whole: bool,
    begins: bool = False,
) -> None:  # fmt: skip
    """Add up one run of `groups` groups: whole steps, then, unless they are all, what is left by the bits of its
    number. `begins`: it is the only one, and not empty."""
    group_bytes, step, groups = tile.group * BITS[tile.dtype] // 8, tile.groups_per_step, b.param("groups")
    run = tile.begin if begins else tile.run
    run(b, x, starts, w, w_starts, b.let(tirx.shift_right(groups, i64(step.bit_length() - 1))))
    part = 0 if whole else step // 2
    while part:
        with b.when((groups & part) != 0):
            before = groups & -(2 * part)
            at, w_at = b.let(before * group_bytes), b.let(before * (tile.columns * group_bytes))
            tile.step(x, [s + at for s in starts], w, [s + w_at for s in w_starts], part)
        part //= 2
