"""`gather`: slices of `x` along an axis, selected by an index tensor; ONNX's Gather, GatherElements and GatherND."""

from collections.abc import Sequence
from math import prod

import numpy as np

from ..ir.attributes import int_attr
from ..ir.expr import In, call
from ..ir.graph import Array, Node, Value
from ..ir.registry import OpDef, register
from ..ir.types import TensorType
from .builder import Builder
from .indices import from_end, int32, nearest, require_indices, row_strides
from .offsets import element_offsets, tuple_offsets
from .onnx_node import OnnxNode, normalized_axis, onnx_op

ML = "ai.onnx.ml"


def _infer(node: Node) -> tuple[TensorType, ...]:
    x, indices = (v.type for v in node.inputs)
    axis = int_attr(node, "axis", least=0)
    if axis >= x.rank:
        raise ValueError(f"its axis {axis} is outside a tensor of {x.rank} dimensions")
    require_indices(node.inputs[1])
    if x.shape[axis] == 0:
        raise ValueError("it selects from an empty dimension")
    if x.quant is not None and x.quant.axis is not None:
        raise ValueError("it gathers from a per-channel quantized tensor; per-tensor ones are supported")
    return (x.with_shape((*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :])),)


def _reference(node: Node, inputs: Sequence[Array]) -> tuple[Array, ...]:
    """An index outside [0, extent) selects the nearest slice that exists."""
    return (np.asarray(np.take(inputs[0], inputs[1], int_attr(node, "axis"), mode="clip")),)


register(OpDef("gather", (2, 2), {"axis": 0}, _infer, _reference))


@onnx_op("Gather", takes_codes=True)
def _gather(b: Builder, node: OnnxNode) -> Value:
    x, indices = node.input(0), node.input(1)
    axis = normalized_axis(node.integer("axis", 0), x.type.rank)
    require_indices(indices)
    extent = x.type.shape[axis]
    if (
        indices.data is not None
        and indices.data.size
        and not -extent <= int(indices.data.min()) <= int(indices.data.max()) < extent
    ):
        raise ValueError(f"its indices reach outside a dimension of {extent}")
    if indices.data is None or (indices.data < 0).any():
        indices = b.map(from_end(In(0), extent), indices)
    return b.emit("gather", x, indices, axis=axis)


@onnx_op("GatherElements", takes_codes=True)
def _gather_elements(b: Builder, node: OnnxNode) -> Value:
    x, indices = node.input(0), node.input(1)
    offsets = element_offsets(b, indices, x.type.shape, normalized_axis(node.integer("axis", 0), x.type.rank))
    return take_rows(b, x, offsets, x.type.rank)


@onnx_op("GatherND", takes_codes=True)
def _gather_nd(b: Builder, node: OnnxNode) -> Value:
    x, indices, batch = node.input(0), node.input(1), node.integer("batch_dims", 0)
    if not 0 <= batch < min(x.type.rank, indices.type.rank) or x.type.shape[:batch] != indices.type.shape[:batch]:
        raise ValueError(f"{list(x.type.shape)} and {list(indices.type.shape)} do not share {batch} batch dimensions")
    offsets = tuple_offsets(b, indices, x.type.shape, batch)
    return take_rows(b, x, offsets, batch + indices.type.shape[-1])


def take_rows(b: Builder, x: Value, offsets: Value, dims: int) -> Value:
    """[offsets.shape, x.shape[dims:]]: the rows of `x`, its first `dims` dimensions joined, that `offsets` selects."""
    shape = x.type.shape
    return b.emit("gather", b.reshape(x, (prod(shape[:dims]), *shape[dims:])), offsets)


@onnx_op("ReverseSequence", takes_codes=True)
def _reverse_sequence(b: Builder, node: OnnxNode) -> Value:
    """Position t of a batch entry of length n comes from n - 1 - t, if that exists, and stays otherwise."""
    x, lengths = node.input(0), node.input(1)
    shape, axes = x.type.shape, (node.integer("batch_axis", 1), node.integer("time_axis", 0))
    if sorted(axes) != [0, 1] or x.type.rank < 2 or lengths.type.shape != (shape[axes[0]],):
        raise ValueError(f"it reverses along axis {axes[1]} of {list(shape)} by {list(lengths.type.shape)} lengths")
    require_indices(lengths)
    batch, time = axes
    strides = row_strides(shape[:2])
    entries = np.arange(shape[batch], dtype=np.int32).reshape([-1 if a == batch else 1 for a in range(2)])
    times = np.arange(shape[time], dtype=np.int32).reshape([-1 if a == time else 1 for a in range(2)])
    n, t = int32(In(0)), In(2)
    mirrored = nearest(call("sub", call("sub", n, 1), t), shape[time])
    source = call("where", call("lt", t, n), mirrored, t)
    inputs = b.reshape(lengths, entries.shape), b.constant(entries * strides[batch]), b.constant(times)
    offsets = b.map(call("add", call("mul", source, strides[time]), In(1)), *inputs)
    return b.reshape(take_rows(b, x, offsets, 2), shape)


@onnx_op("ArrayFeatureExtractor", domain=ML, takes_codes=True)
def _array_feature_extractor(b: Builder, node: OnnxNode) -> Value:
    """Columns of the last dimension; what is not a matrix becomes one."""
    x, indices = node.input(0), node.input(1)
    if not x.type.rank:
        raise ValueError("it takes columns of a tensor without dimensions")
    matrix = b.reshape(x, (prod(x.type.shape[:-1]), x.type.shape[-1]))
    columns = b.emit("gather", matrix, b.reshape(indices, (indices.type.size,)), axis=1)
    return b.reshape(columns, (*x.type.shape[:-1], indices.type.size) if x.type.rank > 1 else columns.type.shape)
