"""Questions that several passes ask of a node or a type."""

import numpy as np

from ..compiler.ir.attributes import expr_attr
from ..compiler.ir.expr import Expr, In, walk
from ..compiler.ir.graph import Node, Value
from ..compiler.ir.types import Quant, TensorType

MAX_TREE = 64
"""Nodes of an expression that a pass builds; larger trees stay in several maps."""


def map_expr(node: Node) -> Expr:
    """The expression of a `map`."""
    return expr_attr(node, "expr")


def is_quantized(type: TensorType) -> bool:
    """Whether the elements stand for real numbers through a quantization."""
    return type.quant is not None


def is_real(type: TensorType) -> bool:
    """Whether the type is plain float32."""
    return type.dtype == "float32" and type.quant is None


def is_identity(node: Node | None) -> bool:
    """Whether `node` is `map %0` without broadcasting: a copy, or a change of the quantization alone."""
    if node is None or node.op != "map" or map_expr(node) != In(0) or len(node.inputs) != 1:
        return False
    return node.inputs[0].type.shape == node.output.type.shape


def is_dequantize(node: Node | None) -> bool:
    """Whether `node` only turns a quantized tensor into float32."""
    return node is not None and is_identity(node) and is_quantized(node.inputs[0].type) and is_real(node.output.type)


def is_quantize(node: Node | None) -> bool:
    """Whether `node` only turns a float32 tensor into a quantized one."""
    return node is not None and is_identity(node) and is_real(node.inputs[0].type) and is_quantized(node.output.type)


def scalar(value: Value) -> float | int | bool | None:
    """The number that a plain constant of one element holds, else None."""
    if value.data is None or value.type.size != 1 or value.type.quant is not None:
        return None
    number: float | int | bool = value.data.reshape(()).item()
    return number


def tree_size(expr: Expr) -> int:
    """Nodes of an expression."""
    return sum(1 for _ in walk(expr))


def accumulator_quant(x: TensorType, w: TensorType) -> Quant | None:
    """The quantization of sums of products: scale sx * sw, per output channel if the weights are; the bias has it.

    None where a scale underflows in float32.
    """
    assert x.quant is not None and w.quant is not None
    scales = np.float32(x.quant.scale[0]) * np.array(w.quant.scale, np.float32)
    if not np.all(scales > 0):
        return None
    axis = 0 if scales.size > 1 else None
    return Quant(tuple(float(s) for s in scales), (0,) * scales.size, axis)
