"""`concat`, and ONNX's Concat and QLinearConcat."""

from collections.abc import Sequence

import numpy as np

from ..ir.attributes import int_attr
from ..ir.expr import In
from ..ir.graph import Array, Node, Value
from ..ir.registry import REQUIRED, OpDef, register
from ..ir.types import TensorType
from .builder import Builder
from .onnx_node import MICROSOFT, OnnxNode, normalized_axis, onnx_op
from .qdq import quantized_output, quantized_value

MAX_INPUTS = 4096


def _infer(node: Node) -> tuple[TensorType, ...]:
    types, axis = [v.type for v in node.inputs], int_attr(node, "axis", least=0)
    first = types[0]
    if axis >= first.rank:
        raise ValueError(f"its axis {axis} is outside tensors of {first.rank} dimensions")
    for t in types[1:]:
        if (t.dtype, t.quant) != (first.dtype, first.quant):
            raise ValueError(f"it joins {first.dtype} and {t.dtype} tensors of different types or quantizations")
        if t.rank != first.rank or any(i != axis and t.shape[i] != d for i, d in enumerate(first.shape)):
            raise ValueError(f"it joins {list(first.shape)} and {list(t.shape)} along axis {axis}")
    if first.quant is not None and first.quant.axis is not None:
        raise ValueError("it joins per-channel quantized tensors; per-tensor ones are supported")
    return (first.with_shape((*first.shape[:axis], sum(t.shape[axis] for t in types), *first.shape[axis + 1 :])),)


def _reference(node: Node, inputs: Sequence[Array]) -> tuple[Array, ...]:
    return (np.concatenate(inputs, int_attr(node, "axis")),)


register(OpDef("concat", (1, MAX_INPUTS), {"axis": REQUIRED}, _infer, _reference))


@onnx_op("Concat", takes_codes=True)
def _concat(b: Builder, node: OnnxNode) -> Value:
    inputs = [node.input(i) for i in range(len(node.inputs))]
    if not inputs:
        raise ValueError("it has no inputs")
    axis = normalized_axis(node.integer("axis"), inputs[0].type.rank)
    filled = [v for v in inputs if v.type.shape[axis : axis + 1] != (0,)] or inputs[:1]
    return b.emit("concat", *filled, axis=axis)


@onnx_op("QLinearConcat", domain=MICROSOFT, takes_codes=True)
def _qlinear_concat(b: Builder, node: OnnxNode) -> Value:
    quant = quantized_output(b, node, 0)
    inputs = [quantized_value(b, node, i) for i in range(2, len(node.inputs), 3)]
    same = [v if v.type.quant == quant else b.map(In(0), v, quant=quant) for v in inputs]
    if not same:
        raise ValueError("it has no inputs")
    return b.emit("concat", *same, axis=normalized_axis(node.integer("axis"), same[0].type.rank))
