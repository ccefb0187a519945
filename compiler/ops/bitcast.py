"""`bitcast`: the same bytes as elements of another type of the same size; ONNX's BitCast."""

from collections.abc import Sequence

import numpy as np

from ..ir.attributes import str_attr
from ..ir.graph import Array, Node, Value
from ..ir.registry import REQUIRED, OpDef, register
from ..ir.types import DTYPES, TensorType
from .builder import Builder
from .onnx_node import OnnxNode, dtype_of, onnx_op, type_name


def _infer(node: Node) -> tuple[TensorType, ...]:
    x, dtype = node.inputs[0].type, str_attr(node, "to", DTYPES)
    if x.quant is not None or np.dtype(x.dtype).itemsize != np.dtype(dtype).itemsize:
        raise ValueError(f"{x.dtype} elements cannot be seen as {dtype}: they must be as large and not quantized")
    return (TensorType(x.shape, dtype),)


def _reference(node: Node, inputs: Sequence[Array]) -> tuple[Array, ...]:
    return (np.array(inputs[0]).view(str_attr(node, "to", DTYPES)),)


register(OpDef("bitcast", (1, 1), {"to": REQUIRED}, _infer, _reference))


@onnx_op("BitCast")
def _bitcast(b: Builder, node: OnnxNode) -> Value:
    """float16 and bfloat16 have other bits here than in the model."""
    dtype = dtype_of(node.integer("to"), "it casts to")
    if node.integer("to") in (10, 16):
        raise ValueError(
            f"it casts to {type_name(node.integer('to'))}, which has other bits in edgec; cast to other types, or "
            "export the model with float32"
        )
    x = node.input(0)
    return x if dtype == x.type.dtype else b.emit("bitcast", x, to=dtype)
