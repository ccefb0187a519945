"""ONNX's MaxRoiPool, imported as a gather, maps and reductions: first over the columns of bins, then over the rows."""

from collections.abc import Sequence

import numpy as np

from ...ir.expr import Expr, In, call
from ...ir.extent import largest
from ...ir.graph import Value
from ..builder import Builder
from ..indices import nearest
from ..onnx_node import OnnxNode, onnx_op
from ..slice import emit_slice, whole

LARGEST = 1 << 24
"""Elements of the largest tensor on the way: regions * channels * height * width * columns of bins."""

_LOWEST = float(np.finfo(np.float32).min)


@onnx_op("MaxRoiPool")
def _max_roi_pool(b: Builder, node: OnnxNode) -> Value:
    """[regions, channels, *pooled_shape]. A region is (image, x0, y0, x1, y1), times `spatial_scale` and rounded; it
    includes its ends and has at least a pixel. Bins overlap where they share pixels, and are 0 where they have none."""
    x, rois, pooled = node.input(0), node.input(1), node.integers("pooled_shape")
    if (x.type.dtype, rois.type.dtype) != ("float32", "float32") or x.type.rank != 4 or rois.type.shape[1:] != (5,):
        raise ValueError("it takes a float32 image of 4 dimensions and float32 regions of 5 columns")
    n, c, height, width = x.type.shape
    regions = rois.type.shape[0]
    if len(pooled) != 2 or min(pooled) < 1:
        raise ValueError(f"its pooled_shape is {list(pooled)}; two positive numbers are needed")
    if (elements := largest(regions * c * height * width * pooled[1])) > LARGEST:
        raise ValueError(f"its bins read {elements} elements; at most {LARGEST} are supported")
    columns = [b.reshape(emit_slice(b, rois, [whole(regions), range(k, k + 1)]), (regions,)) for k in range(5)]
    image = b.map(nearest(call("cast", In(0), dtype="int64"), n), columns[0])
    picked, scale = b.emit("gather", x, image, axis=0), node.number("spatial_scale", 1.0)
    ends = [[b.map(_rounded(call("mul", In(0), scale)), columns[k]) for k in (axis, axis + 2)] for axis in (2, 1)]
    rows, places = (_bins(b, ends[axis], pooled[axis], x.type.shape[2 + axis]) for axis in range(2))
    wide = _largest(b, b.reshape(picked, (regions, c, height, 1, width)), places, (regions, 1, 1, pooled[1], 1), 4)
    tall = _largest(b, b.reshape(wide, (regions, c, 1, height, pooled[1])), rows, (regions, 1, pooled[0], 1, 1), 3)
    counts = [b.map(call("lt", In(0), In(1)), *pair) for pair in (rows, places)]
    shapes = ((regions, 1, pooled[0], 1), (regions, 1, 1, pooled[1]))
    full = [b.reshape(count, shape) for count, shape in zip(counts, shapes, strict=True)]
    return b.map(call("where", In(1), call("where", In(2), In(0), 0.0), 0.0), tall, *full)


def _rounded(x: Expr) -> Expr:
    """To the nearest integer, halves away from 0."""
    size = call("floor", call("add", call("abs", x), 0.5))
    return call("where", call("lt", x, 0.0), call("neg", size), size)


def _bins(b: Builder, ends: Sequence[Value], count: int, extent: int) -> tuple[Value, Value]:
    """The first pixels of bins [regions, count] and those behind their last ones; `ends` are the regions' own."""
    begin, number, limit = In(0), In(2), In(3)
    size = call("div", call("max", call("add", call("sub", In(1), begin), 1.0), 1.0), float(count))
    low = call("add", call("floor", call("mul", number, size)), begin)
    high = call("add", call("ceil", call("mul", call("add", number, 1.0), size)), begin)
    operands = [b.reshape(end, (*end.type.shape, 1)) for end in ends]
    operands.append(b.constant(np.arange(count, dtype=np.float32)))
    operands.append(b.map(call("cast", In(0), dtype="float32"), b.integers(np.array(extent, object))))
    first, last = (b.map(call("min", call("max", expr, 0.0), limit), *operands) for expr in (low, high))
    return first, last


def _largest(b: Builder, x: Value, bins: tuple[Value, Value], shape: tuple[int, ...], axis: int) -> Value:
    """The largest elements of `x` along `axis` within bins, whose bounds get `shape` to go with it."""
    line = [1] * len(shape)
    line[axis] = x.type.shape[axis]
    counted = b.constant(np.arange(largest(line[axis]), dtype=np.float32))
    places = b.reshape(emit_slice(b, counted, [whole(line[axis])]), line)
    low, high = (b.reshape(bound, shape) for bound in bins)
    inside = call("where", call("le", In(2), In(1)), call("where", call("lt", In(1), In(3)), In(0), _LOWEST), _LOWEST)
    return b.emit("reduce", b.map(inside, x, places, low, high), kind="max", axes=(axis,), keepdims=False)
