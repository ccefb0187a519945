"""Dense 3 x 3 convolutions of floats -> the kernels of Winograd's algorithm, where it saves enough."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod

from ...ir.extent import always_less, ceil_div, largest
from ...kernels.convolutions import winograd
from ...kernels.convolutions.winograd_transforms import POINTS, Form, weight_transform
from ...ops import halves
from ..buffers import ALIGNMENT, View
from ..context import Context
from ..windows import Window
from .epilogue import Epilogue
from .pack import pack_dense
from .packing import ConstantKernel, Kernel
from .summands import sum_params
from .tiling import tile_of

LEAST_CHANNELS = 16
"""Of input and output: vectors of every target are full then."""

FORMS: Mapping[tuple[str, int], Sequence[Form]] = {
    ("float32", 1): tuple(map(Form, POINTS)),
    ("float32", 2): (Form(2, 2),),
    ("float16", 1): (Form(2),),  # it has too few bits for the transforms of larger tiles
    ("float16", 2): (Form(2, 2),),
}
"""By dtype and stride."""

READ = 48
"""Products that reading a weight once may save: the weights of tiles are more, the products are fewer. It takes as long
as some 32, and memory besides: of sides that are about as fast the smaller one wins, as its weights take half of it."""

TRANSFORMED = 10
"""Products that it takes as long as to write and read a transformed number."""

MOST_WEIGHTS = 16 << 20
"""Bytes of transformed weights: what they save is not worth more memory."""

LEAST_SAVED = 1 << 20
"""Products: to save fewer is not worth code and weights."""

MANY = 280
"""Tiles that the register tile is chosen for, a multiple of all heights: convolutions of all planes share code."""

DATA = 16 << 10
"""Bytes of a position that a kernel's tile multiplies: they stay in the first cache, half of which they are."""

FEW_PARTS = 4
"""With fewer parts of an image than that, these are as small as can be so that all threads have work."""

FETCHED = 2
"""Times as much data, and half of the parts at least, where weights come from memory for each part."""


def winograd_form(y: View, w: Kernel, window: Window, epilogue: Epilogue) -> Form | None:
    """The form, or None where the direct one is better. It depends on the shapes alone (in a range, on the largest
    plane), so all targets compute the same bytes."""
    outputs, depth, *taps = w.shape
    forms = FORMS.get((epilogue.dtype, window.strides[0]), ())
    if not isinstance(w, ConstantKernel) or taps != [3, 3] or min(outputs, depth) < LEAST_CHANNELS:
        return None
    if window.strides[0] != window.strides[1] or window.dilations != (1, 1):
        return None
    images, height, width = map(largest, y.dims[:3])
    costs = {
        form: _cost(form, images * ceil_div(height, form.side) * ceil_div(width, form.side), outputs, depth)
        for form in forms
        if all(always_less(form.side - 1, extent) for extent in y.dims[1:3])
        and form.taps**2 * outputs * depth * y.element <= MOST_WEIGHTS
    }
    best = min(costs, key=costs.__getitem__, default=None)
    direct = 9 * (images * height * width + READ) * outputs * depth
    return best if best and direct - costs[best] >= LEAST_SAVED else None


def _cost(form: Form, tiles: int, outputs: int, depth: int) -> int:
    """Of so many tiles, in products."""
    products, read = form.positions * tiles * outputs * depth, form.taps**2 * outputs * depth
    return products + READ * read + TRANSFORMED * form.positions * tiles * (outputs + depth)


@dataclass(frozen=True)
class Tiling:
    """How a plane is computed by tiles of a `form`, of which each row has `tiles_x`, `together` at a time: by register
    tiles of `rows` or, if `paired`, of two blocks of channels; `data` and `sums` bytes apart are the positions of a
    tile's data and sums in scratch memory."""

    form: Form
    tiles: int
    tiles_x: int
    rows: int
    paired: bool
    together: int
    data: int
    sums: int

    @property
    def scratch(self) -> int:
        """Bytes of scratch memory."""
        return self.together * self.form.positions * (self.data + self.sums)


def tiling(c: Context, form: Form, y: View, depth: int) -> Tiling:
    """Of results y [n, oh, ow, O] from `depth` channels: in larger parts where no second cache holds the weights and
    there is room for more transformed copies of the data."""
    usual = _tiling(c, form, y, depth, 1)
    if form.taps**2 * depth * y.dims[3] * y.element <= max(c.target.cache, c.target.usual_cache):
        return usual
    larger = _tiling(c, form, y, depth, FETCHED)
    fits = c.room.for_algorithm(larger.scratch) and c.room.for_copies(larger.scratch)
    return larger if fits else usual


def _tiling(c: Context, form: Form, y: View, depth: int, times: int) -> Tiling:
    """In parts that are so many times as large."""
    _, height, width, outputs = y.dims
    tiles_x, columns = ceil_div(width, form.side), c.target.columns
    tiles = ceil_div(height, form.side) * tiles_x
    shape = tile_of(c, y.type.dtype, MANY, outputs)
    together = _together(largest(tiles), shape.pixels, depth * y.element, times)
    data, sums = _apart(depth * y.element), _apart(ceil_div(outputs, columns) * columns * y.element)
    return Tiling(form, tiles, tiles_x, shape.rows, shape.paired, together, data, sums)


def winograd_conv(
    c: Context, x: View, y: View, w: ConstantKernel, by: Tiling, window: Window, epilogue: Epilogue,
    residual: View | None, *, barrier: bool,
) -> None:  # fmt: skip
    """Every pixel of x [n, h, w, C] under the window times w [O, C, 3, 3] -> y [n, oh, ow, O], in one step."""
    images, height, width, outputs = y.dims
    depth, columns = w.shape[1], c.target.columns
    epilogue = epilogue.bounded() if epilogue.dtype == "float32" else epilogue
    spec = winograd.WinogradSpec(
        dtype=epilogue.dtype, form=by.form, tile_rows=by.rows, paired=by.paired,
        whole=winograd.is_whole(epilogue.dtype, depth), residual=residual is not None, activation=epilogue.activation,
        residual_activation=epilogue.residual_activation,
    )  # fmt: skip
    blocks, parts = ceil_div(outputs, columns), ceil_div(by.tiles, by.together)
    taps = halves.stored(weight_transform(by.form, w.data), epilogue.dtype)
    packed = pack_dense(taps, columns, 1, epilogue.dense_header(w.data, "medium"))
    params = {
        "parts": parts, "together": by.together, "tiles": by.tiles, "tiles_x": by.tiles_x,
        "height": height, "width": width,
        "x_image": x.image, "x_row": x.row, "x_pixel": x.pixel, "y_image": y.image, "y_row": y.row, "y_pixel": y.pixel,
        "r_image": residual.image if residual else 0, "r_row": residual.row if residual else 0,
        "r_pixel": residual.pixel if residual else 0,
        "groups": depth, "data_position": by.data, "sum_position": by.sums,
        "sums": by.together * by.form.positions * by.data,
        "channels": outputs, "blocks": blocks, "block_bytes": len(packed) // blocks,
        **sum_params(epilogue.dtype, depth), **epilogue.params,
    }  # fmt: skip
    operands = {"x": x.at(0, *window.origin), "w": c.weights.add(packed), "y": y.at()}
    if residual is not None:
        operands["aux"] = residual.at()
    macs = images * height * width * prod(w.shape)
    c.emit(winograd, spec, operands, params, images * parts, barrier=barrier, macs=macs, scratch=by.scratch)


def _apart(size: int) -> int:
    """Bytes from a position to the next: by whole lines of caches, but not so that many share few of them."""
    return ceil_div(size, ALIGNMENT) * ALIGNMENT + ALIGNMENT


def _together(tiles: int, unit: int, size: int, times: int) -> int:
    """Tiles of a part, of which a position has `size` bytes of data: units of the register tile's rows."""
    units = ceil_div(tiles, unit)
    most = max(1, times * DATA // (unit * size))
    parts = max(ceil_div(units, most), min(FEW_PARTS // times, units))
    return unit * ceil_div(units, parts)
