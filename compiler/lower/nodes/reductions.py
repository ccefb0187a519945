"""Reductions and softmax -> their kernels."""

from dataclasses import dataclass
from math import prod

from ...ir.attributes import bool_attr, int_attr, ints_attr, str_attr
from ...ir.extent import ceil_div, least, most
from ...ir.graph import Node
from ...ir.reduction import KINDS, Kind
from ...ir.types import Quant
from ...kernels import reduce, softmax
from ...kernels.emit import halves
from ...ops import quantized
from ..buffers import View
from ..context import Context, lowering, require
from ..copies import dense, permuted, strided_copy
from ..iteration import IterationSpace, collapse, strides
from .pack import float_bits

CHANNELS = 64
"""Elements that stay of a tile of a reduction."""

SOFTMAX_ELEMENTS = 4096
"""Elements of a tile of softmax rows."""


@dataclass(frozen=True)
class _Reduction:
    """[outer, rows, columns, inner] -> [outer, inner]: (extent, stride in bytes) of each; inner elements are dense.
    `y_outer`: the results' outer stride."""

    outer: tuple[int, int]
    rows: tuple[int, int]
    columns: tuple[int, int]
    inner: int
    y_outer: int


@lowering("reduce")
def lower_reduce(c: Context, node: Node) -> None:
    """Neighbouring axes are reduced as they lie in memory; others are moved behind those that stay first."""
    x, y = c.input(node, 0), c.output(node)
    axes, kind = ints_attr(node, "axes"), _kind(node)
    found = _in_memory(x, axes, y.element)
    if found is None:
        kept = [a for a in range(x.type.rank) if a not in axes]
        with c.part("transpose"):
            x = permuted(c, x, [*kept, *sorted(axes)])
        count = prod(x.type.shape[len(kept) :])
        found = _Reduction((x.type.size // count, count * x.element), (1, 0), (count, x.element), 1, y.element)
    _reduce(c, kind, x, y, found, (node.inputs[0].type.quant, node.output.type.quant))


def reduce_planes(c: Context, x: View, y: View) -> None:
    """y [n, 1, 1, c] := the mean of every plane of x [n, h, w, c]."""
    planes = _Reduction((x.dims[0], x.image), (x.dims[1], x.row), (x.dims[2], x.pixel), x.dims[3], y.image)
    _reduce(c, "mean", x, y, planes, (x.type.quant, y.type.quant))


def _kind(node: Node) -> Kind:
    kind: Kind = str_attr(node, "kind", KINDS)  # type: ignore[assignment]
    return kind


def _in_memory(x: View, axes: tuple[int, ...], y_element: int) -> _Reduction | None:
    """How the kernels can reduce `x` where it is, if they can, to dense results of `y_element` bytes."""
    if not axes or max(axes) - min(axes) >= len(axes):
        return None
    first, after, own, shape = min(axes), max(axes) + 1, strides(x), x.type.shape
    outer, reduced, inner = (
        collapse(shape[part], [own[part]]) for part in (slice(first), slice(first, after), slice(after, None))
    )
    if len(outer.extents) > 1 or len(reduced.extents) > 2:
        return None
    levels = [(1, 0)] * (2 - len(reduced.extents)) + _pairs(reduced)
    rows, columns = levels
    count = prod(inner.extents)
    if count != 1 and _pairs(inner) != [(count, x.element)]:
        return None
    if count == 1 and columns[1] != x.element:
        if rows[0] != 1:
            return None
        rows, columns = columns, (1, x.element)  # elements with gaps are rows of one
    return _Reduction(_pairs(outer)[0] if outer.extents else (1, 0), rows, columns, count, count * y_element)


def _pairs(space: IterationSpace) -> list[tuple[int, int]]:
    """(extent, stride) of each dimension."""
    return list(zip(space.extents, space.strides[0], strict=True))


def _reduce(
    c: Context, kind: Kind, x: View, y: View, what: _Reduction, quants: tuple[Quant | None, Quant | None]
) -> None:
    """One step. `quants`: those of the node's data and result."""
    spec = reduce.ReduceSpec(kind, x.type.dtype, inner=what.inner != 1)
    params = {
        "rows": what.rows[0], "x_row": what.rows[1], "columns": what.columns[0], "x_outer": what.outer[1],
        "y_outer": what.y_outer,
    }  # fmt: skip
    tiles = what.outer[0]
    if spec.inner:
        chunk = least(most(what.inner, 1), CHANNELS)
        chunks = ceil_div(what.inner, chunk)
        params |= {"x_column": what.columns[1], "inner": what.inner, "chunk": chunk, "chunks": chunks}
        tiles *= chunks
    if kind == "mean":
        params |= _mean_params(what.rows[0] * what.columns[0], *quants)
    c.emit(reduce, spec, {"x": x.at(), "y": y.at()}, params, tiles)


def _mean_params(count: int, x: Quant | None, y: Quant | None) -> dict[str, int]:
    if x is None or y is None:
        return {"count": count}
    (x_scale, x_zero), (y_scale, y_zero) = quantized.scalar(x), quantized.scalar(y)
    return {
        "count": count, "x_zero_point": x_zero, "zero_point": y_zero,
        "x_scale": float_bits(x_scale), "y_scale": float_bits(y_scale),
    }  # fmt: skip


@lowering("softmax")
def lower_softmax(c: Context, node: Node) -> None:
    """Over the last axis; another one is moved there and back."""
    require(node, "float32", "float16", "int8")
    x, y = c.input(node, 0), c.output(node)
    axis, rank, shape = int_attr(node, "axis"), x.type.rank, x.type.shape
    if prod(shape[axis + 1 :]) == 1:
        _softmax_rows(c, node, dense(c, x), y)
        return
    order = [*(a for a in range(rank) if a != axis), axis]
    with c.part("transpose"):
        x = permuted(c, x, order)
    result = c.scratch(y.type.with_shape(x.type.shape))
    _softmax_rows(c, node, x, result)
    own = strides(y)
    with c.part("transpose"):
        strided_copy(c, result.at(), y.at(), result.type.shape, strides(result), [own[a] for a in order], y.element)


def _softmax_rows(c: Context, node: Node, x: View, y: View) -> None:
    """Dense rows of the softmax axis' length."""
    count = node.inputs[0].type.shape[int_attr(node, "axis")]
    rows, tile_rows = x.type.size // count, most(1, SOFTMAX_ELEMENTS // most(count, 1))
    short = x.type.dtype == "float16" and not bool_attr(node, "log") and most(count, 1) <= halves.KEPT
    spec = softmax.SoftmaxSpec(x.type.dtype, bool_attr(node, "log"), short)
    params = {"rows": rows, "tile_rows": tile_rows, "count": count}
    params |= {"x_row": count * x.element, "y_row": count * y.element}
    operands = {"x": x.at(), "y": y.at()}
    x_quant, y_quant = node.inputs[0].type.quant, node.output.type.quant
    if x_quant is not None and y_quant is not None:
        scale, zero = quantized.scalar(y_quant)
        params |= {"inverse_scale": float_bits(1.0 / scale), "zero_point": zero}
        operands["w"] = c.weights.add(quantized.softmax_table(x_quant).tobytes())
    c.emit(softmax, spec, operands, params, ceil_div(rows, tile_rows))
