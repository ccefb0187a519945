"""`transpose`, and ONNX's Transpose, DepthToSpace and SpaceToDepth."""

from collections.abc import Sequence

import numpy as np

from ..ir.attributes import ints_attr
from ..ir.graph import Array, Node, Value
from ..ir.registry import REQUIRED, OpDef, register
from ..ir.types import Quant, TensorType
from .builder import Builder
from .onnx_node import OnnxNode, onnx_op


def _infer(node: Node) -> tuple[TensorType, ...]:
    x = node.inputs[0].type
    perm = ints_attr(node, "perm", x.rank)
    if sorted(perm) != list(range(x.rank)):
        raise ValueError(f"its perm {list(perm)} is not a permutation of {x.rank} dimensions")
    quant = x.quant
    if quant is not None and quant.axis is not None:
        quant = Quant(quant.scale, quant.zero_point, perm.index(quant.axis))
    return (TensorType(tuple(x.shape[p] for p in perm), x.dtype, quant),)


def _reference(node: Node, inputs: Sequence[Array]) -> tuple[Array, ...]:
    return (np.ascontiguousarray(inputs[0].transpose(ints_attr(node, "perm"))),)


register(OpDef("transpose", (1, 1), {"perm": REQUIRED}, _infer, _reference))


@onnx_op("Transpose", takes_codes=True)
def _transpose(b: Builder, node: OnnxNode) -> Value:
    x = node.input(0)
    perm = node.integers("perm", tuple(reversed(range(x.type.rank))))
    if sorted(perm) != list(range(x.type.rank)):
        raise ValueError(f"its perm {list(perm)} is not a permutation of {x.type.rank} dimensions")
    return b.transpose(x, perm)


@onnx_op("DepthToSpace", takes_codes=True)
def _depth_to_space(b: Builder, node: OnnxNode) -> Value:
    x, size = node.input(0), node.integer("blocksize")
    n, c, h, w = _image(x)
    if size < 1 or c % (size * size):
        raise ValueError(f"blocks of {size}x{size} do not divide {c} channels")
    c //= size * size
    if node.text("mode", "DCR") == "DCR":
        blocks, perm = (n, size, size, c, h, w), (0, 3, 4, 1, 5, 2)
    else:
        blocks, perm = (n, c, size, size, h, w), (0, 1, 4, 2, 5, 3)
    return b.reshape(b.transpose(b.reshape(x, blocks), perm), (n, c, h * size, w * size))


@onnx_op("SpaceToDepth", takes_codes=True)
def _space_to_depth(b: Builder, node: OnnxNode) -> Value:
    x, size = node.input(0), node.integer("blocksize")
    n, c, h, w = _image(x)
    if size < 1 or h % size or w % size:
        raise ValueError(f"blocks of {size}x{size} do not divide a {h}x{w} plane")
    perm = (0, 3, 5, 1, 2, 4) if node.text("mode", "DCR") == "DCR" else (0, 1, 3, 5, 2, 4)
    blocks = b.reshape(x, (n, c, h // size, size, w // size, size))
    return b.reshape(b.transpose(blocks, perm), (n, c * size * size, h // size, w // size))


def _image(x: Value) -> tuple[int, int, int, int]:
    if x.type.rank != 4:
        raise ValueError(f"its input has {x.type.rank} dimensions, but must have 4")
    n, c, h, w = x.type.shape
    return n, c, h, w
