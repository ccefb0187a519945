"""Pools over windows -> their kernels."""

from math import prod
from typing import Literal

import numpy as np

from ...ir.attributes import bool_attr, ints_attr
from ...ir.graph import Node
from ...kernels import pool
from ...ops import quantized
from ..context import Context, lowering, require
from ..iteration import each
from ..windows import pair
from .reductions import reduce_planes


@lowering("max_pool2d")
def lower_max_pool2d(c: Context, node: Node) -> None:
    """Windows are clipped to the plane, so there is no padding."""
    require(node, "float32", "float16", "int8")
    _pool(c, node, "max", {})


@lowering("avg_pool2d")
def lower_avg_pool2d(c: Context, node: Node) -> None:
    """A window over the whole plane is a reduction."""
    require(node, "float32", "float16", "int8")
    x, y = c.input(node, 0), c.output(node)
    if ints_attr(node, "kernel", 2) == x.dims[1:3] and not any(ints_attr(node, "pads", 4)):
        reduce_planes(c, x, y)
        return
    area = prod(ints_attr(node, "kernel", 2))
    counts = np.arange(1, area + 1, dtype=np.float64)
    if bool_attr(node, "count_include_pad"):
        counts[:] = area
    extra = {}
    if x.type.quant is not None and y.type.quant is not None:
        multipliers = quantized.mean_multiplier(x.type.quant, y.type.quant, counts)
        extra = {"x_zero_point": quantized.scalar(x.type.quant)[1], "zero_point": quantized.scalar(y.type.quant)[1]}
    else:
        multipliers = (1.0 / counts).astype(np.float32)
    table = np.concatenate([np.zeros(1, np.float32), multipliers])
    _pool(c, node, "avg", extra, table.tobytes())


def _pool(
    c: Context, node: Node, kind: Literal["max", "avg"], extra: dict[str, int], table: bytes | None = None
) -> None:
    """A step an image, a tile an output row. `table`: what the kernel reads beside the input."""
    x, y, dilations = c.input(node, 0), c.output(node), pair(node, "dilations")
    kernel, steps, pads = (ints_attr(node, name) for name in ("kernel", "strides", "pads"))
    spec = pool.PoolSpec(kind, x.type.dtype, dilated=dilations != (1, 1))
    if spec.dilated:
        extra |= {"dilation_y": dilations[0], "dilation_x": dilations[1]}
    params = {
        "in_height": x.dims[1], "in_width": x.dims[2], "x_row": x.row, "x_pixel": x.pixel,
        "out_width": y.dims[2], "y_row": y.row, "y_pixel": y.pixel, "channels": x.dims[3],
        "kernel_y": kernel[0], "kernel_x": kernel[1], "stride_y": steps[0], "stride_x": steps[1],
        "pad_y": pads[0], "pad_x": pads[1], **extra,
    }  # fmt: skip
    others = {"w": c.weights.add(table)} if table is not None else {}
    for image, present in each(x.dims[0]):
        operands = {"x": x.at(image), "y": y.at(image), **others}
        c.emit(pool, spec, operands, params, y.dims[1] * present, barrier=image == 0)
