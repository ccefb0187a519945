"""`normalize`: (x - mean) / sqrt(variance + epsilon) * scale + bias over the trailing dimensions; with `rms`
x / sqrt(mean of squares + epsilon). The core of LayerNormalization and RMSNormalization."""

from collections.abc import Sequence
from math import prod

import numpy as np

from ..ir import arrays
from ..ir.attributes import bool_attr, float_attr, int_attr
from ..ir.extent import largest
from ..ir.graph import Array, Node
from ..ir.integer import NORMALIZE_LIMIT
from ..ir.registry import REQUIRED, OpDef, register
from ..ir.types import FLOATS, TensorType
from . import quantized
from .float_sums import row_sums


def _infer(node: Node) -> tuple[TensorType, ...]:
    x, *rest = (v.type for v in node.inputs)
    axis = int_attr(node, "axis", least=0)
    bool_attr(node, "rms")
    float_attr(node, "epsilon")
    if axis >= x.rank:
        raise ValueError(f"its axis {axis} is outside a tensor of {x.rank} dimensions")
    trailing = x.shape[axis:]
    for what, t in zip(("scale", "bias"), rest, strict=False):
        if t.shape != trailing or t.quant is not None or t.dtype != (x.dtype if x.dtype in FLOATS else "float32"):
            raise ValueError(
                f"its {what} is {t.dtype}{list(t.shape)}; it must have the type of the input and the shape {trailing}"
            )
    if x.quant is None:
        if "float" not in x.dtype:
            raise ValueError(f"its input must be floating point or quantized, not {x.dtype}")
        return (x,)
    quantized.scalar(x.quant)
    if largest(prod(trailing)) > NORMALIZE_LIMIT:
        raise ValueError(f"a quantized normalize is over at most {NORMALIZE_LIMIT} elements")
    return (TensorType(x.shape, "float32"),)


def _reference(node: Node, inputs: Sequence[Array]) -> tuple[Array, ...]:
    x, *rest = inputs
    rows = int(np.prod(x.shape[: int_attr(node, "axis")], dtype=np.int64))
    matrix = x.reshape(rows, -1)
    scale = rest[0].reshape(-1) if rest else None
    bias = rest[1].reshape(-1) if len(rest) > 1 else None
    epsilon, rms = float_attr(node, "epsilon"), bool_attr(node, "rms")
    x_quant, y_quant = node.inputs[0].type.quant, node.output.type.quant
    if x_quant is not None and y_quant is not None:
        how = quantized.normalize_parameters(matrix.shape[1], x_quant, y_quant, scale, bias, epsilon)
        return (quantized.normalize(matrix, how, rms=rms).reshape(x.shape),)
    y = _normalized(matrix, epsilon, rms=rms)
    y = y if scale is None else y * scale
    return ((y if bias is None else y + bias).reshape(x.shape),)


def _normalized(x: Array, epsilon: float, *, rms: bool) -> Array:
    """The bits that kernels give. (The parameters of kernels are 32 bits: so is epsilon.)"""
    number = x.dtype.type(x.shape[1])
    centered = x if rms else x - row_sums(x) / number
    variance = row_sums(centered, lambda s, d: arrays.ARRAYS.fma(d, d, s)) / number
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(centered * (x.dtype.type(1.0) / np.sqrt(variance + np.float32(epsilon).astype(x.dtype))))


register(
    OpDef(
        "normalize",
        (1, 3),
        {"axis": REQUIRED, "epsilon": 1e-5, "rms": False},
        _infer,
        _reference,
        requantizes=True,
    )
)
