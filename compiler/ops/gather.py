"""`gather`: slices of `x` along an axis, selected by an index tensor; ONNX's Gather."""

from collections.abc import Sequence

import numpy as np

from ..ir.attributes import int_attr
from ..ir.expr import In, call
from ..ir.graph import Array, Node, Value
from ..ir.registry import OpDef, register
from ..ir.types import TensorType
from .builder import Builder
from .onnx_node import OnnxNode, normalized_axis, onnx_op


def _infer(node: Node) -> tuple[TensorType, ...]:
    x, indices = (v.type for v in node.inputs)
    axis = int_attr(node, "axis", least=0)
    if axis >= x.rank:
        raise ValueError(f"its axis {axis} is outside a tensor of {x.rank} dimensions")
    if indices.dtype not in ("int32", "int64") or indices.quant is not None:
        raise ValueError(f"its indices must be int32 or int64, not {indices.dtype}")
    if x.shape[axis] == 0:
        raise ValueError("it selects from an empty dimension")
    if x.quant is not None and x.quant.axis is not None:
        raise ValueError("it gathers from a per-channel quantized tensor; per-tensor ones are supported")
    return (x.with_shape((*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :])),)


def _reference(node: Node, inputs: Sequence[Array]) -> tuple[Array, ...]:
    """An index outside [0, extent) selects the nearest slice that exists."""
    return (np.asarray(np.take(inputs[0], inputs[1], int_attr(node, "axis"), mode="clip")),)


GATHER = register(OpDef("gather", (2, 2), {"axis": 0}, _infer, _reference, doc=__doc__))


@onnx_op("Gather", takes_codes=True)
def _gather(b: Builder, node: OnnxNode) -> Value:
    x, indices = node.input(0), node.input(1)
    axis = normalized_axis(node.integer("axis", 0), x.type.rank)
    if indices.type.dtype not in ("int32", "int64"):
        raise ValueError(f"its indices must be int32 or int64, not {indices.type.dtype}")
    extent = x.type.shape[axis]
    if (
        indices.data is not None
        and indices.data.size
        and not -extent <= indices.data.min() <= indices.data.max() < extent
    ):
        raise ValueError(f"its indices reach outside a dimension of {extent}")
    if indices.data is None or (indices.data < 0).any():
        counted = call("add", In(0), extent)
        indices = b.map(call("where", call("lt", In(0), 0), counted, In(0)), indices)
    return b.emit("gather", x, indices, axis=axis)
