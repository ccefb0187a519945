"""Pools, reductions and softmax -> their kernels."""

from math import prod

import numpy as np

from ...errors import EdgeError
from ..ir.attributes import bool_attr, int_attr, ints_attr, str_attr
from ..ir.graph import Node
from ..kernels import pool, reduce, softmax
from ..ops import quantized
from ..ops.pool import window_counts
from .buffers import View
from .context import Context, lowering
from .iteration import Space, collapse, strides
from .pack import float_bits

CHANNELS = 64
"""Channels of a tile of a global pool, bytes or more."""

SOFTMAX_ELEMENTS = 4096
"""Elements of a tile of softmax rows."""


@lowering("max_pool2d")
def lower_max_pool2d(c: Context, node: Node) -> None:
    """Windows are clipped to the plane, so there is no padding."""
    dilations = ints_attr(node, "dilations", 2)
    spec = pool.PoolSpec("max", node.inputs[0].type.dtype, dilated=dilations != (1, 1))
    extra = {"dilation_y": dilations[0], "dilation_x": dilations[1]} if spec.dilated else {}
    _pool(c, node, spec, None, extra)


@lowering("avg_pool2d")
def lower_avg_pool2d(c: Context, node: Node) -> None:
    """A window over the whole plane is a reduction."""
    x = c.input(node, 0)
    if ints_attr(node, "kernel", 2) == x.dims[1:3] and not any(ints_attr(node, "pads", 4)):
        _mean_of_planes(c, node)
        return
    area = prod(ints_attr(node, "kernel", 2))
    counts = np.arange(1, area + 1, dtype=np.float64)
    if bool_attr(node, "count_include_pad"):
        counts[:] = window_counts(node).max()
    x_quant, y_quant = node.inputs[0].type.quant, node.output.type.quant
    extra = {}
    if x_quant is not None and y_quant is not None:
        multipliers = quantized.mean_multiplier(x_quant, y_quant, counts)
        extra = {"x_zero_point": quantized.scalar(x_quant)[1], "zero_point": quantized.scalar(y_quant)[1]}
    else:
        multipliers = (1.0 / counts).astype(np.float32)
    table = np.concatenate([np.zeros(1, np.float32), multipliers])
    _pool(c, node, pool.PoolSpec("avg", node.inputs[0].type.dtype), table.tobytes(), extra)


def _pool(c: Context, node: Node, spec: pool.PoolSpec, table: bytes | None, extra: dict[str, int]) -> None:
    x, y = c.input(node, 0), c.views[node.output]
    kernel, strides_, pads = (ints_attr(node, name) for name in ("kernel", "strides", "pads"))
    params = {
        "in_height": x.dims[1], "in_width": x.dims[2], "x_row": x.row, "x_pixel": x.pixel,
        "out_width": y.dims[2], "y_row": y.row, "y_pixel": y.pixel, "channels": x.dims[3],
        "kernel_y": kernel[0], "kernel_x": kernel[1], "stride_y": strides_[0], "stride_x": strides_[1],
        "pad_y": pads[0], "pad_x": pads[1], **extra,
    }  # fmt: skip
    weights = c.weights.add(table) if table is not None else None
    for image in range(x.dims[0]):
        c.emit(pool, spec, [x.at(image), weights, y.at(image)], params, y.dims[1], barrier=image == 0)


def _mean_of_planes(c: Context, node: Node) -> None:
    x, y = c.input(node, 0), c.views[node.output]
    _reduce_inner(c, node, "mean", x, y, outer=(x.dims[0], x.image, y.image), rows=(x.dims[1], x.row),
                  columns=(x.dims[2], x.pixel), inner=x.dims[3])  # fmt: skip


@lowering("reduce")
def lower_reduce(c: Context, node: Node) -> None:
    """The reduced axes must be neighbours (up to two strides), with at most one stride of axes outside them."""
    x, y = c.input(node, 0), c.views[node.output]
    axes, kind = set(ints_attr(node, "axes")), str_attr(node, "kind", ("sum", "mean", "max", "min", "prod", "l1", "l2"))
    first, last = min(axes, default=0), max(axes, default=0)
    steps, shape = strides(x), x.type.shape
    if axes != set(range(first, last + 1)) or not axes or not y.is_dense:
        raise EdgeError(f"node {node.name!r} reduces the axes {sorted(axes)}; only neighbouring axes are supported")
    outer = collapse(shape[:first], [steps[:first]])
    reduced = collapse(shape[first : last + 1], [steps[first : last + 1]])
    inner = collapse(shape[last + 1 :], [steps[last + 1 :]])
    inner_count = prod(inner.extents)
    dense_inner = not inner.extents or (len(inner.extents) == 1 and inner.strides[0][0] == x.element)
    if len(outer.extents) > 1 or len(reduced.extents) > 2 or not dense_inner:
        raise EdgeError(f"node {node.name!r} reduces a tensor in too many separate pieces of memory")
    count = prod(outer.extents)
    rows, columns = _two_levels(reduced)
    outer_step = outer.strides[0][0] if outer.extents else 0
    if inner_count > 1:
        _reduce_inner(
            c, node, kind, x, y, (count, outer_step, inner_count * y.element), rows, columns, inner_count
        )
        return
    if columns[1] != x.element:
        rows, columns = (rows[0] * columns[0], columns[1]) if rows[0] == 1 else rows, (1, x.element)
    spec = reduce.ReduceSpec(kind, x.type.dtype, inner=False)  # type: ignore[arg-type]
    params = {"rows": rows[0], "x_row": rows[1], "columns": columns[0], "x_outer": outer_step, "y_outer": y.element}
    c.emit(reduce, spec, [x.at(), y.at()], params | _mean_params(node, kind, rows[0] * columns[0]), count)


def _two_levels(space: Space) -> tuple[tuple[int, int], tuple[int, int]]:
    """(extent, stride) of rows and columns."""
    pairs = list(zip(space.extents, space.strides[0], strict=True))
    rows, columns = [(1, 0)] * (2 - len(pairs)) + pairs
    return rows, columns


def _reduce_inner(
    c: Context, node: Node, kind: str, x: View, y: View, outer: tuple[int, int, int], rows: tuple[int, int],
    columns: tuple[int, int], inner: int,
) -> None:  # fmt: skip
    spec = reduce.ReduceSpec(kind, x.type.dtype, inner=True)  # type: ignore[arg-type]
    chunk = min(inner, CHANNELS)
    chunks = -(-inner // chunk)
    params = {
        "rows": rows[0], "x_row": rows[1], "columns": columns[0], "x_column": columns[1],
        "x_outer": outer[1], "y_outer": outer[2], "inner": inner, "chunk": chunk, "chunks": chunks,
    }  # fmt: skip
    c.emit(reduce, spec, [x.at(), y.at()], params | _mean_params(node, kind, rows[0] * columns[0]), outer[0] * chunks)


def _mean_params(node: Node, kind: str, count: int) -> dict[str, int]:
    if kind != "mean":
        return {}
    x, y = node.inputs[0].type.quant, node.output.type.quant
    if x is None or y is None:
        return {"count": float_bits(count)}
    return {
        "offset": -quantized.scalar(x)[1] * count,
        "multiplier": float_bits(float(quantized.mean_multiplier(x, y, count))),
        "zero_point": quantized.scalar(y)[1],
    }


@lowering("softmax")
def lower_softmax(c: Context, node: Node) -> None:
    """Over the last axis, or one that only extents of 1 follow."""
    x, y = c.input(node, 0), c.views[node.output]
    axis, shape = int_attr(node, "axis"), x.type.shape
    if prod(shape[axis + 1 :]) != 1 or not (x.is_dense and y.is_dense):
        raise EdgeError(f"node {node.name!r}: softmax over axis {axis} of {list(shape)}; only the last axis is supported")
    count, rows = shape[axis], prod(shape[:axis])
    spec = softmax.SoftmaxSpec(x.type.dtype, bool_attr(node, "log"))
    tile_rows = max(1, SOFTMAX_ELEMENTS // max(count, 1))
    params = {"rows": rows, "tile_rows": tile_rows, "count": count, "x_row": count * x.element, "y_row": count * y.element}
    table = None
    if x.type.quant is not None and y.type.quant is not None:
        scale, zero = quantized.scalar(y.type.quant)
        params |= {"inverse_scale": float_bits(1.0 / scale), "zero_point": zero}
        table = c.weights.add(quantized.softmax_table(x.type.quant).tobytes())
    c.emit(softmax, spec, [x.at(), table, y.at()], params, -(-rows // tile_rows))
