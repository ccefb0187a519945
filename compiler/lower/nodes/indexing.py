"""gather and scatter -> rows by number."""

from math import prod

from ...ir.attributes import int_attr, str_attr
from ...ir.extent import ceil_div, largest, least, most
from ...ir.graph import Node
from ...kernels import gather, scatter
from ...ops.scatter import REDUCTIONS
from ..buffers import View
from ..context import Context, lowering
from ..copies import copy, dense

MOVED = 16384
"""Bytes of a tile of gathered rows, or of a scattered row, more or less."""

LARGE_PAGE = 2 << 20
MAPPED = 64 << 10
"""Bytes that the system maps at least around an address of a file that is read: in a large page all of it."""


@lowering("gather")
def lower_gather(c: Context, node: Node) -> None:
    """Rows by number: everything inside the axis is one row."""
    x, indices, y = dense(c, _data(c, node)), dense(c, c.input(node, 1)), c.output(node)
    axis, shape = int_attr(node, "axis"), x.type.shape
    row, count = x.element * prod(shape[axis + 1 :]), indices.type.size
    tile_rows = most(1, least(count, MOVED // most(row, 1)))
    chunks = ceil_div(count, tile_rows)
    params = {
        "extent": shape[axis], "indices": count, "tile_rows": tile_rows, "chunks": chunks, "row_bytes": row,
        "x_outer": shape[axis] * row, "x_step": row, "y_outer": count * row, "y_step": row,
    }  # fmt: skip
    spec = gather.GatherSpec(indices.type.dtype, x.element if row == x.element else 0)
    c.emit(gather, spec, {"x": x.at(), "w": indices.at(), "y": y.at()}, params, prod(shape[:axis]) * chunks)


def _data(c: Context, node: Node) -> View:
    """What rows are taken from. Of a large constant few may be: it stays in the file but for these, and what the system
    maps around them."""
    value = node.inputs[0]
    if value.data is None:
        return c.input(node, 0)
    rows = prod(value.type.shape[: int_attr(node, "axis")]) * largest(node.inputs[1].type.size)
    return c.constant(value, by_rows=value.data.nbytes >= max(LARGE_PAGE, rows * MAPPED))


@lowering("scatter")
def lower_scatter(c: Context, node: Node) -> None:
    """A copy of the data, unless they lie in the output's place, then the rows, one after the other."""
    x, y = c.input(node, 0), c.output(node)
    indices, updates = dense(c, c.input(node, 1)), dense(c, c.input(node, 2))
    if x.at() != y.at():
        with c.part("copy"):
            copy(c, x, y)
    reduction = str_attr(node, "reduction", REDUCTIONS)
    spec = scatter.ScatterSpec(indices.type.dtype, _element_type(y, reduction), reduction)
    row = prod(y.type.shape[1:])
    chunk = least(most(row, 1), MOVED // y.element)
    params = {"extent": y.type.shape[0], "indices": indices.type.size, "row": row, "chunk": chunk}
    c.emit(scatter, spec, {"w": indices.at(), "x": updates.at(), "y": y.at()}, params, ceil_div(row, chunk))


def _element_type(y: View, reduction: str) -> str:
    return y.type.dtype if reduction != "none" else f"int{8 * y.element}"
