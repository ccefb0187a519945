"""`nonzero`: where the elements are that are not zero; ONNX's NonZero and Compress."""

from collections.abc import Sequence

import numpy as np

from ..ir.expr import In, call
from ..ir.extent import least
from ..ir.graph import Array, Node, Value
from ..ir.registry import OpDef, register
from ..ir.types import TensorType
from .builder import Builder
from .indices import row_strides
from .onnx_node import OnnxNode, normalized_axis, onnx_op
from .slice import Span, emit_slice
from .trim import trimmed


def _infer(node: Node) -> tuple[TensorType, ...]:
    x = node.inputs[0].type
    if x.quant is not None:
        raise ValueError("it looks for what is not zero among quantized elements; dequantize them")
    return TensorType((x.size,), "int64"), TensorType((1,), "int64")


def _reference(node: Node, inputs: Sequence[Array]) -> tuple[Array, ...]:
    """Flat positions in ascending order, then zeros; and how many there are."""
    found = np.flatnonzero(inputs[0])
    positions = np.zeros(inputs[0].size, np.int64)
    positions[: len(found)] = found
    return positions, np.array([len(found)], np.int64)


register(OpDef("nonzero", (1, 1), {}, _infer, _reference))


def positions_of(b: Builder, x: Value) -> Value:
    """int64 [n]: the flat positions of the n elements that are not zero."""
    positions, count = b.emit_all("nonzero", x)
    return trimmed(b, positions, count)


@onnx_op("NonZero")
def _nonzero(b: Builder, node: OnnxNode) -> Value:
    """[rank, n]: a row of indices for each dimension."""
    x = node.input(0)
    shape = x.type.shape or (1,)
    positions = positions_of(b, x)
    count = positions.type.shape[0]
    if x.type.rank == 0:
        return emit_slice(b, b.reshape(positions, (1, count)), [Span(0, 0), Span(0, count)])
    strides, extents = (b.integers(np.array(v, object).reshape(-1, 1)) for v in (row_strides(shape), shape))
    index = call("mod", call("div", In(0), In(1)), In(2))
    return b.map(index, b.reshape(positions, (1, count)), strides, extents)


@onnx_op("Compress", takes_codes=True)
def _compress(b: Builder, node: OnnxNode) -> Value:
    """The slices along the axis (the elements, if there is none) whose condition is true; a short condition is false
    from its end on."""
    x, condition = node.input(0), node.input(1)
    if "axis" in node.attrs:
        axis = normalized_axis(node.integer("axis"), x.type.rank)
    else:
        x, axis = b.reshape(x, (x.type.size,)), 0
    if condition.type.rank != 1:
        raise ValueError(f"its condition has the shape {list(condition.type.shape)}, but must be a list")
    used = emit_slice(b, condition, [Span(0, least(condition.type.shape[0], x.type.shape[axis]))])
    return b.emit("gather", x, positions_of(b, used), axis=axis)
