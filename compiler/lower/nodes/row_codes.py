"""float32 rows -> the int8 codes and scales that products with int8 weights take in their place."""

from dataclasses import replace
from math import prod

from ...ir.extent import ceil_div, most
from ...ir.graph import Node
from ...ir.types import TensorType
from ...kernels.convolutions import row_codes as kernels
from ...ops import epilogue as op
from ..buffers import ALIGNMENT, View
from ..context import Context
from ..copies import permuted
from ..iteration import collapse, strides

ELEMENTS = 4096
"""Of a tile of rows."""


def row_codes(c: Context, node: Node) -> tuple[View, View]:
    """Codes int8 [.., M, K] and scales float32 [.., M] of the data of `node`, made once for all nodes that read it."""
    value = node.inputs[op.X]
    if value not in c.row_codes:
        c.row_codes[value] = _emit(c, c.input(node, op.X))
    return c.row_codes[value]


def _emit(c: Context, x: View) -> tuple[View, View]:
    shape = x.type.shape
    codes, scales = _allocated(c, shape)
    with c.part("codes"):
        space = collapse(shape[:-1], [strides(x)[:-1]])
        if len(space.extents) > 1:
            x = permuted(c, x, range(x.type.rank))
            space = collapse(shape[:-1], [strides(x)[:-1]])
        rows, x_row = (space.extents or (1,))[0], (space.strides[0] or (0,))[0]
        tile_rows = most(1, ELEMENTS // most(shape[-1], 1))
        params = {"rows": rows, "tile_rows": tile_rows, "count": shape[-1], "x_row": x_row}
        operands = {"x": x.at(), "y": codes.at(), "scales": scales.at()}
        c.emit(kernels, kernels.RowCodesSpec(), operands, params, ceil_div(rows, tile_rows))
    return codes, scales


def _allocated(c: Context, shape: tuple[int, ...]) -> tuple[View, View]:
    """Memory for codes of `shape`, and for scales behind them: one storage, so that kernels take it as one operand."""
    size, count = ceil_div(prod(shape), ALIGNMENT) * ALIGNMENT, prod(shape[:-1])
    both = c.scratch(TensorType((size + 4 * count,), "int8"))
    scales = both.reshaped(TensorType(shape[:-1], "float32"))
    return both.reshaped(TensorType(shape, "int8")), replace(scales, offset=scales.offset + size)
