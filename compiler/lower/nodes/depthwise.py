"""Depthwise convolutions -> steps of `kernels/convolutions/depthwise.py`."""

from math import prod

import numpy as np

from ...ir.extent import always_less, ceil_div, is_symbolic, least, most
from ...kernels.convolutions import depthwise as kernels
from ..buffers import View
from ..context import Context
from ..windows import Rowwise, Window
from .epilogue import Epilogue
from .pack import int8_parts, pack_depthwise
from .packing import ConstantKernel, Kernel, Packed

TILE_CHANNELS = 256
"""Channels of a tile: whole cache lines, which blocks share, many enough that memory is read in long runs."""

TILE_BYTES = 16384
"""Bytes of input that a tile of them reads, beside its borders: they stay in a small core's first cache."""

FEW_TILES = 8
"""With fewer tiles than that, they have fewer rows so that all threads have work."""

SPAN_LINES = 384
"""Lines of the cache that a span of pixels reads at most: most of the first cache of a small core."""

SPAN_UNIT = 6
"""Pixels of a span are a multiple of those that kernels take together."""

UNROLLED = {(3, 3), (5, 5)}
"""Kernels that get code of their own."""


def depthwise(
    c: Context, x: View, y: View, w: Kernel, window: Window, epilogue: Epilogue, residual: View | None, *,
    barrier: bool = True,
) -> None:  # fmt: skip
    """x [n, h, w, C], weights [C, kh, kw] -> y [n, oh, ow, C], in one step."""
    images, height, width, channels = y.dims
    columns, dtype = c.target.columns, epilogue.dtype
    packed = _packed(c, w, epilogue)
    spec = kernels.DepthwiseSpec(
        dtype=dtype, kernel=_unrolled(window, height) if packed.parts == 1 else None, residual=epilogue.residual,
        sum_form=epilogue.sum_form,
        clamped=epilogue.clamped, full_range=packed.full_range, scaling=packed.scaling, narrow=channels < columns,
        parts=packed.parts, batched=is_symbolic(images) or images > 1,
        activation=epilogue.activation, residual_activation=epilogue.residual_activation,
    )  # fmt: skip
    groups = ceil_div(packed.blocks, TILE_CHANNELS // columns)
    tile_blocks = ceil_div(packed.blocks, groups)
    pairs, pair_bytes = ceil_div(height, 2), 2 * window.strides[0] * window.strides[1] * width * channels * x.element
    tile_rows = 2 * most(1, least(pairs * groups // FEW_TILES, TILE_BYTES * groups // pair_bytes))
    params = {
        "out_height": height, "out_width": width,
        "tile_rows": tile_rows, "row_tiles": ceil_div(height, tile_rows), "tile_blocks": tile_blocks,
        "x_row": window.strides[0] * x.row, "x_pixel": window.strides[1] * x.pixel,
        "taps_y": window.taps[0], "tap_y": window.dilations[0] * x.row,
        "taps_x": window.taps[1], "tap_x": window.dilations[1] * x.pixel,
        "y_row": y.row, "y_pixel": y.pixel,
        "r_row": residual.row if residual else 0, "r_pixel": residual.pixel if residual else 0,
        "channels": channels, "blocks": packed.blocks, "block_bytes": packed.block_bytes, **epilogue.params,
    }  # fmt: skip
    block_tiles = ceil_div(packed.blocks, tile_blocks)
    if dtype == "float32":
        params["span"] = _span(window, width)
    if spec.batched:
        params |= {"block_tiles": block_tiles, "x_image": x.image, "y_image": y.image}
        params["r_image"] = residual.image if residual else 0
    operands = {"x": x.at(0, *window.origin), "w": packed.where, "y": y.at()}
    if residual is not None:
        operands["aux"] = residual.at()
    waits, macs = barrier or packed.fresh, images * height * width * prod(w.shape)
    rows = Rowwise(x, y, window, tile_rows, packed.matrix_bytes, "depthwise")
    tiles = images * params["row_tiles"] * block_tiles
    c.emit(kernels, spec, operands, params, tiles, barrier=waits, macs=macs, rows=rows)


def _span(window: Window, width: int) -> int:
    """Pixels of two rows of `width` whose inputs, a line of the cache each, stay in a small core's first cache."""
    if is_symbolic(width):
        return width
    rows, step = window.taps[0] + window.strides[0], window.strides[1]
    spans = max(1, ceil_div(rows * ((width - 1) * step + window.taps[1]), SPAN_LINES))  # a window may have no taps
    return min(width, SPAN_UNIT * ceil_div(ceil_div(width, spans), SPAN_UNIT))


def has_depthwise_form(w: Kernel, epilogue: Epilogue) -> bool:
    """Whether there are kernels for these weights; those for int8 want constants, and requantize."""
    return epilogue.dtype != "int8" or (isinstance(w, ConstantKernel) and not epilogue.sums)


def _packed(c: Context, w: Kernel, epilogue: Epilogue) -> Packed:
    """Weights [C, 1, kh, kw], tap by tap."""
    channels, _, kh, kw = w.shape
    if not isinstance(w, ConstantKernel):
        return w.packed(c, epilogue, kh * kw)
    flat, columns = w.data.reshape(channels, kh * kw).T, c.target.columns
    parts = int8_parts(flat) if epilogue.dtype == "int8" else [flat]
    taps = np.stack(parts, axis=1).reshape(len(flat) * len(parts), channels)
    scaling, blocks = epilogue.scaling(w.data), -(-channels // columns)
    content = pack_depthwise(taps, columns, epilogue.header(w.data, scaling))
    full_range = epilogue.dtype == "int8" and bool((taps == -128).any())
    return Packed(c.weights.add(content), blocks, len(content) // blocks, 1, len(parts), full_range, scaling=scaling)


def _unrolled(window: Window, height: int) -> tuple[int, int, int] | None:
    """The kernel, if there is code for it: two rows at a time need two rows, one stride apart."""
    stride_y, stride_x = window.strides
    fits = window.dilations == (1, 1) and stride_y == stride_x <= 2 and always_less(1, height)
    return (*window.taps, stride_x) if window.taps in UNROLLED and fits else None
