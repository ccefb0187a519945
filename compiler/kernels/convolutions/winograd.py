"""Dense 3 x 3 convolution of stride 1 by Winograd's algorithm (Lavin & Gray, "Fast Algorithms for Convolutional Neural
Networks", 2016): float32, with fewer multiplications than the implicit GEMM of `conv.py`.

A tile of `side` x `side` output pixels needs side + 2 input pixels in each direction. They are transformed, multiplied
by transformed weights, position by position, and transformed back:

    results = A^T [sum over input channels of (G g G^T) * (B^T d B)] A

Of each position the products of many tiles are a matrix product: tiles x input channels x output channels. A step's
tile computes `together` of these tiles. It transforms their data into scratch memory, [tile][position][channel]; goes
from position to position, each block of weights with the register tile of the ISA, into sums, in scratch memory too;
and makes results of these. So data and weights pass through the first cache once.

The last tiles of a plane are moved back inside it, and store only what the ones before have not: nothing is read or
written beyond the plane, and every pixel is computed by one tile. Blocks of weights are those of `conv.py`, with a tap
for each position.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..emit.builder import Builder, Value, const, define, i64
from ..emit.isa import Isa, Tile
from ..emit.tir import tirx
from .contraction import OPERANDS as SHARED_OPERANDS
from .contraction import ContractionSpec, header_bytes
from .conv import STEPS, accumulate_run
from .epilogue import FloatEpilogue
from .winograd_transforms import data_transform, result_transform

OPERANDS = (*SHARED_OPERANDS, "scratch")

PARAMS = (
    "parts", "together", "tiles", "tiles_x",  # parts of an image, tiles in a part, in an image, in a row of it
    "height", "width",  # output pixels
    "x_image", "x_row", "x_pixel", "y_image", "y_row", "y_pixel", "r_image", "r_row", "r_pixel",  # bytes between them
    "groups", "data_position", "sum_position", "sums",  # input channels; bytes of a position, and where sums begin
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
    def plain(self) -> "WinogradSpec":
        """This member."""
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
        self.vector, self.line = isa.lanes * 4, self.tile.columns * 4
        """Bytes of a vector, and of a block of channels."""
        self.data, self.sums = (b.let(b.param(f"{name}_position") * spec.positions) for name in ("data", "sum"))
        """Bytes of a tile's data and sums."""
        self.lines, self.outputs = b.opaque(i64(spec.side + 2)), b.opaque(i64(spec.side))
        """How many there are of each: numbers of which LLVM would make copies of the loops over them."""

    def run(self) -> None:
        """All tiles of the step."""
        b, blocks = self.b, self.tile.blocks
        with b.tiles() as t:
            image, part = b.let(tirx.truncdiv(t, b.param("parts"))), b.let(tirx.truncmod(t, b.param("parts")))
            first = b.let(part * b.param("together"))
            count = b.let(tirx.min(b.param("together"), b.param("tiles") - first))
            with b.range(0, count) as number:
                self._data(image, b.let(first + number), b.let(number * self.data))
            with b.range(0, self.spec.positions) as position, b.range(0, self._block_runs()) as run:
                self._products(position, b.let(run * blocks), count)
            with b.range(0, count) as number:
                self._results(image, b.let(first + number), b.let(b.param("sums") + number * self.sums))

    def _block_runs(self) -> Value:
        return tirx.truncdiv(self.b.param("blocks"), i64(self.tile.blocks))

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
        """The transformed data of tile `number` of an image, to byte `to` of scratch memory."""
        b, isa, n = self.b, self.isa, self.spec.side + 2
        x, scratch, step = b.pointer("x"), b.pointer("scratch"), b.param("data_position")
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

    def _products(self, position: Value, block: Value, count: Value) -> None:
        """The sums of products of all tiles at a position with the weights from `block` on, which stay in the first
        cache meanwhile, as the data does until the last block."""
        b, tile, spec, lanes = self.b, self.tile, self.spec, self.isa.lanes
        w, scratch = b.pointer("w"), b.pointer("scratch")
        head, tap = header_bytes(spec.dtype, tile.columns), b.let(b.param("groups") * self.line)
        weights = [b.let((block + i) * b.param("block_bytes") + head + position * tap) for i in range(tile.blocks)]
        data = b.let(position * b.param("data_position"))
        sums = b.let(b.param("sums") + position * b.param("sum_position") + block * self.line)
        nothing = [const(-0.0, "float32", lanes)] * (self.isa.vectors * tile.blocks)  # x + -0.0 is x
        with b.range(0, tirx.truncdiv(count + tile.rows - 1, i64(tile.rows))) as run:
            first = b.let(run * tile.rows)
            rows, targets = ([b.let(start + first * step)] for start, step in ((data, self.data), (sums, self.sums)))
            for r in range(1, tile.rows):  # those that are not there repeat the last one
                exists = first + r < count
                for places, step in ((rows, self.data), (targets, self.sums)):
                    places.append(b.let(places[-1] + tirx.Select(exists, step, i64(0))))
            tile.start(nothing)
            accumulate_run(b, tile, scratch, rows, w, weights, whole=spec.whole)
            for r, target in enumerate(targets):
                for v, value in enumerate(tile.row(r)):
                    scratch.store(target + v * self.vector, value, "float32", lanes)

    def _results(self, image: Value, number: Value, sums: Value) -> None:
        """Results of tile `number`, the sums of which lie at byte `sums` of scratch memory, in the place of these
        first."""
        b, isa, n, side = self.b, self.isa, self.spec.side + 2, self.spec.side
        scratch, step = b.pointer("scratch"), b.param("sum_position")
        with b.range(0, b.param("blocks") * isa.vectors) as v:
            at = b.let(sums + v * self.vector)
            with b.range(0, self.lines) as j:
                places = [b.let(at + (j + i * n) * step) for i in range(n)]
                column = [b.let(scratch.load(place, "float32", isa.lanes)) for place in places]
                for place, value in zip(places, result_transform(isa.lanes, side, column), strict=False):
                    scratch.store(place, value, "float32", isa.lanes)
            with b.range(0, self.outputs) as i:
                places = [b.let(at + (i * n + j) * step) for j in range(n)]
                row = [b.let(scratch.load(place, "float32", isa.lanes)) for place in places]
                for place, value in zip(places, result_transform(isa.lanes, side, row), strict=False):
                    scratch.store(place, value, "float32", isa.lanes)
        corner = self._corner(number)
        with b.range(0, self._block_runs()) as run:
            self._store(image, corner, b.let(run * self.tile.blocks), sums)

    def _store(self, image: Value, corner: tuple[Value, Value, Value, Value], block: Value, sums: Value) -> None:
        """Bias, epilogue, and the pixels of a tile that no other one stores, of neighbouring blocks of channels."""
        b, isa, spec = self.b, self.isa, self.spec
        epilogue, bias = self.epilogue, self._bias(block)
        assert isinstance(epilogue, FloatEpilogue)
        y, x, above, left = corner
        channel = block * isa.columns
        if not spec.paired:
            channel = tirx.min(channel, b.param("channels") - isa.columns)
        outputs = ("y", *["r"] * spec.residual)
        places = {o: b.let(image * b.param(f"{o}_image") + channel * 4) for o in outputs}
        with b.range(above, self.outputs) as i, b.range(left, self.outputs) as j:
            of = b.let(sums + (i * (spec.side + 2) + j) * b.param("sum_position") + block * self.line)
            at = {
                o: b.let(place + (y + i) * b.param(f"{o}_row") + (x + j) * b.param(f"{o}_pixel"))
                for o, place in places.items()
            }
            for v, term in enumerate(bias):
                value = b.let(b.pointer("scratch").load(of + v * self.vector, "float32", isa.lanes) + term)
                other = None
                if spec.residual:
                    other = b.pointer("aux").load(at["r"] + v * self.vector, "float32", isa.lanes)
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
