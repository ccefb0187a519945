"""Dense convolutions and matrix products -> steps of the implicit GEMM kernels (`kernels/conv.py`)."""

from dataclasses import dataclass

import numpy as np

from ..ir.graph import Array
from ..kernels import conv
from .buffers import View
from .context import Context
from .epilogue import Epilogue
from .pack import int8_parts, pack_dense
from .windows import Window

L1_WEIGHTS = 16384
"""Bytes of packed weights that a tile streams over its pixels; more than that and the channels are split."""

FEW_TILES = 8
"""With fewer tiles of pixels than that, the channels are split so that all threads have work."""


@dataclass(frozen=True)
class _Runs:
    """What one output pixel reads: [y][x] runs of contiguous elements.

    `taps`: their weights, [y * x * parts, run, channels], where a run is a multiple of the kernel's group. `step`:
    bytes from a run to the next in x. `parts`: numbers whose sum is a weight.
    """

    taps: Array
    y: int
    x: int
    step: int
    parts: int


def dense(
    c: Context, x: View, y: View, w: Array, window: Window, epilogue: Epilogue, residual: View | None = None, *,
    barrier: bool = True,
) -> None:  # fmt: skip
    """Every pixel of x [n, h, w, C] under the window times w [O, C, kh, kw] -> y [n, oh, ow, O]: a step an image."""
    runs = _runs(x, w, window, epilogue.dtype)
    images, height, width, outputs = y.dims
    views = [(x, window.strides[0]), (y, 1), *([(residual, 1)] if residual else [])]
    if all(view.image == height * step * view.row for view, step in views):
        images, height = 1, images * height  # the images are as far apart as their rows
    pixels, columns = height * width, c.target.columns
    rows = (c.target.int8_rows if epilogue.dtype == "int8" else c.target.float_rows) if pixels > 1 else 1
    group = _group(epilogue.dtype)
    groups = runs.taps.shape[1] // group
    spec = conv.ConvSpec(
        dtype=epilogue.dtype, tile_rows=rows, residual=epilogue.residual, pointwise=runs.y * runs.x == 1,
        whole=groups % conv.STEP == 0, clamped=epilogue.clamped, narrow=outputs < columns, parts=runs.parts,
        full_range=epilogue.dtype == "int8" and bool((runs.taps == -128).any()),
        activation=epilogue.activation, residual_activation=epilogue.residual_activation,
    )  # fmt: skip
    packed = pack_dense(runs.taps, columns, group, epilogue.header(w))
    blocks, m_tiles = -(-outputs // columns), -(-pixels // rows)
    per_tile = _blocks_per_tile(len(packed), blocks, m_tiles)
    params = {
        "m_begin": 0, "m_end": pixels, "m_tiles": m_tiles, "out_width": width,
        "x_row": window.strides[0] * x.row, "x_pixel": window.strides[1] * x.pixel,
        "taps_y": runs.y, "tap_y": window.dilations[0] * x.row, "taps_x": runs.x, "tap_x": runs.step, "groups": groups,
        "y_row": y.row, "y_pixel": y.pixel,
        "r_row": residual.row if residual else 0, "r_pixel": residual.pixel if residual else 0,
        "channels": outputs, "blocks": blocks, "blocks_per_tile": per_tile, "block_bytes": len(packed) // blocks,
        **epilogue.params,
    }  # fmt: skip
    weights, tiles = c.weights.add(packed), m_tiles * -(-blocks // per_tile)
    for image in range(images):
        operands = {"x": x.at(image, *window.origin), "w": weights, "y": y.at(image)}
        if residual is not None:
            operands["residual"] = residual.at(image)
        c.emit(conv, spec, operands, params, tiles, barrier=barrier and image == 0, macs=pixels * w.size)


def _runs(x: View, w: Array, window: Window, dtype: str) -> _Runs:
    """The weights [O, C, kh, kw], run by run."""
    outputs, depth, kh, kw = w.shape
    if window.dilations[1] == 1 and x.pixel == depth * x.element:
        count, run, step = 1, kw * depth, 0  # the taps of a kernel row are neighbours in memory
    else:
        count, run, step = kw, depth, window.dilations[1] * x.pixel
    parts = int8_parts(w) if dtype == "int8" else [w]
    taps = [part.transpose(2, 3, 1, 0).reshape(kh * count, run, outputs) for part in parts]
    stacked = np.stack(taps, axis=1).reshape(kh * count * len(parts), run, outputs)
    return _Runs(_whole_groups(stacked, dtype), kh, count, step, len(parts))


def _whole_groups(taps: Array, dtype: str) -> Array:
    """`taps` [taps, run, channels] with runs lengthened by weights of 0 to whole groups, or to whole steps of the
    kernel where these cost no more."""
    group = _group(dtype)
    groups = -(-taps.shape[1] // group)
    if dtype == "int8" and groups % conv.STEP >= conv.STEP // 2:
        groups += -groups % conv.STEP  # a whole step takes as long as two single groups
    return np.pad(taps, ((0, 0), (0, groups * group - taps.shape[1]), (0, 0)))


def _group(dtype: str) -> int:
    """Elements that the kernels multiply and add at once."""
    return 4 if dtype == "int8" else 1


def _blocks_per_tile(packed_bytes: int, blocks: int, m_tiles: int) -> int:
    """Blocks of output channels that a tile computes of its pixels."""
    per_tile = blocks
    if packed_bytes > 2 * L1_WEIGHTS:
        per_tile = max(1, min(blocks, L1_WEIGHTS * blocks // packed_bytes))
    return min(per_tile, -(-blocks // FEW_TILES)) if m_tiles < FEW_TILES else per_tile
