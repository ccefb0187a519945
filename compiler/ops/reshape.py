"""`reshape`, and ONNX's ops that keep every element in its place."""

from collections.abc import Sequence
from math import prod

import numpy as np

from ..ir.attributes import ints_attr
from ..ir.graph import Array, Node, Value
from ..ir.registry import REQUIRED, OpDef, register
from ..ir.types import TensorType
from .builder import Builder
from .onnx_node import OnnxNode, normalized_axis, onnx_op


def _infer(node: Node) -> tuple[TensorType, ...]:
    x, shape = node.inputs[0].type, ints_attr(node, "shape", least=0)
    if prod(shape) != x.size:
        raise ValueError(f"{list(x.shape)} has {x.size} elements and cannot become {list(shape)}")
    if x.quant is not None and x.quant.axis is not None:
        raise ValueError("it reshapes a per-channel quantized tensor; per-tensor ones are supported")
    return (x.with_shape(shape),)


def _reference(node: Node, inputs: Sequence[Array]) -> tuple[Array, ...]:
    return (np.array(inputs[0]).reshape(ints_attr(node, "shape")),)


register(OpDef("reshape", (1, 1), {"shape": REQUIRED}, _infer, _reference))


@onnx_op("Identity", takes_codes=True)
def _identity(b: Builder, node: OnnxNode) -> Value:
    return node.input(0)


@onnx_op("Reshape", since=5, takes_codes=True)
def _reshape(b: Builder, node: OnnxNode) -> Value:
    x, shape = node.input(0), list(b.ints(node.input(1), "shape"))
    if not node.integer("allowzero", 0):
        if any(d == 0 and i >= x.type.rank for i, d in enumerate(shape)):
            raise ValueError(f"the shape {shape} copies (0) a dimension that the input {list(x.type.shape)} lacks")
        shape = [x.type.shape[i] if d == 0 else d for i, d in enumerate(shape)]
    if any(d < -1 for d in shape) or shape.count(-1) > 1:
        raise ValueError(f"the shape {shape} is malformed")
    if -1 in shape:
        rest = prod(d for d in shape if d != -1)
        if rest == 0 or x.type.size % rest:
            raise ValueError(f"{list(x.type.shape)} cannot become {shape}")
        shape[shape.index(-1)] = x.type.size // rest
    return b.reshape(x, shape)


@onnx_op("Flatten", takes_codes=True)
def _flatten(b: Builder, node: OnnxNode) -> Value:
    x, axis = node.input(0), node.integer("axis", 1)
    if not -x.type.rank <= axis <= x.type.rank:
        raise ValueError(f"axis {axis} is outside a tensor of {x.type.rank} dimensions")
    axis += x.type.rank if axis < 0 else 0
    return b.reshape(x, (prod(x.type.shape[:axis]), prod(x.type.shape[axis:])))


def _axes(b: Builder, node: OnnxNode) -> tuple[int, ...] | None:
    """The axes: an attribute before opset 13, then an input."""
    if (given := node.optional(1)) is not None:
        return b.ints(given, "axes")
    return node.integers("axes") if "axes" in node.attrs else None


@onnx_op("Squeeze", takes_codes=True)
def _squeeze(b: Builder, node: OnnxNode) -> Value:
    x, axes = node.input(0), _axes(b, node)
    shape = x.type.shape
    dropped = (
        {i for i, d in enumerate(shape) if d == 1} if axes is None else {normalized_axis(a, len(shape)) for a in axes}
    )
    if any(shape[a] != 1 for a in dropped):
        raise ValueError(f"axes {sorted(dropped)} of {list(shape)} are not all 1")
    return b.reshape(x, [d for i, d in enumerate(shape) if i not in dropped])


@onnx_op("Unsqueeze", takes_codes=True)
def _unsqueeze(b: Builder, node: OnnxNode) -> Value:
    x, axes = node.input(0), _axes(b, node)
    if axes is None:
        raise ValueError("its axes are missing")
    rank = x.type.rank + len(axes)
    added = {normalized_axis(a, rank) for a in axes}
    if len(added) != len(axes):
        raise ValueError(f"its axes {list(axes)} are not distinct")
    extents = iter(x.type.shape)
    return b.reshape(x, [1 if i in added else next(extents) for i in range(rank)])
