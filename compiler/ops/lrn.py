"""`lrn`: local response normalization across channels (Krizhevsky et al., 2012)."""

from collections.abc import Sequence

import numpy as np

from ..ir.attributes import float_attr, int_attr
from ..ir.graph import Array, Node, Value
from ..ir.registry import REQUIRED, OpDef, register
from ..ir.types import TensorType
from .builder import Builder
from .onnx_node import OnnxNode, onnx_op
from .padding import planar, unplanar
from .spatial import from_nchw, nchw_shape, to_nchw


def _infer(node: Node) -> tuple[TensorType, ...]:
    x = node.inputs[0].type
    nchw_shape(node, x)
    int_attr(node, "size", least=1)
    for name in ("alpha", "beta", "bias"):
        float_attr(node, name)
    if "float" not in x.dtype:
        raise ValueError(f"its input must be floating point, not {x.dtype}")
    return (x,)


def _reference(node: Node, inputs: Sequence[Array]) -> tuple[Array, ...]:
    x, size = to_nchw(node, inputs[0]), int_attr(node, "size")
    channels = x.shape[1]
    before, after = min((size - 1) // 2, channels), min(size // 2, channels)
    squares = np.pad(x * x, ((0, 0), (before, after), (0, 0), (0, 0)))
    total = sum(squares[:, k : k + channels] for k in range(before + 1 + after))
    alpha, beta, bias = (x.dtype.type(float_attr(node, name)) for name in ("alpha", "beta", "bias"))
    return (from_nchw(node, x / (bias + alpha / x.dtype.type(size) * total) ** beta),)


register(
    OpDef(
        "lrn",
        (1, 1),
        {"size": REQUIRED, "alpha": 1e-4, "beta": 0.75, "bias": 1.0, "layout": "NCHW"},
        _infer,
        _reference,
    )
)


@onnx_op("LRN")
def _lrn(b: Builder, node: OnnxNode) -> Value:
    x = node.input(0)
    alpha, beta, bias = node.number("alpha", 1e-4), node.number("beta", 0.75), node.number("bias", 1.0)
    y = b.emit("lrn", planar(b, x), size=node.integer("size"), alpha=alpha, beta=beta, bias=bias)
    return unplanar(b, y, x.type.rank)
