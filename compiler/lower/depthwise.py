"""Depthwise convolutions -> steps of `kernels/depthwise.py`."""

import numpy as np

from ..ir.extent import always_less, ceil_div
from ..ir.graph import Array
from ..kernels import depthwise as kernels
from .buffers import View
from .context import Context
from .epilogue import Epilogue
from .iteration import each
from .pack import int8_parts, pack_depthwise
from .windows import Window

UNROLLED = {(3, 3), (5, 5)}
"""Kernels that get code of their own."""


def depthwise(
    c: Context, x: View, y: View, w: Array, window: Window, epilogue: Epilogue, residual: View | None, *,
    barrier: bool = True,
) -> None:  # fmt: skip
    """x [n, h, w, C], weights [C, kh, kw] -> y [n, oh, ow, C]: a step an image."""
    images, height, width, channels = y.dims
    columns, dtype = c.target.columns, epilogue.dtype
    flat = w.reshape(channels, window.taps[0] * window.taps[1]).T
    parts = int8_parts(flat) if dtype == "int8" else [flat]
    taps = np.stack(parts, axis=1).reshape(len(flat) * len(parts), channels)
    small = epilogue.is_small(w)
    spec = kernels.DepthwiseSpec(
        dtype=dtype, kernel=_unrolled(window, height) if len(parts) == 1 else None, residual=epilogue.residual,
        clamped=epilogue.clamped, full_range=dtype == "int8" and bool((taps == -128).any()),
        small=small, narrow=channels < columns, parts=len(parts),
        activation=epilogue.activation, residual_activation=epilogue.residual_activation,
    )  # fmt: skip
    packed = pack_depthwise(taps, columns, epilogue.header(w, small=small))
    blocks = -(-channels // columns)
    params = {
        "out_height": height, "out_width": width,
        "x_row": window.strides[0] * x.row, "x_pixel": window.strides[1] * x.pixel,
        "taps_y": window.taps[0], "tap_y": window.dilations[0] * x.row,
        "taps_x": window.taps[1], "tap_x": window.dilations[1] * x.pixel,
        "y_row": y.row, "y_pixel": y.pixel,
        "r_row": residual.row if residual else 0, "r_pixel": residual.pixel if residual else 0,
        "channels": channels, "blocks": blocks, "block_bytes": len(packed) // blocks, **epilogue.params,
    }  # fmt: skip
    weights, tiles = c.weights.add(packed), ceil_div(height, spec.tile_rows)
    for image, present in each(images):
        operands = {"x": x.at(image, *window.origin), "w": weights, "y": y.at(image)}
        if residual is not None:
            operands["residual"] = residual.at(image)
        macs = height * width * w.size
        c.emit(kernels, spec, operands, params, tiles * present, barrier=barrier and image == 0, macs=macs)


def _unrolled(window: Window, height: int) -> tuple[int, int, int] | None:
    """The kernel, if there is code for it: two rows at a time need two rows, one stride apart."""
    stride_y, stride_x = window.strides
    fits = window.dilations == (1, 1) and stride_y == stride_x <= 2 and always_less(1, height)
    return (*window.taps, stride_x) if window.taps in UNROLLED and fits else None
