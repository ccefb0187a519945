"""A tile of a dense convolution whose register tile reads copies, of rows and of weights, in the order in which it
multiplies them. They are in scratch memory: rows are copied once for all blocks of channels, in one run of however many
a kernel has, and a block's weights once for as many register tiles of rows as there is room for."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ..emit.builder import BITS, Builder, Pointer, Register, Value, const, i64, shuffle
from ..emit.isa import Isa
from ..emit.quantization import OFFSET
from ..emit.tir import tirx
from .contraction import dense_header_bytes
from .places import bases, batch, pixel_offsets
from .results import Results

if TYPE_CHECKING:
    from .conv import ConvSpec

DEEPEST = 4608
"""Bytes of a row that are copied at most."""

MOST = 64 << 10
"""Bytes of copies for several register tiles at most: they stay in the first cache."""


def scratch_bytes(tiles: int, row_bytes: int, rows: int, columns: int) -> int:
    """What copies for so many register tiles of `rows` by `columns` take, of rows of `row_bytes` and of weights."""
    return (columns + tiles * rows) * row_bytes


def body(b: Builder, spec: "ConvSpec", isa: Isa) -> None:
    """The kernel's code. Tiles of the same pixels are neighbours, and taken at once."""
    per_tile, blocks, m_tiles = (b.param(name) for name in ("blocks_per_tile", "blocks", "m_tiles"))
    parts = b.let(tirx.truncdiv(blocks + per_tile - 1, per_tile))
    next_tile = Register("int64", 1, b.tile_begin)
    with b.loop(next_tile.get() < b.tile_end):
        t = b.let(next_tile.get())
        rest = b.let(tirx.truncdiv(t, parts))
        part = b.let(t - rest * parts)
        end = b.let(tirx.min(parts, part + b.tile_end - t))
        number = b.let(tirx.truncdiv(rest, m_tiles))
        begins = batch(b, spec.params, number) if spec.batched else bases(b, spec.params)
        first = b.let((rest - number * m_tiles) * spec.tile_rows + b.param("m_begin"))
        last_block = b.let(tirx.min(end * per_tile, blocks))
        _Gathered(b, spec, isa, begins).tile(first, b.let(part * per_tile), last_block)
        next_tile.set(t + end - part)


class _Gathered:
    def __init__(self, b: Builder, spec: "ConvSpec", isa: Isa, begins: Mapping[str, Value]) -> None:
        self._b, self._spec, self._isa, self._begins = b, spec, isa, begins
        self._registers, self._epilogue = spec.tile(isa), spec.epilogue(b, isa)
        self._runs = spec.tile_rows // self._registers.rows
        self._places = ["y", *["r"] * spec.residual, *["rows"] * spec.rows]
        self._offsets = b.stack(self._runs * len(self._places) * self._registers.rows * 8)
        self._copies = b.pointer("beside")
        self._bias = b.stack(self._registers.columns * 8)
        self._groups = b.let(b.param("groups") * (1 if spec.pointwise else b.param("taps_y") * b.param("taps_x")))
        self._groups = b.let(self._groups * spec.parts)
        self._row_bytes = b.let(self._groups * self._registers.group)
        self._rows = b.let(self._row_bytes * self._registers.columns)
        """Where the copies of rows begin, behind those of weights."""

    def tile(self, first: Value, first_block: Value, last_block: Value) -> None:
        """`spec.tile_rows` output pixels, as many at a time as there is room for, over a range of channel blocks."""
        b, rows = self._b, self._registers.rows
        end = b.let(tirx.min(first + self._spec.tile_rows, b.param("m_end")))
        at_once = b.param("copied")
        begin = Register("int64", 1, first)
        with b.loop(begin.get() < end):
            count = b.let(tirx.min(at_once, tirx.truncdiv(end - begin.get() + (rows - 1), i64(rows))))
            with b.range(0, count) as run:
                self._gather(run, b.let(begin.get() + run * rows))
            with b.range(first_block, last_block) as block:
                self._block(block, count)
            begin.set(begin.get() + at_once * rows)

    def _gather(self, run: Value, first: Value) -> None:
        """Copy the rows of `first` and the pixels behind it, and keep where their results lie."""
        b, spec, tile = self._b, self._spec, self._registers
        table = pixel_offsets(
            b,
            first,
            tile.rows,
            [(self._begins[p], f"{p}_row", f"{p}_pixel") for p in ("x", *self._places)],
            looped=False,
        )
        for number, offset in enumerate(offset for offsets in table[1:] for offset in offsets):
            self._offsets.store((run * (len(self._places) * tile.rows) + number) * 8, offset, "int64")
        x, groups = b.pointer("x"), b.param("groups")
        at = Register("int64", 1, self._rows_of(run))
        if spec.pointwise and spec.parts == 1:
            tile.gather(b, x, table[0], self._copies, at.get(), groups)
            return
        with b.range(0, b.param("taps_y")) as ty, b.range(0, b.param("taps_x")) as tx:
            tap = b.let(ty * b.param("tap_y") + tx * b.param("tap_x"))
            starts = [b.let(offset + tap) for offset in table[0]]
            for _ in range(spec.parts):  # whose weights follow each other
                tile.gather(b, x, starts, self._copies, at.get(), groups)
                at.set(at.get() + groups * (tile.group * tile.rows))

    def _rows_of(self, run: Value) -> Value:
        """Where the copies of a register tile's rows begin."""
        return self._rows + run * (self._registers.rows * self._row_bytes)

    def _block(self, block: Value, count: Value) -> None:
        """A block of channels of `count` register tiles."""
        b, tile, w = self._b, self._registers, self._b.pointer("w")
        w_block = b.let(self._begins["w"] + block * b.param("block_bytes"))
        tile.arrange(b, w, w_block + dense_header_bytes(self._spec.dtype, self._isa), self._copies, self._groups)
        self._keep_bias(w_block)
        results = Results(b, self._spec, self._isa, tile, self._epilogue, [w_block])
        channel = b.let(tirx.max(tirx.min(block * tile.columns, b.param("channels") - tile.columns), i64(0)))
        with b.range(0, count) as run:
            tile.start([v for _ in range(0, tile.rows, 2) for v in self._biases()])
            tile.multiply(b, self._copies, b.let(self._rows_of(run)), self._copies, self._groups)
            results.store(*self._operands(run, channel))

    def _keep_bias(self, w_block: Value) -> None:
        """As the sums of a pair of rows begin."""
        b, lanes = self._b, self._isa.lanes
        start = const(OFFSET if self._spec.scaling == "offset" else 0, "int32", lanes)
        for number in range(4):
            half = b.let(b.pointer("w").load(w_block + number // 2 * (lanes * 4), "int32", lanes))
            pair = shuffle([half], [number % 2 * 2, number % 2 * 2 + 1] * 2)
            value = start if self._spec.scaled else pair
            self._bias.store(i64(number * lanes * 4), value, "int32", lanes)

    def _biases(self) -> list[Value]:
        step = self._isa.lanes * 4
        return [v for at in (0, 2 * step) for v in self._isa.load_again(self._bias, i64(at), "int32", 2)]

    def _operands(
        self, run: Value, channel: Value
    ) -> tuple[Sequence[Value], tuple[Pointer, Sequence[Value | None]], tuple[Pointer, Sequence[Value]]]:
        """What `Results.store` takes."""
        b, spec, rows = self._b, self._spec, self._registers.rows
        element = BITS[spec.y_dtype] // 8

        def offsets(name: str, more: Value) -> list[Value]:
            first = run * (len(self._places) * rows) + self._places.index(name) * rows
            return [b.let(self._offsets.load((first + i) * 8, "int64") + more) for i in range(rows)]

        terms = [spec.row_term(b, self._isa, o) for o in (offsets("rows", i64(0)) if spec.rows else [])]
        residual: Sequence[Value | None] = offsets("r", channel * element) if spec.residual else [None] * rows
        return terms, (b.pointer("aux"), residual), (b.pointer("y"), offsets("y", channel * element))
