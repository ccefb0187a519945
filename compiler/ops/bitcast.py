"""`bitcast`: the same bytes as elements of another type of the same size; ONNX's BitCast."""

from collections.abc import Sequence

import numpy as np

from ..ir.attributes import str_attr
from ..ir.graph import Array, Node, Value
from ..ir.registry import REQUIRED, OpDef, register
from ..ir.types import DTYPES, TensorType
from .builder import Builder
from .onnx_node import DTYPE_OF_ONNX, OnnxNode, onnx_op


def _infer(node: Node) -> tuple[TensorType, ...]:
    x, dtype = node.inputs[0].type, str_attr(node, "to", DTYPES)
    if x.quant is not None or np.dtype(x.dtype).itemsize != np.dtype(dtype).itemsize:
        raise ValueError(f"{x.dtype} elements cannot be seen as {dtype}: they must be as large and not quantized")
    return (TensorType(x.shape, dtype),)


def _reference(node: Node, inputs: Sequence[Array]) -> tuple[Array, ...]:
    return (np.array(inputs[0]).view(str_attr(node, "to", DTYPES)),)


BITCAST = register(OpDef("bitcast", (1, 1), {"to": REQUIRED}, _infer, _reference, doc=__doc__))


@onnx_op("BitCast")
def _bitcast(b: Builder, node: OnnxNode) -> Value:
    """float16 and bfloat16 have other bits here than in the model."""
    dtype = DTYPE_OF_ONNX.get(node.integer("to"))
    if dtype is None or node.integer("to") in (10, 16):
        raise ValueError(f"it casts to data type {node.integer('to')} of ONNX, which has other bits in edgec")
    x = node.input(0)
    return x if dtype == x.type.dtype else b.emit("bitcast", x, to=dtype)
