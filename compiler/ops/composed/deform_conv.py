"""ONNX's DeformConv: a convolution whose taps are sampled between the pixels, each at an offset that is computed."""

from math import prod
from typing import NamedTuple

import numpy as np

from ...ir.expr import In, call
from ...ir.graph import Value
from ..builder import Builder
from ..matmul import multiply
from ..onnx_node import OnnxNode, onnx_op
from ..padding import Window, window
from ..slice import Span, emit_slice, whole
from ..spatial import require_fixed
from .grid import Dimension, sample

MAX_SAMPLES = 2**26
"""Elements of all windows."""


class _Shape(NamedTuple):
    """Images, groups of weights and of offsets, and the extents of the result."""

    n: int
    groups: int
    offset_groups: int
    height: int
    width: int


@onnx_op("DeformConv", since=19)
def _deform_conv(b: Builder, node: OnnxNode) -> Value:
    """Sampled windows [n, group, pixel, channel and tap] times weights [group, channel and tap, output]."""
    x, w, offsets, bias, mask = (node.optional(i) for i in range(5))
    if x is None or w is None or offsets is None:
        raise ValueError("its data, weights and offsets must be given")
    where, shape = _geometry(node, x, w, offsets, mask)
    n, groups, _, height, width = shape
    outputs, depth, taps, pixels = w.type.shape[0], w.type.shape[1], prod(where.kernel), height * width
    seen = b.reshape(_sampled(b, x, offsets, mask, where, shape), (n, groups, depth, taps, pixels))
    rows = b.reshape(b.transpose(seen, (0, 1, 4, 2, 3)), (n, groups, pixels, depth * taps))
    columns = b.transpose(b.reshape(w, (groups, outputs // groups, depth * taps)), (0, 2, 1))
    y = b.reshape(b.transpose(multiply(b, rows, columns), (0, 1, 3, 2)), (n, outputs, height, width))
    return y if bias is None else b.map(call("add", In(0), In(1)), y, b.reshape(bias, (outputs, 1, 1)))


def _geometry(node: OnnxNode, x: Value, w: Value, offsets: Value, mask: Value | None) -> tuple[Window, _Shape]:
    if x.type.rank != 4 or w.type.rank != 4:
        raise ValueError(f"data {list(x.type.shape)} and weights {list(w.type.shape)}; 2-d ones are supported")
    require_fixed(x.type.shape, "its extents")
    n, channels, *plane = x.type.shape
    groups, offset_groups = node.integer("group", 1), node.integer("offset_group", 1)
    where = window(node, plane, w.type.shape[2:])
    extents = [
        (plane[i] + where.pads[i] + where.pads[i + 2] - (where.kernel[i] - 1) * where.dilations[i] - 1)
        // where.strides[i] + 1
        for i in range(2)
    ]  # fmt: skip
    outputs, depth, taps = w.type.shape[0], w.type.shape[1], prod(where.kernel)
    if groups < 1 or depth * groups != channels or outputs % groups or offset_groups < 1 or channels % offset_groups:
        raise ValueError(
            f"weights {list(w.type.shape)} in {groups} groups and {offset_groups} groups of offsets do not fit "
            f"{channels} channels"
        )
    for value, each in ((offsets, 2), (mask, 1)):
        expected = (n, offset_groups * taps * each, *extents)
        if value is not None and value.type.shape != expected:
            raise ValueError(f"its offsets or mask are {list(value.type.shape)}, but must be {list(expected)}")
    if min(extents) < 1 or n * channels * taps * prod(extents) > MAX_SAMPLES:
        raise ValueError(f"its windows have 0 or too many elements in all; 1 to {MAX_SAMPLES} are supported")
    return where, _Shape(n, groups, offset_groups, extents[0], extents[1])


def _sampled(b: Builder, x: Value, offsets: Value, mask: Value | None, where: Window, shape: _Shape) -> Value:
    """[n * offset groups, channels of one, taps, pixels]: bilinear, zero outside of the image."""
    n, channels, *plane = x.type.shape
    images, pixels, taps = n * shape.offset_groups, shape.height * shape.width, prod(where.kernel)
    x = b.reshape(x, (images, channels // shape.offset_groups, *plane))
    offsets = b.reshape(offsets, (images, taps, 2, pixels))
    dimensions, places = [Dimension(extent, "zeros", aligned=True) for extent in plane], []
    grid = np.indices((*where.kernel, shape.height, shape.width)).astype(np.float32)
    for axis, dimension in enumerate(dimensions):
        at = grid[2 + axis] * where.strides[axis] + grid[axis] * where.dilations[axis] - where.pads[axis]
        shift = emit_slice(b, offsets, [whole(images), whole(taps), Span(axis, 1), whole(pixels)])
        place = dimension.bounded(call("add", In(0), In(1)))
        fixed = b.constant(at.reshape(1, taps * pixels))
        places.append(b.map(place, b.reshape(shift, (images, taps * pixels)), fixed))
    values = sample(b, x, places, dimensions, "linear")
    if mask is not None:
        values = b.map(call("mul", In(0), In(1)), values, b.reshape(mask, (images, taps * pixels, 1)))
    return b.transpose(b.reshape(values, (images, taps, pixels, x.type.shape[1])), (0, 3, 1, 2))
