"""`broadcast_to`, and ONNX's Expand and Tile."""

from collections.abc import Sequence

import numpy as np

from ..ir.attributes import ints_attr
from ..ir.graph import Array, Node, Value
from ..ir.registry import REQUIRED, OpDef, register
from ..ir.types import TensorType
from .builder import Builder
from .map import broadcast_shapes
from .onnx_node import OnnxNode, onnx_op


def _infer(node: Node) -> tuple[TensorType, ...]:
    x, shape = node.inputs[0].type, ints_attr(node, "shape", least=0)
    if broadcast_shapes([x.shape, shape]) != shape:
        raise ValueError(f"{list(x.shape)} does not broadcast to {list(shape)}")
    if x.quant is not None and x.quant.axis is not None:
        raise ValueError("it broadcasts a per-channel quantized tensor; per-tensor ones are supported")
    return (x.with_shape(shape),)


def _reference(node: Node, inputs: Sequence[Array]) -> tuple[Array, ...]:
    return (np.array(np.broadcast_to(inputs[0], ints_attr(node, "shape"))),)


register(OpDef("broadcast_to", (1, 1), {"shape": REQUIRED}, _infer, _reference))


@onnx_op("Expand", takes_codes=True)
def _expand(b: Builder, node: OnnxNode) -> Value:
    x = node.input(0)
    return emit_broadcast(b, x, broadcast_shapes([x.type.shape, _extents(b, node.input(1), "shape")]))


def emit_broadcast(b: Builder, x: Value, shape: tuple[int, ...]) -> Value:
    """`x` broadcast to `shape`."""
    return x if x.type.shape == shape else b.emit("broadcast_to", x, shape=shape)


def _extents(b: Builder, value: Value, what: str) -> tuple[int, ...]:
    extents = b.ints(value, what)
    if any(e < 0 for e in extents):
        raise ValueError(f"its {what} {list(extents)} has a negative entry")
    return extents


@onnx_op("Tile", since=6, takes_codes=True)
def _tile(b: Builder, node: OnnxNode) -> Value:
    """[d0, d1] tiled (r0, r1) is [1, d0, 1, d1] broadcast to [r0, d0, r1, d1]."""
    x, repeats = node.input(0), _extents(b, node.input(1), "repeats")
    shape = x.type.shape
    if len(repeats) != len(shape):
        raise ValueError(f"it has {len(repeats)} repeats for {len(shape)} dimensions")
    single = [e for d in shape for e in (1, d)]
    tiled = tuple(e for r, d in zip(repeats, shape, strict=True) for e in (r, d))
    whole = [r * d for r, d in zip(repeats, shape, strict=True)]
    return b.reshape(emit_broadcast(b, b.reshape(x, single), tiled), whole)
