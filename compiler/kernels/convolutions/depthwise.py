"""Depthwise convolution: one filter a channel, channels in vector lanes.

A tile is some output rows of some channel blocks: tiles = row_tiles * ceil(blocks / tile_blocks), times the images of a
batch. Channel blocks are the outer loop, so a block's filter stays in registers while the rows' pixels stream by,
some at a time. Of float32 that is streamed, where the ISA `spans`, so many pixels of the rows are taken by all blocks
before the next ones: several blocks find their channels in a line of the cache. Small kernels are unrolled
(`DepthwiseSpec.kernel`), int8 ones streamed where there are registers enough (`depthwise_stream.py`); any other kernel
size, stride or dilation takes the looped form.

Packed weights, a block of `2 * lanes` channels at a time (`lower/nodes/pack.py`), the last block overlapping as in
conv.py:

    bias[columns] (int32 | float32), multiplier[columns] (float32, int8 only), taps x [columns]
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace

from ..emit.builder import BITS, Builder, Pointer, Register, Value, cast, define, i64, shuffle
from ..emit.halves import load
from ..emit.isa import Isa
from ..emit.tir import tirx
from .contraction import OPERANDS, ContractionSpec, header_bytes, store_partial
from .depthwise_stream import Bias, DotTaps, FloatTaps, HalfTaps, LargeDotTaps, StreamedTaps, WideningTaps
from .depthwise_sums import FloatSums, HalfSums, Int8Sums, Sums
from .rescale import general

STREAMED = 32
"""Where there are fewer registers, streamed columns would go to the stack."""

PIXELS = 4
"""Output pixels computed together are so many vectors of sums, or, of floats where there are registers enough, so many
pixels: fewer would wait for each other."""

HALF_CHAINS = 2
"""Of sums of a pixel of a large kernel in float16, which are one vector: its products would wait for each other."""

PARAMS = (
    "out_height", "out_width", "tile_rows", "row_tiles", "tile_blocks",
    "x_row", "x_pixel", "taps_y", "tap_y", "taps_x", "tap_x",
    "y_row", "y_pixel", "r_row", "r_pixel", "channels", "blocks", "block_bytes",
)  # fmt: skip

SPAN = ("span",)
"""Of float32."""

BATCH = ("block_tiles", "x_image", "y_image", "r_image")
"""Of a batch of images: ranges of blocks in each, bytes from one to the next."""


@dataclass(frozen=True, kw_only=True)
class DepthwiseSpec(ContractionSpec):
    """Which member of the family. `kernel` = (height, width, stride of both) is unrolled, with dilation 1, for at least
    two output rows; None: loops. Only these take weights in more than one part. `batched`: tiles of several images."""

    kernel: tuple[int, int, int] | None
    batched: bool = False

    @property
    def symbol(self) -> str:
        """The kernel's name in plans, symbols and profiles."""
        kernel = "loop" if self.kernel is None else "{}x{}s{}".format(*self.kernel)
        return self.name("dwconv", kernel, *["batch"] * self.batched)

    @property
    def params(self) -> tuple[str, ...]:
        """Names of the kernel's parameters, in order."""
        return PARAMS + SPAN * (self.dtype == "float32") + BATCH * self.batched + self.epilogue_params

    def seen_by(self, isa: Isa) -> "DepthwiseSpec":
        """The plain member: every ISA has code of its own for it."""
        return self.plain

    @property
    def general(self) -> "DepthwiseSpec":
        """The member that serves this one too: larger sums."""
        return replace(self.plain, scaling=general(self.scaling))


def build(spec: DepthwiseSpec, isa: Isa) -> object:
    """The TIR function of `spec` on `isa`."""
    return define(spec.symbol, OPERANDS, spec.params, lambda b: _Depthwise(b, spec, isa).body(), isa.instructions)


def _streamed(spec: DepthwiseSpec, isa: Isa) -> type[StreamedTaps] | None:
    """How the taps are streamed; None: they are not."""
    if spec.kernel is None or isa.registers < STREAMED:
        return None
    if spec.dtype == "float16":
        return HalfTaps if isa.computes_halves and spec.kernel[0] == 3 else None
    if spec.dtype == "float32":
        return FloatTaps if spec.kernel[0] == 3 and not spec.narrow else None
    if spec.kernel[0] == 3:
        return DotTaps if isa.has_dot else WideningTaps
    return LargeDotTaps if isa.has_dot else None


class _Depthwise:
    def __init__(self, b: Builder, spec: DepthwiseSpec, isa: Isa) -> None:
        self.b, self.spec, self.isa = b, spec, isa
        self.columns, self.vectors = isa.columns, isa.vectors
        self.element = BITS[spec.dtype] // 8
        self.in_halves = spec.dtype == "float16" and isa.computes_halves
        self.x, self.w, self.residual, self.y = (b.pointer(name) for name in OPERANDS)
        self.epilogue, self.width = spec.epilogue(b, isa), b.param("out_width")

    def body(self) -> None:
        b = self.b
        with b.tiles() as t:
            first_row = b.let(tirx.truncmod(t, b.param("row_tiles")) * b.param("tile_rows"))
            part = b.let(tirx.truncdiv(t, b.param("row_tiles")))
            images = dict.fromkeys("xyr", i64(0))
            if self.spec.batched:
                image = b.let(tirx.truncdiv(part, b.param("block_tiles")))
                part = b.let(tirx.truncmod(part, b.param("block_tiles")))
                images = {k: b.let(image * b.param(f"{k}_image")) for k in images}
            first_block = b.let(part * b.param("tile_blocks"))
            rows = b.let(tirx.min(b.param("tile_rows"), b.param("out_height") - first_row))
            last_block = b.let(tirx.min(first_block + b.param("tile_blocks"), b.param("blocks")))
            operands = ("x", "y", *["r"] * self.spec.residual)
            with self.span() as pixel:
                begins = {k: b.let(images[k] + pixel * b.param(f"{k}_pixel")) for k in operands}
                self.blocks(first_row, rows, first_block, last_block, begins)

    def blocks(self, first_row: Value, rows: Value, first: Value, last: Value, begins: Mapping[str, Value]) -> None:
        """`rows` output rows of channel blocks [first, last), of operands that begin there."""
        b = self.b
        with b.range(first, last) as block:
            w_block = b.let(block * b.param("block_bytes"))
            channel = b.let(tirx.max(tirx.min(block * self.columns, b.param("channels") - self.columns), i64(0)))
            self.epilogue.prepare(self.w, w_block)
            self.rows(first_row, rows, {k: b.let(v + channel * self.element) for k, v in begins.items()}, w_block)

    @contextmanager
    def span(self) -> Iterator[Value]:
        """The first of the pixels of a row that are taken together, and in `width` how many there are."""
        b = self.b
        if not self.isa.spans or self.spec.dtype != "float32" or _streamed(self.spec, self.isa) is None:
            yield i64(0)
            return
        with b.range(0, tirx.truncdiv(self.width + b.param("span") - 1, b.param("span"))) as number:
            first = b.let(number * b.param("span"))
            self.width = b.let(tirx.min(b.param("span"), b.param("out_width") - first))
            yield first

    def rows(self, first: Value, count: Value, starts: Mapping[str, Value], w_block: Value) -> None:
        """`count` output rows of one channel block, which begins at `starts` in the image of each operand."""
        b, spec, isa = self.b, self.spec, self.isa
        form = _streamed(spec, isa)
        if form is not None:
            assert spec.kernel is not None
            self.vectors = isa.vectors if form.whole else 1
            parts = isa.vectors // self.vectors
            with b.range(0, parts) if parts > 1 else nullcontext(i64(0)) as part:
                at = b.let(part * (isa.lanes * 4))
                filters = b.let(w_block + at + header_bytes(spec.dtype, self.columns))
                taps = form(b, isa, self.x, self.w, filters, spec.kernel[2])
                places = {k: b.let(start + at) for k, start in starts.items()}
                self.streamed_rows(taps, first, count, places, b.let(w_block + at))
            return
        with b.range(first, first + count) as row:
            origins = {k: b.let(row * b.param(f"{k}_row") + start) for k, start in starts.items()}
            many = spec.dtype != "int8" and isa.registers >= STREAMED
            step = 1 if spec.kernel is None else PIXELS if many else PIXELS // isa.vectors
            self.columns_of_pixels(step, lambda px, n: self.pixels(px, n, origins, w_block), jumps=step > 2)

    def streamed_rows(
        self, taps: StreamedTaps, first: Value, count: Value, starts: Mapping[str, Value], w_block: Value
    ) -> None:
        """`rows` of a 3 x 3 kernel; of rows that are computed together, the last ones overlap with those before."""
        b, start = self.b, taps.start(lambda: self.bias(w_block))
        with b.range(0, tirx.truncdiv(count + (taps.rows - 1), i64(taps.rows))) as i:
            row = b.let(tirx.min(first + i * taps.rows, b.param("out_height") - taps.rows))
            numbers = [row + r for r in range(taps.rows)]
            rows = [{k: b.let(n * b.param(f"{k}_row") + start) for k, start in starts.items()} for n in numbers]
            taps.begin(rows[0]["x"])
            at = {k: Register("int64", 1, i64(0)) for k in ("x", "y", *["r"] * self.spec.residual)}
            self.columns_of_pixels(taps.pixels, lambda _, n: self.streamed(taps, at, n, rows, start))

    def streamed(
        self, taps: StreamedTaps, at: Mapping[str, Register], count: int, rows: Sequence[dict[str, Value]],
        start: Bias,
    ) -> None:  # fmt: skip
        """The next `count` output pixels, each of all rows; `at` says how far they are from a row's first. Activations
        beyond clamps are computed one after the other, or registers would not do."""
        b, in_turn = self.b, self.spec.curved and self.spec.dtype == "float32"
        pixels = [[self.accumulator(start(), looped=False) for _ in rows] for _ in range(count)]
        for sums in pixels:
            taps.add(sums, at["x"].get())
            for total, row in zip(sums, rows, strict=True):
                found = self.isa.in_turn(total.result()) if in_turn else total.result()
                self.store([found], [{k: row[k] + offset.get() for k, offset in at.items()}])
            for k, offset in at.items():
                offset.set(b.opaque(offset.get() + b.param(f"{k}_pixel")))

    def columns_of_pixels(self, step: int, emit: Callable[[Value, int], None], *, jumps: bool = False) -> None:
        """`step` pixels at a time, the rest one by one. With `jumps` the last step overlaps with the one before, and
        only less than a step is a rest."""
        b, width = self.b, self.width
        if jumps:
            steps = b.let(tirx.Select(width < step, i64(0), tirx.truncdiv(width + (step - 1), i64(step))))
        else:
            steps = b.let(tirx.truncdiv(width, i64(step)))
        with b.range(0, steps) as i:
            emit(b.let(tirx.min(i * step, width - step) if jumps else i * step), step)
        if step > 1:
            with b.range(steps * step, width) as px:
                emit(px, 1)

    def pixels(self, first: Value, count: int, rows: dict[str, Value], w_block: Value) -> None:
        """`count` neighbouring output pixels of one channel block."""
        b = self.b
        looped = self.spec.kernel is None or self.by_rows
        sums = [self.accumulator(self.bias(w_block), looped=looped) for _ in range(count)]
        origin = b.let(rows["x"] + first * b.param("x_pixel"))
        filters = b.let(w_block + header_bytes(self.spec.dtype, self.columns))
        if self.spec.kernel is None:
            self.looped_taps(sums[0], origin, filters)
        else:
            self.unrolled_taps(sums, origin, filters)
        places = [{k: row + (first + i) * b.param(f"{k}_pixel") for k, row in rows.items()} for i in range(count)]
        self.store([total.result() for total in sums], places)

    def accumulator(self, bias: Sequence[Value], *, looped: bool) -> Sums:
        """The sums of one pixel, bias included. `looped`: taps are added in a loop."""
        lanes = self.isa.lanes
        if self.spec.dtype == "int8":
            return Int8Sums(self.isa, bias, paired=not self.spec.full_range)
        if not self.in_halves:
            return FloatSums(lanes, bias)
        halves = cast(shuffle(bias, range(2 * lanes)), "float16", 2 * lanes)
        large = self.spec.kernel is not None and self.spec.kernel[0] > 3
        return HalfSums(2 * lanes, halves, looped=looped, chains=HALF_CHAINS if large else 1)

    def bias(self, w_block: Value) -> list[Value]:
        """The block's."""
        return self.isa.load_again(self.w, w_block, self.spec.bias_dtype, self.vectors)

    def store(self, results: Sequence[Sequence[Value]], places: Sequence[Mapping[str, Value]]) -> None:
        """Epilogue and store of pixels' sums; `places` are theirs in the operands."""
        b = self.b
        stores, offsets = [], []
        for total, place in zip(results, places, strict=True):
            r_offset = place["r"] if self.spec.residual else None
            stores.append(self.epilogue.finish(total, self.residual, r_offset))
            offsets.append(b.let(place["y"]))
        if self.spec.narrow:
            store_partial(b, self.y, offsets, stores, self.columns * self.element, self.element)
            return
        for offset, store in zip(offsets, stores, strict=True):
            store(self.y, offset)

    def load(self, p: Pointer, offset: Value) -> list[Value]:
        """One block of channels: a vector of int8 or of float16 that is computed in, or `vectors` of float32."""
        if self.spec.dtype == "int8" or self.in_halves:
            return [p.load(offset, self.spec.dtype, self.columns)]
        lanes = self.isa.lanes
        return [load(p, offset + v * lanes * self.element, self.spec.dtype, lanes) for v in range(self.isa.vectors)]

    def looped_taps(self, sums: Sums, origin: Value, filters: Value) -> None:
        b = self.b
        with b.range(0, b.param("taps_y")) as ty, b.range(0, b.param("taps_x")) as tx:
            x = [b.let(v) for v in self.load(self.x, origin + ty * b.param("tap_y") + tx * b.param("tap_x"))]
            tap = (ty * b.param("taps_x") + tx) * self.spec.parts
            size = self.columns * self.element
            sums.add([(x, self.load(self.w, filters + (tap + i) * size)) for i in range(self.spec.parts)])

    @property
    def by_rows(self) -> bool:
        """Whether the taps of a small kernel are added row by row in a loop: those that are many instructions, or of
        many pixels, for registers do not hold more anyway; a loop is no slower."""
        assert self.spec.kernel is not None
        few = self.isa.registers < STREAMED
        if self.spec.kernel[0] == 3:
            return few and self.spec.dtype == "int8"
        converted = self.spec.dtype == "float16" and not self.in_halves
        return few or converted or self.isa.vectors == 1

    def unrolled_taps(self, sums: Sequence[Sums], origin: Value, filters: Value) -> None:
        """All taps of a small kernel."""
        b = self.b
        assert self.spec.kernel is not None
        height, width, _ = self.spec.kernel
        if not self.by_rows:
            self.unrolled_rows(height, sums, origin, filters)
            return
        with b.range(0, b.param("taps_y")) as ty:
            row = b.let(origin + ty * b.param("tap_y"))
            self.unrolled_rows(1, sums, row, b.let(filters + ty * (width * self.columns * self.element)))

    def unrolled_rows(self, height: int, sums: Sequence[Sums], origin: Value, filters: Value) -> None:
        """The taps of `height` rows of the kernel; a column that several pixels need is loaded once."""
        b = self.b
        assert self.spec.kernel is not None
        _, width, stride = self.spec.kernel
        rows = [b.let(origin + ty * b.param("tap_y")) for ty in range(height)]
        columns = (len(sums) - 1) * stride + width
        x = {
            (ty, c): [b.let(v) for v in self.load(self.x, rows[ty] + c * b.param("tap_x"))]
            for ty in range(height)
            for c in range(columns)
        }
        taps = [(ty, tx) for ty in range(height) for tx in range(width)]
        size = self.columns * self.element
        for first in range(0, len(taps), 2):
            pair = taps[first : first + 2]
            weights = [[b.let(v) for v in self.load(self.w, filters + (first + i) * size)] for i in range(len(pair))]
            for p, total in enumerate(sums):
                total.add([(x[ty, p * stride + tx], w) for (ty, tx), w in zip(pair, weights, strict=True)])
