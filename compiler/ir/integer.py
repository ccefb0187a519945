"""Which nodes have a form on int8 tensors (ARCHITECTURE.md, the arithmetic contract): for passes, quantizer and ops.

What is said here holds for a node's op and attributes; whether given types fit is for who chooses the types.
"""

from math import prod

from .attributes import activation_attr, bool_attr, int_attr
from .expr import clamp_bounds
from .extent import is_symbolic, largest
from .graph import Node
from .registry import attr

CONTRACTIONS = ("conv2d", "conv_transpose2d", "matmul")
"""Ops that sum products with weights and take a bias and an epilogue."""

SOFTMAX_LIMIT = 2**15 - 1
"""The longest axis of a quantized softmax: its int32 sum of terms up to 2^16 must not overflow."""

NORMALIZE_LIMIT = 2**15
"""The most elements that a quantized normalize takes together: the int32 sum of their squares must not overflow."""

_MOVES = ("max_pool2d", "concat", "slice", "pad", "transpose", "reshape", "gather", "broadcast_to")


def only_moves(node: Node) -> bool:
    """Whether every element of the result is an element of the operands, or a constant padding."""
    if node.op == "resize":
        return attr(node, "mode") == "nearest"
    if node.op == "reduce":
        return attr(node, "kind") in ("max", "min")
    return node.op in _MOVES


def keeps_quantization(node: Node) -> bool:
    """Whether the operands and the result share one quantization: moves, and sampling between neighbours."""
    return node.op == "resize" or only_moves(node)


def has_integer_form(node: Node) -> bool:
    """Whether an int8 result can be computed from int8 operands."""
    if node.op in CONTRACTIONS:
        activation = activation_attr(node, "activation")
        return activation is None or clamp_bounds(activation) is not None
    if node.op == "softmax":
        return not bool_attr(node, "log") and largest(node.output.type.shape[int_attr(node, "axis")]) <= SOFTMAX_LIMIT
    if node.op == "normalize":
        together = prod(node.inputs[0].type.shape[int_attr(node, "axis") :])
        known = not is_symbolic(together) and all(v.is_const for v in node.inputs[1:])
        return known and together <= NORMALIZE_LIMIT
    if node.op == "reduce" and attr(node, "kind") == "mean":
        return True
    return node.op in ("map", "avg_pool2d") or keeps_quantization(node)
