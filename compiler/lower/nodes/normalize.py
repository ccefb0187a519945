"""normalize -> its kernel, over dense rows."""

from math import prod

import numpy as np

from ....errors import EdgeError
from ...ir.attributes import bool_attr, float_attr, int_attr
from ...ir.extent import ceil_div, is_symbolic, most
from ...ir.graph import Node
from ...kernels import normalize as kernels
from ...kernels.emit import halves
from ...ops import quantized
from ..context import Context, lowering, require
from ..copies import dense
from .pack import float_bits

ELEMENTS = 4096
"""Of a tile of rows."""


@lowering("normalize")
def lower_normalize(c: Context, node: Node) -> None:
    """Rows of all normalized dimensions."""
    require(node, "float32", "float16", "float64", "int8")
    x, y = dense(c, c.input(node, 0)), c.output(node)
    count = prod(x.type.shape[int_attr(node, "axis") :])
    rows, tile_rows = x.type.size // count, most(1, ELEMENTS // most(count, 1))
    rms, params = bool_attr(node, "rms"), {"rows": rows, "tile_rows": tile_rows, "count": count}
    operands = {"x": x.at(), "y": y.at()}
    if x.type.dtype == "int8":
        spec = kernels.NormalizeSpec("int8", rms)
        if is_symbolic(count):
            raise EdgeError(f"node {node.name!r} (normalize) takes int8 rows of a fixed length only: fix that extent")
        how = _parameters(node, count)
        padded = max(count, kernels.PADDED)
        operands["scale"] = c.weights.add(_packed(how, rms, padded))
        params |= {"offsets": padded * 4, "input_zero": how.input_zero, "y_zero_point": how.zero}
    else:
        short = x.type.dtype == "float16" and most(count, 1) <= halves.KEPT
        spec = kernels.NormalizeSpec(x.type.dtype, rms, len(node.inputs) > 1, len(node.inputs) > 2, short)
        operands |= {
            name: dense(c, c.input(node, i)).at() for i, name in ((1, "scale"), (2, "bias")) if i < len(node.inputs)
        }
        params["epsilon"] = float_bits(float_attr(node, "epsilon"))
    c.emit(kernels, spec, operands, params, ceil_div(rows, tile_rows))


def _parameters(node: Node, count: int) -> quantized.NormalizeParameters:
    x, y = node.inputs[0].type.quant, node.output.type.quant
    assert x is not None and y is not None
    data = [v.data.reshape(-1) for v in node.inputs[1:] if v.data is not None]
    scale, bias = (data[i] if i < len(data) else None for i in range(2))
    return quantized.normalize_parameters(count, x, y, scale, bias, float_attr(node, "epsilon"))


def _packed(how: quantized.NormalizeParameters, rms: bool, padded: int) -> bytes:
    """The header of `kernels.HEADER`, gains and offsets."""
    n, step = float(how.count), how.step
    factor, offset = (step * step / n, how.epsilon) if rms else (step * step, n * n * how.epsilon)
    header = np.zeros(kernels.HEADER_BYTES // 8, np.float64)
    header[: len(kernels.HEADER)] = factor, offset, step
    arrays = (np.pad(a.astype(np.float32), (0, padded - how.count)) for a in (how.scale, how.bias))
    return header.tobytes() + b"".join(a.tobytes() for a in arrays)
