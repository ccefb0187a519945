"""Dense convolutions -> steps of the implicit GEMM kernels (`kernels/convolutions/conv.py`)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod

from ...ir.extent import is_symbolic, most
from ...kernels.convolutions import conv
from ..buffers import View
from ..context import Context
from ..windows import Rowwise, Window
from .epilogue import Epilogue
from .packing import Kernel
from .tiling import Factors, tiling_of


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
    pointwise = runs.y * runs.x == 1

    def data(rows: int) -> int:
        lines = (rows - 1) // most(1, width) * window.strides[0] + runs.y
        return rows * x.pixel if pointwise else lines * x.row

    factors = Factors(pixels, outputs, data, images, runs.y, runs.x)
    how = tiling_of(c, packed, epilogue.dtype, factors)
    spec = how.spec(packed, epilogue, pointwise=pointwise, batched=batched, narrow=outputs < c.target.columns)
    params = how.params(packed, epilogue, factors) | _places(x, y, residual, window, runs, pixels)
    if batched:
        apart = {"x": x.image, "w": 0, "y": y.image, "r": residual.image if residual else 0}
        params |= {"parts": how.parts, "batch_1": 1}
        params |= {f"{name}_{i}": 0 if i else stride for name, stride in apart.items() for i in range(2)}
    operands = {"x": x.at(0, *window.origin), "w": packed.where, "y": y.at()}
    if residual is not None:
        operands["aux"] = residual.at()
    if epilogue.table is not None:
        operands["aux"] = epilogue.table
    waits, macs = barrier or packed.fresh, images * pixels * prod(w.shape)
    tiles = how.m_tiles * how.parts * images
    by_rows = Rowwise(x, y, window, how.tile.rows, packed.matrix_bytes)
    c.emit(conv, spec, operands, params, tiles, barrier=waits, macs=macs, rows=by_rows, scratch=how.scratch)


def _places(
    x: View, y: View, residual: View | None, window: Window, runs: _Runs, pixels: int
) -> dict[str, int]:  # fmt: skip
    """The parameters that say where `pixels` pixels lie, and their runs. Rows that follow each other in all tensors are
    one."""
    (down, right), width = window.strides, y.dims[2]
    views = [(x, down, right), (y, 1, 1), *([(residual, 1, 1)] if residual else [])]
    one_row = all(view.row * down == width * view.pixel * right for view, down, right in views)
    return {
        "out_width": pixels if one_row else width, "x_row": down * x.row, "x_pixel": right * x.pixel,
        "taps_y": runs.y, "tap_y": window.dilations[0] * x.row, "taps_x": runs.x, "tap_x": runs.step,
        "y_row": y.row, "y_pixel": y.pixel,
        "r_row": residual.row if residual else 0, "r_pixel": residual.pixel if residual else 0,
    }  # fmt: skip


def _runs(x: View, shape: Sequence[int], window: Window) -> _Runs:
    """The runs of weights [O, C, kh, kw]."""
    _, depth, kh, kw = shape
    if window.dilations[1] == 1 and x.pixel == depth * x.element:
        return _Runs(kh, 1, 0)  # the taps of a kernel row are neighbours in memory
    return _Runs(kh, kw, window.dilations[1] * x.pixel)
