"""ONNX's BatchNormalization, imported as a `map` with per-channel constants."""

import numpy as np

from ..ir.expr import In, call
from ..ir.graph import Value
from .builder import Builder
from .onnx_node import OnnxNode, onnx_op


@onnx_op("BatchNormalization", since=7)
def _batch_normalization(b: Builder, node: OnnxNode) -> Value:
    """x * (scale / sqrt(var + epsilon)) + (bias - mean * scale / sqrt(var + epsilon))."""
    if node.integer("training_mode", 0) or any(node.has_output(i) for i in range(1, 5)):
        raise ValueError("it is in training mode; export the model for inference")
    if not node.integer("spatial", 1):
        raise ValueError("spatial is 0; only 1 is supported")
    x = node.input(0)
    scale, bias, mean, var = (
        b.array(node.input(i), what).astype(np.float64)
        for i, what in enumerate(("scale", "bias", "mean", "variance"), 1)
    )
    if x.type.rank < 2 or any(p.shape != (x.type.shape[1],) for p in (scale, bias, mean, var)):
        raise ValueError(f"its parameters do not have one element a channel of its input {list(x.type.shape)}")
    with np.errstate(all="ignore"):
        factor = scale / np.sqrt(var + node.number("epsilon", 1e-5))
        offset = bias - mean * factor
    shape = (1, -1, *[1] * (x.type.rank - 2))
    operands = (b.constant(p.astype(x.type.dtype).reshape(shape)) for p in (factor, offset))
    return b.map(call("add", call("mul", In(0), In(1)), In(2)), x, *operands)
