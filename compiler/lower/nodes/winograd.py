"""Dense 3 x 3 convolutions of floats -> the kernels of Winograd's algorithm, where it saves enough."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod

from ...ir.extent import always_less, ceil_div, largest
from ...kernels.convolutions import winograd
from ...kernels.convolutions.winograd_transforms import POINTS, weight_transform
from ...ops import halves
from ..buffers import ALIGNMENT, View
from ..context import Context
from ..windows import Window
from .epilogue import Epilogue
from .pack import pack_dense
from .packing import ConstantKernel, Kernel
from .tiling import tile_of

LEAST_CHANNELS = 16
"""Of input and output: vectors of every target are full then."""

SIDES: Mapping[str, Sequence[int]] = {"float32": tuple(POINTS), "float16": (2,)}
"""Output pixels of a tile in each direction, by dtype: float16 has too few bits for the transforms of larger tiles."""

READ = 40
"""Products that reading a weight once may save: the weights of tiles are more, the products are fewer. It takes as long
as some 32; of sides that are about as fast the smaller one wins, as its weights take half the memory."""

MOST_WEIGHTS = 16 << 20
"""Bytes of transformed weights: what they save is not worth more memory."""

LEAST_SAVED = 6 << 20
"""Products: to save fewer is not worth code and weights."""

DATA = 16 << 10
"""Bytes of a position that a kernel's tile multiplies: they stay in the first cache, half of which they are."""

FEW_PARTS = 4
"""With fewer parts of an image than that, these are as small as can be so that all threads have work."""

FETCHED = 2
"""Times as much data, and half of the parts at least, where weights come from memory for each part."""


def winograd_side(y: View, w: Kernel, window: Window, epilogue: Epilogue) -> int | None:
    """Output pixels of a tile in each direction, or None where the direct form is better. It depends on the shapes
    alone (in a range, on the largest plane), so all targets compute the same bytes."""
    outputs, depth, *taps = w.shape
    fits = isinstance(w, ConstantKernel) and epilogue.dtype in SIDES and taps == [3, 3]
    if not fits or window.strides != (1, 1) or window.dilations != (1, 1) or min(outputs, depth) < LEAST_CHANNELS:
        return None
    images, height, width = map(largest, y.dims[:3])
    direct = 9 * (images * height * width + READ)
    costs = {
        side: (side + 2) ** 2 * (images * ceil_div(height, side) * ceil_div(width, side) + READ)
        for side in SIDES[epilogue.dtype]
        if all(always_less(side - 1, extent) for extent in y.dims[1:3])
        and (side + 2) ** 2 * outputs * depth * y.element <= MOST_WEIGHTS
    }
    best = min(costs, key=costs.__getitem__, default=None)
    return best if best and (direct - costs[best]) * outputs * depth >= LEAST_SAVED else None


@dataclass(frozen=True)
class Tiling:
    """How a plane is computed by tiles of `side` x `side` results, of which each row has `tiles_x`, `together` at a
    time: by register tiles of `rows` or, if `paired`, of two blocks of channels; `data` and `sums` bytes apart are the
    positions of a tile's data and sums in scratch memory."""

    side: int
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
        return self.together * (self.side + 2) ** 2 * (self.data + self.sums)


def tiling(c: Context, side: int, y: View, depth: int) -> Tiling:
    """Of results y [n, oh, ow, O] from `depth` channels: in larger parts where no second cache holds the weights and
    there is room for more transformed copies of the data."""
    usual = _tiling(c, side, y, depth, 1)
    if (side + 2) ** 2 * depth * y.dims[3] * y.element <= max(c.target.cache, c.target.usual_cache):
        return usual
    larger = _tiling(c, side, y, depth, FETCHED)
    fits = c.room.for_algorithm(larger.scratch) and c.room.for_copies(larger.scratch)
    return larger if fits else usual


def _tiling(c: Context, side: int, y: View, depth: int, times: int) -> Tiling:
    """In parts that are so many times as large."""
    _, height, width, outputs = y.dims
    tiles_x, columns = ceil_div(width, side), c.target.columns
    tiles = ceil_div(height, side) * tiles_x
    shape = tile_of(c, y.type.dtype, tiles, outputs)
    together = _together(largest(tiles), shape.pixels, depth * y.element, times)
    data, sums = _apart(depth * y.element), _apart(ceil_div(outputs, columns) * columns * y.element)
    return Tiling(side, tiles, tiles_x, shape.rows, shape.paired, together, data, sums)


def winograd_conv(
    c: Context, x: View, y: View, w: ConstantKernel, by: Tiling, window: Window, epilogue: Epilogue,
    residual: View | None, *, barrier: bool,
) -> None:  # fmt: skip
    """Every pixel of x [n, h, w, C] under the window times w [O, C, 3, 3] -> y [n, oh, ow, O], in one step."""
    images, height, width, outputs = y.dims
    depth, columns = w.shape[1], c.target.columns
    epilogue = epilogue.bounded() if epilogue.dtype == "float32" else epilogue
    spec = winograd.WinogradSpec(
        dtype=epilogue.dtype, side=by.side, tile_rows=by.rows, paired=by.paired,
        whole=winograd.is_whole(epilogue.dtype, depth), residual=residual is not None, activation=epilogue.activation,
        residual_activation=epilogue.residual_activation,
    )  # fmt: skip
    blocks, parts = ceil_div(outputs, columns), ceil_div(by.tiles, by.together)
    taps = halves.stored(weight_transform(by.side, w.data), epilogue.dtype)
    packed = pack_dense(taps, columns, 1, epilogue.dense_header(w.data, "medium"))
    params = {
        "parts": parts, "together": by.together, "tiles": by.tiles, "tiles_x": by.tiles_x,
        "height": height, "width": width,
        "x_image": x.image, "x_row": x.row, "x_pixel": x.pixel, "y_image": y.image, "y_row": y.row, "y_pixel": y.pixel,
        "r_image": residual.image if residual else 0, "r_row": residual.row if residual else 0,
        "r_pixel": residual.pixel if residual else 0,
        "groups": depth, "data_position": by.data, "sum_position": by.sums,
        "sums": by.together * spec.positions * by.data,
        "channels": outputs, "blocks": blocks, "block_bytes": len(packed) // blocks,
        **epilogue.params,
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
