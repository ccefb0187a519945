"""ONNX's ops that give constants: Constant, ConstantOfShape, Range, Shape and Size."""

from collections.abc import Sequence

import numpy as np

from ...ir.extent import ceil_div, is_symbolic, largest, most
from ...ir.graph import Array, Value
from ..broadcast import emit_broadcast
from ..builder import MAX_TENSOR_BYTES, Builder
from ..extents import integers_of
from ..onnx_node import OnnxNode, onnx_op
from ..slice import Span, emit_slice


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
    symbolic = [integers_of(node.input(i)) for i in range(3)]
    if any(x is not None and is_symbolic(x.item()) for x in symbolic):
        return _range_to_extent(b, node, symbolic)
    start, limit, step = (
        b.array(node.input(i), what).reshape(-1)[0] for i, what in enumerate(("start", "limit", "delta"))
    )
    if step == 0 or not np.isfinite([start, limit, step]).all():
        raise ValueError(
            f"a range from {start} to {limit} by {step} does not end; its numbers must be finite and its delta not 0"
        )
    count = max(int(np.ceil((float(limit) - float(start)) / float(step))), 0)
    if count * start.dtype.itemsize > MAX_TENSOR_BYTES // 16:
        raise ValueError(
            f"its range has {count} elements; at most {MAX_TENSOR_BYTES // 16 // start.dtype.itemsize} are supported"
        )
    return b.constant((start + np.arange(count) * step).astype(start.dtype))


def _range_to_extent(b: Builder, node: OnnxNode, ends: Sequence[Array | None]) -> Value:
    """The beginning of the longest range; the start of one must be known."""
    start, limit, step = (None if x is None else x.item() for x in ends)
    if start is None or limit is None or step is None or is_symbolic(start) or is_symbolic(step) or step == 0:
        raise ValueError("its start and delta must be constant where its limit depends on the input's shape")
    count = most(ceil_div(limit - start, step) if step > 0 else ceil_div(start - limit, -step), 0)
    longest = b.constant((start + np.arange(largest(count)) * step).astype(node.input(0).type.dtype))
    return emit_slice(b, longest, [Span(0, count)])


@onnx_op("Shape", takes_codes=True)
def _shape(b: Builder, node: OnnxNode) -> Value:
    shape, rank = node.input(0).type.shape, node.input(0).type.rank
    return b.integers(np.array(shape[slice(node.integer("start", 0), node.integer("end", rank))], object))


@onnx_op("Size", takes_codes=True)
def _size(b: Builder, node: OnnxNode) -> Value:
    return b.integers(np.array(node.input(0).type.size, object))
