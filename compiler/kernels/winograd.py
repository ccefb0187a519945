"""Dense 3 x 3 convolution of stride 1 by Winograd's algorithm (Lavin & Gray, "Fast Algorithms for Convolutional Neural
Networks", 2016): float32, with fewer multiplications than the implicit GEMM of `conv.py`.

A tile of `side` x `side` output pixels needs side + 2 input pixels in each direction. They are transformed, multiplied
by transformed weights, position by position, and transformed back:

    results = A^T [sum over input channels of (G g G^T) * (B^T d B)] A

Of each position the products of many tiles are a matrix product: tiles x input channels x output channels. A step's
tile computes `together` of these tiles: their transformed data (scratch memory, [tile][position][channel]) is
multiplied by a block of weights with the register tile of the ISA into sums (scratch memory, [row][position][column]),
from which results are made and stored before the next block follows.

The last tiles of a plane are moved back inside it, and store only what the ones before have not: nothing is read or
written beyond the plane, and every pixel is computed by one tile. Blocks of weights are those of `conv.py`, with a tap
for each position.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from .builder import Builder, Value, const, define, i64
from .contraction import OPERANDS as SHARED_OPERANDS
from .contraction import ContractionSpec, header_bytes
from .conv import STEPS, accumulate_run
from .epilogue import FloatEpilogue
from .isa import Isa, Tile
from .tir import tirx
from .winograd_transforms import data_transform, result_transform

OPERANDS = (*SHARED_OPERANDS, "scratch")

PARAMS = (
    "parts", "together", "tiles", "tiles_x",  # parts of an image, tiles in a part, in an image, in a row of it
    "height", "width",  # output pixels
    "x_image", "x_row", "x_pixel", "y_image", "y_row", "y_pixel", "r_image", "r_row", "r_pixel",  # bytes between them
    "groups", "position", "sums",  # input channels; bytes of a position's data, and of all data in scratch memory
    "channels", "blocks", "block_bytes",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class WinogradSpec(ContractionSpec):
    """`side`: output pixels of a tile in each direction. `tile_rows`, `paired`, `whole`: as in `ConvSpec`."""

    side: int
    tile_rows: int
    paired: bool = False
    whole: bool = False

    @property
    def symbol(self) -> str:
        """The kernel's name in plans, symbols and profiles."""
        shape = [f"winograd{self.side}", f"m{self.tile_rows}", *["pair"] * self.paired]
        return self.name(*shape, *["whole"] * self.whole)

    @property
    def params(self) -> tuple[str, ...]:
        """Names of the kernel's parameters, in order."""
        return PARAMS + self.epilogue_params

    def seen_by(self, isa: Isa) -> "WinogradSpec":
        """Itself."""
        return self

    @property
    def general(self) -> "WinogradSpec":
        """The member that serves this one too: any number of channels."""
        return replace(self, paired=False, whole=False)

    @property
    def positions(self) -> int:
        """Of a tile."""
        return (self.side + 2) ** 2

    def tile(self, isa: Isa) -> Tile:
        """The register tile that `isa` uses for this kernel."""
        return isa.float_tile(self.tile_rows, paired=self.paired)


def build(spec: WinogradSpec, isa: Isa) -> object:
    """The TIR function of `spec` on `isa`."""
    instructions = spec.tile(isa).instructions + isa.instructions
    return define(spec.symbol, OPERANDS, spec.params, lambda b: _Kernel(b, spec, isa).run(), instructions)


class _Kernel:
    def __init__(self, b: Builder, spec: WinogradSpec, isa: Isa) -> None:
        self.b, self.spec, self.isa = b, spec, isa
        self.tile, self.epilogue = spec.tile(isa), spec.epilogue(b, isa)
        self.vector = isa.lanes * 4
        self.line = self.tile.blocks * isa.columns * 4
        """Bytes of the sums of a tile at a position."""
        self.data = b.let(b.param("position") * spec.positions)
        """Bytes of the data of a tile."""
        self.lines, self.outputs = b.opaque(i64(spec.side + 2)), b.opaque(i64(spec.side))
        """How many there are of each: numbers of which LLVM would make copies of the loops over them."""

    def run(self) -> None:
        """All tiles of the step."""
        b, tile = self.b, self.tile
        with b.tiles() as t:
            image, first = b.let(tirx.truncdiv(t, b.param("parts"))), b.let(tirx.truncmod(t, b.param("parts")))
            first = b.let(first * b.param("together"))
            count = b.let(tirx.min(b.param("together"), b.param("tiles") - first))
            with b.range(0, count) as number:
                self._data(image, b.let(first + number), b.let(number * self.data))
            with b.range(0, tirx.truncdiv(b.param("blocks"), i64(tile.blocks))) as number:
                block = b.let(number * tile.blocks)
                with b.range(0, tirx.truncdiv(count + tile.rows - 1, i64(tile.rows))) as run:
                    row = b.let(run * tile.rows)
                    self._sums(block, row, count)
                    with b.range(0, tirx.min(count - row, i64(tile.rows))) as r:
                        self._results(
                            image, b.let(first + row + r), block, b.let(r * (self.spec.positions * self.line))
                        )

    def _corner(self, number: Value) -> tuple[Value, Value, Value, Value]:
        """Of a tile of an image: its first row and column, and how many of its rows and columns others store."""
        b, side, places = self.b, self.spec.side, []
        for at, extent in ((tirx.truncdiv, "height"), (tirx.truncmod, "width")):
            wanted = b.let(at(number, b.param("tiles_x")) * side)
            begin = b.let(tirx.min(wanted, b.param(extent) - side))
            places.append((begin, b.let(wanted - begin)))
        (y, above), (x, left) = places
        return y, x, above, left

    def _data(self, image: Value, number: Value, to: Value) -> None:
        """The transformed data of tile `number` of an image."""
        b, isa, n = self.b, self.isa, self.spec.side + 2
        x, scratch, step = b.pointer("x"), b.pointer("scratch"), b.param("position")
        y, left, _, _ = self._corner(number)
        start = b.let(image * b.param("x_image") + y * b.param("x_row") + left * b.param("x_pixel"))
        channels, between = b.param("groups"), b.stack(n * n * self.vector)
        with b.range(0, tirx.truncdiv(channels + isa.lanes - 1, i64(isa.lanes))) as part:
            at = b.let(tirx.min(part * isa.lanes, channels - isa.lanes) * 4)
            with b.range(0, self.lines) as j:
                pixel = b.let(start + at + j * b.param("x_pixel"))
                column = [b.let(x.load(pixel + i * b.param("x_row"), "float32", isa.lanes)) for i in range(n)]
                for i, value in enumerate(data_transform(isa.lanes, self.spec.side, column)):
                    between.store((j + i * n) * self.vector, value, "float32", isa.lanes)
            with b.range(0, self.lines) as i:
                row = [b.let(between.load((i * n + j) * self.vector, "float32", isa.lanes)) for j in range(n)]
                place = b.let(to + at + i * n * step)
                for j, value in enumerate(data_transform(isa.lanes, self.spec.side, row)):
                    scratch.store(place + j * step, value, "float32", isa.lanes)

    def _sums(self, block: Value, row: Value, count: Value) -> None:
        """The sums of products of tiles from number `row` on, with the weights from `block` on."""
        b, tile, spec = self.b, self.tile, self.spec
        w, scratch, step = b.pointer("w"), b.pointer("scratch"), b.param("position")
        head = header_bytes(spec.dtype, tile.columns)
        blocks = [b.let((block + i) * b.param("block_bytes") + head) for i in range(tile.blocks)]
        tap = b.let(b.param("groups") * (tile.columns * 4))
        rows = [b.let(tirx.min(row + r, count - 1) * self.data) for r in range(tile.rows)]
        nothing = [const(-0.0, "float32", self.isa.lanes)] * (self.isa.vectors * tile.blocks)  # x + -0.0 is x
        with b.range(0, spec.positions) as position:
            tile.start(nothing)
            starts = [b.let(o + position * step) for o in rows]
            accumulate_run(b, tile, scratch, starts, w, [b.let(o + position * tap) for o in blocks], whole=spec.whole)
            for r in range(tile.rows):
                to = b.let(b.param("sums") + position * self.line + r * (spec.positions * self.line))
                for v, value in enumerate(tile.row(r)):
                    scratch.store(to + v * self.vector, value, "float32", self.isa.lanes)

    def _results(self, image: Value, number: Value, block: Value, sums: Value) -> None:
        """Results of tile `number`, the sums of which lie at byte `sums` of all, in the place of these first."""
        b, isa, n, side = self.b, self.isa, self.spec.side + 2, self.spec.side
        scratch, count = b.pointer("scratch"), self.tile.blocks * isa.vectors
        base = b.let(b.param("sums") + sums)
        with b.range(0, count) as v:
            at = b.let(base + v * self.vector)
            with b.range(0, self.lines) as j:
                places = [b.let(at + (j + i * n) * self.line) for i in range(n)]
                column = [b.let(scratch.load(place, "float32", isa.lanes)) for place in places]
                for place, value in zip(places, result_transform(isa.lanes, side, column), strict=False):
                    scratch.store(place, value, "float32", isa.lanes)
            with b.range(0, self.outputs) as i:
                places = [b.let(at + (i * n + j) * self.line) for j in range(n)]
                row = [b.let(scratch.load(place, "float32", isa.lanes)) for place in places]
                for place, value in zip(places, result_transform(isa.lanes, side, row), strict=False):
                    scratch.store(place, value, "float32", isa.lanes)
        self._store(image, number, block, base)

    def _store(self, image: Value, number: Value, block: Value, base: Value) -> None:
        """Bias, epilogue, and the pixels of a tile that no other one stores."""
        b, isa, side = self.b, self.isa, self.spec.side
        epilogue = self.epilogue
        assert isinstance(epilogue, FloatEpilogue)
        y, x, above, left = self._corner(number)
        bias = self._bias(block)
        channel = block * isa.columns
        if not self.spec.paired:
            channel = tirx.min(channel, b.param("channels") - isa.columns)
        outputs = ("y", *["r"] * self.spec.residual)
        places = {o: b.let(image * b.param(f"{o}_image") + channel * 4) for o in outputs}
        with b.range(above, self.outputs) as i, b.range(left, self.outputs) as j:
            of = b.let(base + (i * (side + 2) + j) * self.line)
            at = {
                o: b.let(place + (y + i) * b.param(f"{o}_row") + (x + j) * b.param(f"{o}_pixel"))
                for o, place in places.items()
            }
            for v, term in enumerate(bias):
                value = b.let(b.pointer("scratch").load(of + v * self.vector, "float32", isa.lanes) + term)
                other = None
                if self.spec.residual:
                    other = b.pointer("residual").load(at["r"] + v * self.vector, "float32", isa.lanes)
                result = b.let(epilogue.result(value, other))
                b.pointer("y").store(at["y"] + v * self.vector, result, "float32", isa.lanes)

    def _bias(self, block: Value) -> Sequence[Value]:
        """Of the channels of neighbouring blocks."""
        b, isa = self.b, self.isa
        return [
            b.let(b.pointer("w").load((block + i) * b.param("block_bytes") + v * self.vector, "float32", isa.lanes))
            for i in range(self.tile.blocks)
            for v in range(isa.vectors)
        ]


def is_whole(channels: int) -> bool:
    """Whether so many input channels are whole steps."""
    return channels % STEPS["float32"] == 0
