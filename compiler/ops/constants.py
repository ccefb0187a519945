"""ONNX's ops that give constants: Constant, ConstantOfShape, Range, Shape and Size."""

import numpy as np

from ..ir.graph import Value
from .broadcast import emit_broadcast
from .builder import MAX_TENSOR_BYTES, Builder
from .onnx_node import OnnxNode, onnx_op


@onnx_op("Constant")
def _constant(b: Builder, node: OnnxNode) -> Value:
    kinds = {"value_float": np.float32, "value_floats": np.float32, "value_int": np.int64, "value_ints": np.int64}
    value = node.attrs.get("value")
    if isinstance(value, np.ndarray):
        return b.constant(value)
    for name, dtype in kinds.items():
        plain = node.attrs.get(name)
        if plain is not None and not isinstance(plain, str):
            return b.constant(np.array(plain, dtype))
    raise ValueError("it has none of the attributes value, value_float(s) and value_int(s)")


@onnx_op("ConstantOfShape")
def _constant_of_shape(b: Builder, node: OnnxNode) -> Value:
    shape = b.ints(node.input(0), "shape")
    value = node.attrs.get("value", np.zeros(1, np.float32))
    if not isinstance(value, np.ndarray) or value.size != 1:
        raise ValueError("attribute 'value' must be a tensor of one element")
    return emit_broadcast(b, b.constant(value.reshape(())), shape)


@onnx_op("Range")
def _range(b: Builder, node: OnnxNode) -> Value:
    start, limit, step = (
        b.array(node.input(i), what).reshape(-1)[0] for i, what in enumerate(("start", "limit", "delta"))
    )
    if step == 0 or not np.isfinite([start, limit, step]).all():
        raise ValueError(f"a range from {start} to {limit} by {step} does not end")
    count = max(int(np.ceil((float(limit) - float(start)) / float(step))), 0)
    if count * start.dtype.itemsize > MAX_TENSOR_BYTES // 16:
        raise ValueError(f"a range of {count} elements is too long")
    return b.constant((start + np.arange(count) * step).astype(start.dtype))


@onnx_op("Shape", takes_codes=True)
def _shape(b: Builder, node: OnnxNode) -> Value:
    shape, rank = node.input(0).type.shape, node.input(0).type.rank
    return b.constant(np.array(shape[slice(node.integer("start", 0), node.integer("end", rank))], np.int64))


@onnx_op("Size", takes_codes=True)
def _size(b: Builder, node: OnnxNode) -> Value:
    return b.constant(np.array(node.input(0).type.size, np.int64))
