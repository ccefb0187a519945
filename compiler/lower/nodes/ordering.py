"""Ops that order, add up or choose elements -> their kernels."""

from math import prod

from ...ir.attributes import bool_attr, float_attr, int_attr, str_attr
from ...ir.extent import ceil_div, is_symbolic, least, most
from ...ir.graph import Node
from ...ir.types import TensorType
from ...kernels import cumulative, first, nms, nonzero, top_k
from ...ops.cumulative import KINDS
from ..context import Context, lowering
from ..copies import dense
from .pack import float_bits

CHUNK = 4096
"""Elements of a tile of columns, side by side."""


@lowering("top_k")
def lower_top_k(c: Context, node: Node) -> None:
    """bool is ordered as the bytes it is. One element needs no heap."""
    x = dense(c, c.input(node, 0))
    values, indices = (c.layout.views[v] for v in node.outputs)
    axis, shape = int_attr(node, "axis"), x.type.shape
    inner = prod(shape[axis + 1 :])
    dtype, outer = "uint8" if x.type.dtype == "bool" else x.type.dtype, prod(shape[:axis])
    params = {"count": shape[axis], "flip": 0 if bool_attr(node, "largest") else -1}
    operands = {"x": x.at(), "y": values.at(), "indices": indices.at()}
    k = int_attr(node, "k")
    if is_symbolic(k) or k > 1:
        params |= {"k": k, "inner": inner}
        c.emit(top_k, top_k.TopKSpec(dtype), operands, params, outer * inner * least(k, 1))
    elif inner == 1:
        c.emit(first, first.FirstSpec(dtype, inner=False), operands, params, outer)
    else:
        chunk = least(most(inner, 1), CHUNK)
        chunks = ceil_div(inner, chunk)
        params |= {"inner": inner, "chunk": chunk, "chunks": chunks}
        c.emit(first, first.FirstSpec(dtype, inner=True), operands, params, outer * chunks)


@lowering("cumulative")
def lower_cumulative(c: Context, node: Node) -> None:
    """Elements inside the axis go side by side."""
    x, y = dense(c, c.input(node, 0)), c.output(node)
    axis, shape = int_attr(node, "axis"), x.type.shape
    inner, reverse = prod(shape[axis + 1 :]), bool_attr(node, "reverse")
    chunk = least(most(inner, 1), CHUNK)
    chunks = ceil_div(inner, chunk)
    params = {
        "count": shape[axis], "inner": inner, "chunk": chunk, "chunks": chunks,
        "first": shape[axis] - 1 if reverse else 0, "step": -1 if reverse else 1,
    }  # fmt: skip
    spec = cumulative.CumulativeSpec(str_attr(node, "kind", KINDS), x.type.dtype, bool_attr(node, "exclusive"))
    tiles = prod(shape[:axis]) * chunks * least(shape[axis], 1)
    c.emit(cumulative, spec, {"x": x.at(), "y": y.at()}, params, tiles)


@lowering("nonzero")
def lower_nonzero(c: Context, node: Node) -> None:
    """One pass over all elements."""
    x = dense(c, c.input(node, 0))
    positions, count = (c.layout.views[v] for v in node.outputs)
    spec = nonzero.NonzeroSpec(x.type.dtype)
    c.emit(nonzero, spec, {"x": x.at(), "y": positions.at(), "total": count.at()}, {"count": x.type.size}, 1)


@lowering("nms")
def lower_nms(c: Context, node: Node) -> None:
    """The indices of a class's candidates are a temporary."""
    boxes, scores = (dense(c, c.input(node, i)) for i in range(2))
    rows, total = (c.layout.views[v] for v in node.outputs)
    batches, classes, count = scores.type.shape
    params = {
        "batches": batches, "classes": classes, "count": count, "most": int_attr(node, "max_output"),
        "rows": rows.type.shape[0], "iou_threshold": float_bits(float_attr(node, "iou_threshold")),
        "score_threshold": float_bits(float_attr(node, "score_threshold")),
    }  # fmt: skip
    candidates = c.scratch(TensorType((count,), "int64"))
    operands = {"boxes": boxes, "scores": scores, "w": candidates, "y": rows, "total": total}
    spec = nms.NmsSpec(bool_attr(node, "center_point_box"))
    c.emit(nms, spec, {name: view.at() for name, view in operands.items()}, params, 1)
