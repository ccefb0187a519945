"""Dense convolutions -> steps of the implicit GEMM kernels (`kernels/convolutions/conv.py`)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod

from ....targets.target import TileShape
from ...ir.extent import always_less, ceil_div, is_symbolic, largest, least, less, most
from ...kernels.convolutions import conv
from ...kernels.convolutions.deep import part_groups
from ...kernels.convolutions.gathered import DEEPEST, MOST, scratch_bytes
from ..buffers import View
from ..context import Context
from ..windows import Rowwise, Window
from .epilogue import Epilogue
from .packing import Kernel, Packed, group_of

FEW_TILES = 8
"""With fewer tiles of pixels than that, the channels are split until there are twice as many, so that all threads have
work."""


@dataclass(frozen=True)
class _Runs:
    """What one output pixel reads: [y][x] runs of contiguous elements, in x `step` bytes apart."""

    y: int
    x: int
    step: int


def dense(
    c: Context, x: View, y: View, w: Kernel, window: Window, epilogue: Epilogue, residual: View | None = None, *,
    barrier: bool = True,
) -> None:  # fmt: skip
    """Every pixel of x [n, h, w, C] under the window times w [O, C, kh, kw] -> y [n, oh, ow, O], in one step."""
    runs = _runs(x, w.shape, window)
    images, height, width, outputs = y.dims
    if height * width == 1:
        epilogue = replace(epilogue, small_sums=False)  # nothing that there is to gain
    packed = w.packed(c, epilogue, runs.y * runs.x)
    views = [(x, window.strides[0]), (y, 1), *([(residual, 1)] if residual else [])]
    if all(view.image == height * step * view.row for view, step in views):
        images, height = 1, images * height  # the images are as far apart as their rows
    pixels = height * width
    batched = is_symbolic(images) or images > 1
    tile = tile_of(c, epilogue.dtype, pixels, outputs)
    rows, paired = tile.rows, tile.paired
    short = rows > 1 and runs.y > 1 and runs.x == packed.parts == 1 and packed.groups <= conv.SHORT
    short &= epilogue.dtype != "float16"  # which is summed up in blocks
    even, copied, scratch = copies_of(c, packed, epilogue.dtype, runs.y * runs.x, tile, pixels)
    pointwise = runs.y * runs.x == 1
    spec = conv.ConvSpec(
        dtype=epilogue.dtype, tile_rows=rows, paired=paired, residual=epilogue.residual,
        sum_form=epilogue.sum_form, pointwise=pointwise, batched=batched,
        deep=rows > 1 and pointwise and is_deep(c, packed, epilogue.dtype),
        whole=rows > 1 and not (short and epilogue.dtype == "int8") and are_steps(packed, conv.STEPS[epilogue.dtype]),
        even=even, short=packed.groups if short else 0, marked=rows > 1 and not short and packed.marked,
        fitting=rows > 1 and not short and packed.fitting, held=pointwise and is_held(packed, epilogue.dtype, rows),
        clamped=epilogue.clamped,
        narrow=outputs < c.target.columns, parts=packed.parts, full_range=packed.full_range,
        scaling=packed.scaling, halved=epilogue.halved, sums=epilogue.sums, table=epilogue.table is not None,
        activation=epilogue.activation, residual_activation=epilogue.residual_activation,
    )  # fmt: skip
    m_tiles = ceil_div(pixels, rows)
    lines = (rows - 1) // most(1, width) * window.strides[0] + runs.y
    data = rows * x.pixel if pointwise else lines * x.row
    per_tile = blocks_per_tile(c, packed, m_tiles * images, data, paired=paired)
    parts = ceil_div(packed.blocks, per_tile)
    params = {
        "m_begin": 0, "m_end": pixels, "m_tiles": m_tiles, "out_width": width,
        "x_row": window.strides[0] * x.row, "x_pixel": window.strides[1] * x.pixel,
        "taps_y": runs.y, "tap_y": window.dilations[0] * x.row, "taps_x": runs.x, "tap_x": runs.step,
        "groups": packed.groups,
        "y_row": y.row, "y_pixel": y.pixel,
        "r_row": residual.row if residual else 0, "r_pixel": residual.pixel if residual else 0,
        "channels": outputs, "blocks": packed.blocks, "blocks_per_tile": per_tile, "block_bytes": packed.block_bytes,
        "copied": copied,
        **epilogue.params,
    }  # fmt: skip
    if batched:
        apart = {"x": x.image, "w": 0, "y": y.image, "r": residual.image if residual else 0}
        params |= {"parts": parts, "batch_1": 1}
        params |= {f"{name}_{i}": 0 if i else stride for name, stride in apart.items() for i in range(2)}
    operands = {"x": x.at(0, *window.origin), "w": packed.where, "y": y.at()}
    if residual is not None:
        operands["aux"] = residual.at()
    if epilogue.table is not None:
        operands["aux"] = epilogue.table
    waits, macs = barrier or packed.fresh, images * pixels * prod(w.shape)
    by_rows = Rowwise(x, y, window, rows, packed.matrix_bytes)
    c.emit(
        conv, spec, operands, params, m_tiles * parts * images, barrier=waits, macs=macs, rows=by_rows, scratch=scratch
    )


def _runs(x: View, shape: Sequence[int], window: Window) -> _Runs:
    """The runs of weights [O, C, kh, kw]."""
    _, depth, kh, kw = shape
    if window.dilations[1] == 1 and x.pixel == depth * x.element:
        return _Runs(kh, 1, 0)  # the taps of a kernel row are neighbours in memory
    return _Runs(kh, kw, window.dilations[1] * x.pixel)


def tile_of(c: Context, dtype: str, pixels: int, outputs: int) -> TileShape:
    """The shape of tiles that takes the fewest instructions: one of two blocks of channels reads less for what it
    computes, but where pixels are few it may compute more that nobody wants."""
    if pixels == 1:
        return TileShape(1, 1)
    shapes = c.target.tiles[dtype]
    if is_symbolic(outputs) or outputs % (2 * c.target.columns):
        return shapes[0]
    if is_symbolic(pixels):
        return min(shapes, key=lambda shape: shape.cost)
    return min(reversed(shapes), key=lambda shape: shape.cost * ceil_div(pixels, shape.pixels) * shape.pixels)


def copies_of(c: Context, packed: Packed, dtype: str, taps: int, tile: TileShape, pixels: int) -> tuple[bool, int, int]:
    """Whether the runs of `pixels` pixels can be copied before they are multiplied; and if a variant
    of the target makes copies, for how many register tiles at once, and the bytes of scratch memory for them: for one
    at least, for more where there is room."""
    size = largest(taps * packed.parts * packed.groups * group_of(dtype))
    if dtype != "int8" or tile.rows == 1 or size > DEEPEST or not are_steps(packed, 2):
        return False, 0, 0
    if not tile.gathered:
        return True, 0, 0
    most = ceil_div(min(largest(pixels), tile.rows), tile.gathered)
    sizes = {n: scratch_bytes(n, size, tile.gathered, c.target.columns) for n in range(1, most + 1)}
    copied = max(n for n in sizes if n == 1 or (sizes[n] <= MOST and c.room.for_copies(sizes[n])))
    return True, copied, sizes[copied]


def is_held(packed: Packed, dtype: str, rows: int) -> bool:
    """Whether the runs of a matrix product of int8 are one step."""
    plain = dtype == "int8" and not packed.full_range
    return plain and rows > 1 and packed.parts == 1 and packed.groups == conv.STEPS["int8"]


def is_deep(c: Context, packed: Packed, dtype: str) -> bool:
    """Whether the runs of a matrix product are long enough for three parts of pairs of blocks: of fewer, large cores
    keep all weights in the first cache."""
    long = always_less(3 * part_groups(2 * c.target.columns) - 1, packed.groups)
    return dtype == "float32" and long and packed.parts == 1 and are_steps(packed, conv.STEPS[dtype])


def are_steps(packed: Packed, groups: int) -> bool:
    """Whether runs are steps of so many groups, one or more."""
    return packed.groups % groups == 0 and always_less(0, packed.groups)


def blocks_per_tile(c: Context, packed: Packed, m_tiles: int, data: int, *, paired: bool) -> int:
    """Blocks of output channels that a tile computes of its pixels: those whose weights the tiles of other pixels find
    in the second cache, beside the `data` bytes that they read."""
    unit = 2 if paired else 1
    blocks, room = packed.blocks // unit, most(c.target.cache // 2, int(c.target.share * c.target.cache) - data)
    per_tile = most(1, least(blocks, room * blocks // packed.matrix_bytes))
    few = least(per_tile, most(1, ceil_div(blocks * m_tiles, 2 * FEW_TILES)))
    per_tile = per_tile - (per_tile - few) * less(m_tiles, FEW_TILES)
    return unit * ceil_div(blocks, most(1, ceil_div(blocks, per_tile)))  # so that the last one is not much less
