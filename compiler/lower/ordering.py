"""top_k and cumulative -> their kernels, over the middle of [outer, count, inner]."""

from math import prod

from ..ir.attributes import bool_attr, int_attr, str_attr
from ..ir.extent import ceil_div, least
from ..ir.graph import Node
from ..kernels import cumulative, top_k
from ..ops.cumulative import KINDS
from .context import Context, lowering
from .copies import dense

CHUNK = 4096
"""Elements of a tile of running sums, side by side."""


@lowering("top_k")
def lower_top_k(c: Context, node: Node) -> None:
    """bool is ordered as the bytes it is."""
    x = dense(c, c.input(node, 0))
    values, indices = (c.layout.views[v] for v in node.outputs)
    axis, shape = int_attr(node, "axis"), x.type.shape
    inner = prod(shape[axis + 1 :])
    params = {"count": shape[axis], "k": int_attr(node, "k"), "inner": inner}
    params["flip"] = 0 if bool_attr(node, "largest") else -1
    spec = top_k.TopKSpec("uint8" if x.type.dtype == "bool" else x.type.dtype)
    operands = {"x": x.at(), "y": values.at(), "indices": indices.at()}
    c.emit(top_k, spec, operands, params, prod(shape[:axis]) * inner)


@lowering("cumulative")
def lower_cumulative(c: Context, node: Node) -> None:
    """Elements inside the axis go side by side."""
    x, y = dense(c, c.input(node, 0)), c.output(node)
    axis, shape = int_attr(node, "axis"), x.type.shape
    inner, reverse = prod(shape[axis + 1 :]), bool_attr(node, "reverse")
    chunk = least(inner, CHUNK)
    chunks = ceil_div(inner, chunk)
    params = {
        "count": shape[axis], "inner": inner, "chunk": chunk, "chunks": chunks,
        "first": shape[axis] - 1 if reverse else 0, "step": -1 if reverse else 1,
    }  # fmt: skip
    spec = cumulative.CumulativeSpec(str_attr(node, "kind", KINDS), x.type.dtype, bool_attr(node, "exclusive"))
    c.emit(cumulative, spec, {"x": x.at(), "y": y.at()}, params, prod(shape[:axis]) * chunks)
