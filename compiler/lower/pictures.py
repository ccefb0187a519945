"""A planar picture that is quantized and then laid out channels-last takes one pass over the user's memory, not two."""

from collections.abc import Mapping

from ..ir.attributes import expr_attr, ints_attr
from ..ir.expr import In
from ..ir.graph import Graph, Node
from ..ir.types import TensorType
from ..kernels import quantize_io
from ..ops import quantized
from .context import Context
from .iteration import each
from .nodes.reciprocal import quantization_params
from .windows import picture_rows


def find_pictures(graph: Graph) -> Mapping[Node, Node]:
    """Transposes to channels-last -> the quantizing maps that they alone follow."""
    uses = graph.uses()
    pairs = {}
    for node in graph.nodes:
        source = node.inputs[0].producer if node.op == "transpose" else None
        if source is None or ints_attr(node, "perm") != (0, 2, 3, 1) or len(uses[node.inputs[0]]) != 1:
            continue
        if node.inputs[0] not in graph.outputs and _quantizes(source):
            pairs[node] = source
    return pairs


def _quantizes(node: Node) -> bool:
    """Whether a node is `map` identity from a real (or unsigned) picture of 2 to 4 channels to int8."""
    if node.op != "map" or expr_attr(node, "expr") != In(0):
        return False
    x, y = node.inputs[0].type, node.output.type
    if y.dtype != "int8" or y.quant is None or y.quant.axis is not None or not 2 <= y.shape[1] <= 4:
        return False
    return x.quant is None if x.dtype == "float32" else _moves_zero(x, y)


def _moves_zero(x: TensorType, y: TensorType) -> bool:
    """Whether unsigned codes become signed ones of the same real numbers."""
    if x.dtype != "uint8" or x.quant is None or y.quant is None or x.quant.axis is not None:
        return False
    return x.quant.scale == y.quant.scale and x.quant.zero_point[0] - 128 == y.quant.zero_point[0]


def lower_picture(c: Context, quantize: Node, transpose: Node) -> bool:
    """One step an image, a tile a row of pixels. False where the pixels have gaps between them, and nothing is done."""
    x, y = c.input(quantize, 0), c.output(transpose)
    if y.pixel != y.dims[3] * y.element:
        return False
    multiplied = False
    # a planar picture's view calls its channels rows and its rows pixels
    params = {"width": y.dims[2], "x_plane": x.row, "x_row": x.pixel, "y_row": y.row}
    if x.type.dtype == "float32":
        assert y.type.quant is not None
        multiplied, quantization = quantization_params("y", *quantized.scalar(y.type.quant))
        params |= quantization
    spec = quantize_io.QuantizeIoSpec(x.type.dtype, y.dims[3], multiplied)
    rows = picture_rows(x, y)
    for image, present in each(y.dims[0]):
        operands, tiles = {"x": x.at(image), "y": y.at(image)}, y.dims[1] * present
        c.emit(quantize_io, spec, operands, params, tiles, barrier=image == 0, rows=rows)
    return True
