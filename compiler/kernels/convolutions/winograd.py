"""Dense 3 x 3 convolution by Winograd's algorithm (Lavin & Gray, "Fast Algorithms for Convolutional Neural Networks",
2016): floats, with fewer multiplications than the implicit GEMM of `conv.py`.

A tile of `side` x `side` output pixels needs `span` input pixels in each direction. They are transformed, multiplied by
transformed weights, position by position, and transformed back:

    results = A^T [sum over input channels of (G g G^T) * (B^T d B)] A

Of each position the products of many tiles are a matrix product: tiles x input channels x output channels. A step's
tile computes `together` of these tiles. It transforms their data into scratch memory, [tile][position][channel]; goes
from position to position, each block of weights with the register tile of the ISA, into sums, in scratch memory too;
and makes results of these. So data and weights pass through the first cache once. Data, weights and sums that wait in
memory have the type of the convolution's data: float16 is computed in where `Isa.computes_halves`, else in float32.

The last tiles of a plane are moved back inside it, and store only what the ones before have not: nothing is read or
written beyond the plane, and every pixel is computed by one tile. Blocks of weights are those of `conv.py`, with
`Form.taps` squared taps: a position has one of its own, but where the stride is 2 some share theirs.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..emit import halves
from ..emit.builder import BITS, Builder, Pointer, Value, cast, define, i64, shuffle
from ..emit.isa import Isa, Tile
from ..emit.tir import tirx
from .contraction import OPERANDS as SHARED_OPERANDS
from .contraction import ContractionSpec, header_bytes
from .conv import STEPS, accumulate_run
from .epilogue import FloatEpilogue, HalfEpilogue
from .results import Turns
from .winograd_transforms import Form, data_transform, result_transform

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
    """`form`: of the algorithm. `tile_rows`, `paired`, `whole`: as in `ConvSpec`."""

    form: Form
    tile_rows: int
    paired: bool = False
    whole: bool = False

    @property
    def symbol(self) -> str:
        """The kernel's name in plans, symbols and profiles."""
        form = f"winograd{self.form.side}" + f"s{self.form.stride}" * (self.form.stride > 1)
        shape = [form, f"m{self.tile_rows}", *["pair"] * self.paired]
        return self.name(*shape, *["whole"] * self.whole)

    @property
    def params(self) -> tuple[str, ...]:
        """Names of the kernel's parameters, in order."""
        return PARAMS + self.sum_params + self.epilogue_params

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

    def tile(self, isa: Isa) -> Tile:
        """The register tile that `isa` uses for this kernel."""
        form = isa.half_tile if self.dtype == "float16" else isa.float_tile
        return form(self.tile_rows, paired=self.paired)


def build(spec: WinogradSpec, isa: Isa) -> object:
    """The TIR function of `spec` on `isa`."""
    literals = spec.literals(isa)
    instructions = spec.tile(isa).instructions + isa.instructions + (literals.instructions if literals else "")
    return define(spec.symbol, OPERANDS, spec.params, lambda b: _Kernel(b, spec, isa).run(), instructions)


class _Kernel:
    def __init__(self, b: Builder, spec: WinogradSpec, isa: Isa) -> None:
        self.b, self.spec, self.isa = b, spec, isa
        self.tile, epilogue = spec.tile(isa), spec.epilogue(b, isa)
        assert isinstance(epilogue, FloatEpilogue | HalfEpilogue)
        self.epilogue = epilogue
        half = spec.dtype == "float16" and isa.computes_halves
        self.computed, self.lanes = ("float16", 2 * isa.lanes) if half else ("float32", isa.lanes)
        """What vectors in registers are."""
        self.element = BITS[spec.dtype] // 8
        self.vector, self.line = self.lanes * self.element, self.tile.columns * self.element
        """Bytes of a vector, and of a block of channels."""
        self.data, self.sums = (b.let(b.param(f"{name}_position") * spec.form.positions) for name in ("data", "sum"))
        """Bytes of a tile's data and sums."""
        self.held = spec.form.positions + spec.form.span <= isa.registers
        """Whether a vector of each position stays in registers."""
        self.part = self.lanes if self.held else self.tile.columns
        """Channels that are transformed at once: a block takes fewer instructions than its vectors one by one."""
        self.lines, self.outputs = b.opaque(i64(spec.form.span)), b.opaque(i64(spec.form.side))
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
            with b.range(0, self.spec.form.positions) as position, b.range(0, self._block_runs()) as run:
                self._products(position, b.let(run * blocks), count)
            with b.range(0, count) as number:
                self._results(image, b.let(first + number), b.let(b.param("sums") + number * self.sums))

    def _block_runs(self) -> Value:
        return tirx.truncdiv(self.b.param("blocks"), i64(self.tile.blocks))

    def _corner(self, number: Value) -> tuple[Value, Value, Value, Value]:
        """Of a tile of an image: its first row and column, and how many of its rows and columns others store."""
        b, side, places = self.b, self.spec.form.side, []
        for at, extent in ((tirx.truncdiv, "height"), (tirx.truncmod, "width")):
            wanted = b.let(at(number, b.param("tiles_x")) * side)
            begin = b.let(tirx.min(wanted, b.param(extent) - side))
            places.append((begin, b.let(wanted - begin)))
        (y, above), (x, left) = places
        return y, x, above, left

    def _data(self, image: Value, number: Value, to: Value) -> None:
        """The transformed data of tile `number` of an image, to byte `to` of scratch memory."""
        b, channels = self.b, self.b.param("groups")
        y, left, _, _ = self._corner(number)
        top, left = y * self.spec.form.stride, left * self.spec.form.stride
        start = b.let(image * b.param("x_image") + top * b.param("x_row") + left * b.param("x_pixel"))
        transform = self._transform_in_registers if self.held else self._transform
        with b.range(0, tirx.truncdiv(channels + self.part - 1, i64(self.part))) as part:
            at = b.let(tirx.min(part * self.part, channels - self.part) * self.element)
            transform(b.let(start + at), b.let(to + at))

    def _transform(self, pixel: Value, to: Value) -> None:
        """Some channels of each of a tile's pixels, from byte `pixel` of x on, to byte `to` of scratch memory."""
        b, form, n = self.b, self.spec.form, self.spec.form.span
        x, scratch = b.pointer("x"), b.pointer("scratch")
        size, step = self.part * BITS[self.computed] // 8, b.param("data_position")
        between = b.stack(n * n * size)
        with b.range(0, self.lines) as j:
            top = b.let(pixel + j * b.param("x_pixel"))
            column = [self._load(x, top + i * b.param("x_row"), self.part) for i in range(n)]
            for i, value in enumerate(data_transform(self.part, form, column)):
                between.store((j + i * n) * size, value, self.computed, self.part)
        with b.range(0, self.lines) as i:
            row = [b.let(between.load((i * n + j) * size, self.computed, self.part)) for j in range(n)]
            place = b.let(to + i * n * step)
            for j, value in enumerate(data_transform(self.part, form, row)):
                self._keep(scratch, place + j * step, value, self.part)

    def _transform_in_registers(self, pixel: Value, to: Value) -> None:
        """As `_transform`."""
        b, form, n = self.b, self.spec.form, self.spec.form.span
        x, scratch = b.pointer("x"), b.pointer("scratch")
        tops = [b.let(pixel + j * b.param("x_pixel")) for j in range(n)]
        columns = [[self._load(x, top + i * b.param("x_row"), self.part) for i in range(n)] for top in tops]
        columns = [data_transform(self.part, form, column) for column in columns]
        for i, row in enumerate(zip(*columns, strict=True)):
            for j, value in enumerate(data_transform(self.part, form, row)):
                self._keep(scratch, to + (i * n + j) * b.param("data_position"), value, self.part)

    def _products(self, position: Value, block: Value, count: Value) -> None:
        """The sums of products of all tiles at a position with the weights from `block` on, which stay in the first
        cache meanwhile, as the data does until the last block."""
        b, tile, spec = self.b, self.tile, self.spec
        w, scratch = b.pointer("w"), b.pointer("scratch")
        head, tap = header_bytes(spec.dtype, tile.columns), b.let(b.param("groups") * self.line)
        weights = [
            b.let((block + i) * b.param("block_bytes") + head + self._taps(position) * tap) for i in range(tile.blocks)
        ]
        data = b.let(position * b.param("data_position"))
        sums = b.let(b.param("sums") + position * b.param("sum_position") + block * self.line)
        with b.range(0, tirx.truncdiv(count + tile.rows - 1, i64(tile.rows))) as run:
            first = b.let(run * tile.rows)
            rows, targets = ([b.let(start + first * step)] for start, step in ((data, self.data), (sums, self.sums)))
            for r in range(1, tile.rows):  # those that are not there repeat the last one
                exists = first + r < count
                for places, step in ((rows, self.data), (targets, self.sums)):
                    places.append(b.let(places[-1] + tirx.Select(exists, step, i64(0))))
            tile.start(())
            accumulate_run(b, tile, scratch, rows, w, weights, whole=spec.whole, begins=spec.whole)
            tile.end(b)
            for r, target in enumerate(targets):
                for v, value in enumerate(tile.row(r)):
                    self._keep(scratch, target + v * self.vector, value, self.lanes)

    def _taps(self, position: Value) -> Value:
        """The number of the weights of a position."""
        form = self.spec.form
        if form.taps == form.span:
            return position
        i, j = (tirx.min(at(position, i64(form.span)), i64(form.taps - 1)) for at in (tirx.truncdiv, tirx.truncmod))
        return self.b.let(i * form.taps + j)

    def _results(self, image: Value, number: Value, sums: Value) -> None:
        """Results of tile `number`, the sums of which lie at byte `sums` of scratch memory, in the place of these
        first."""
        b, transform = self.b, self._transform_back_in_registers if self.held else self._transform_back
        with b.range(0, b.param("blocks") * (self.tile.columns // self.part)) as v:
            transform(b.let(sums + v * (self.part * self.element)))
        corner = self._corner(number)
        with b.range(0, self._block_runs()) as run:
            self._store(image, corner, b.let(run * self.tile.blocks), sums)

    def _transform_back(self, sums: Value) -> None:
        """Some channels' sums at each of a tile's positions, from byte `sums` of scratch memory on, to results."""
        b, n, step = self.b, self.spec.form.span, self.b.param("sum_position")
        with b.range(0, self.lines) as j:
            self._line_back([b.let(sums + (j + i * n) * step) for i in range(n)])
        with b.range(0, self.outputs) as i:
            self._line_back([b.let(sums + (i * n + j) * step) for j in range(n)])

    def _line_back(self, places: Sequence[Value]) -> None:
        """What lies at these bytes of scratch memory, to the first ones."""
        scratch = self.b.pointer("scratch")
        values = [self._load(scratch, place, self.part) for place in places]
        for place, value in zip(places, result_transform(self.part, self.spec.form, values), strict=False):
            self._keep(scratch, place, value, self.part)

    def _transform_back_in_registers(self, sums: Value) -> None:
        """As `_transform_back`."""
        form, n = self.spec.form, self.spec.form.span
        scratch, step = self.b.pointer("scratch"), self.b.param("sum_position")
        columns = [[self._load(scratch, sums + (i * n + j) * step, self.part) for i in range(n)] for j in range(n)]
        columns = [result_transform(self.part, form, column) for column in columns]
        for i, row in enumerate(zip(*columns, strict=True)):
            for j, value in enumerate(result_transform(self.part, form, row)):
                self._keep(scratch, sums + (i * n + j) * step, value, self.part)

    def _store(self, image: Value, corner: tuple[Value, Value, Value, Value], block: Value, sums: Value) -> None:
        """Bias, epilogue, and the pixels of a tile that no other one stores, of neighbouring blocks of channels."""
        b, isa, spec = self.b, self.isa, self.spec
        y, x, above, left = corner
        channel, bias = block * isa.columns, self._bias(block)
        if not spec.paired:
            channel = tirx.min(channel, b.param("channels") - isa.columns)
        outputs, literals = ("y", *["r"] * spec.residual), spec.literals(isa)
        turns = Turns(b, self.epilogue, self.tile.in_turn, literals)
        places = {o: b.let(image * b.param(f"{o}_image") + channel * self.element) for o in outputs}
        with b.range(above, self.outputs) as i, b.range(left, self.outputs) as j:
            of = b.let(sums + (i * spec.form.span + j) * b.param("sum_position") + block * self.line)
            at = {
                o: b.let(place + (y + i) * b.param(f"{o}_row") + (x + j) * b.param(f"{o}_pixel"))
                for o, place in places.items()
            }
            loaded = [self._load(b.pointer("scratch"), of + v * self.vector, self.lanes) for v in range(len(bias))]
            biased = [b.let(value + term) for value, term in zip(loaded, bias, strict=True)]
            aux, results = (b.pointer("aux"), at.get("r")), (b.pointer("y"), at["y"])
            if literals is None:
                self.epilogue.finish(biased, *aux)(*results)
            else:
                turns.finish(biased, aux, results)

    def _bias(self, block: Value) -> Sequence[Value]:
        """Of the channels of neighbouring blocks."""
        b, lanes, together = self.b, self.isa.lanes, self.lanes // self.isa.lanes
        starts = [b.let((block + i) * b.param("block_bytes")) for i in range(self.tile.blocks)]
        places = [start + v * lanes * 4 for start in starts for v in range(self.isa.vectors)]
        terms = [b.let(b.pointer("w").load(place, "float32", lanes)) for place in places]
        if together == 1:
            return terms
        pairs = [shuffle(terms[i : i + together], range(self.lanes)) for i in range(0, len(terms), together)]
        return [b.let(cast(pair, self.computed, self.lanes)) for pair in pairs]

    def _load(self, p: Pointer, offset: Value, lanes: int) -> Value:
        """What is stored at a byte of p."""
        return self.b.let(halves.load(p, offset, self.spec.dtype, lanes, self.computed))

    def _keep(self, p: Pointer, offset: Value, value: Value, lanes: int) -> None:
        """Store it."""
        halves.store(self.isa, p, offset, value, self.spec.dtype, lanes)


def is_whole(dtype: str, channels: int) -> bool:
    """Whether so many input channels are whole steps."""
    return channels % STEPS[dtype] == 0
