"""`scatter`: rows of `updates` written into, or combined with, the rows of `x` that an index tensor names; ONNX's
ScatterElements, ScatterND and TensorScatter."""

from collections.abc import Callable, Mapping, Sequence
from math import prod

import numpy as np

from ..ir.attributes import str_attr
from ..ir.expr import In, call
from ..ir.extent import largest
from ..ir.graph import Array, Node, Value
from ..ir.registry import OpDef, register
from ..ir.types import TensorType
from .builder import Builder
from .indices import MISSED, grid_offsets, inside, int32, require_indices, row_strides
from .offsets import element_offsets, tuple_offsets
from .onnx_node import OnnxNode, normalized_axis, onnx_op

_JOIN: Mapping[str, Callable[..., None]] = {
    "add": np.add.at,
    "mul": np.multiply.at,
    "min": np.minimum.at,
    "max": np.maximum.at,
}

REDUCTIONS = ("none", *_JOIN)


def _infer(node: Node) -> tuple[TensorType, ...]:
    x, indices, updates = (v.type for v in node.inputs)
    reduction = str_attr(node, "reduction", REDUCTIONS)
    require_indices(node.inputs[1])
    if not x.rank or updates.shape != (*indices.shape, *x.shape[1:]):
        raise ValueError(f"it has updates {list(updates.shape)} for {list(indices.shape)} rows of {list(x.shape)}")
    if (updates.dtype, updates.quant) != (x.dtype, x.quant):
        raise ValueError(f"it puts {updates.dtype} into a {x.dtype} tensor, or another quantization")
    if x.quant is not None and (reduction != "none" or x.quant.axis is not None):
        raise ValueError("its reduction must be none, and the quantization per tensor, for a quantized tensor")
    if x.dtype == "bool" and reduction != "none":
        raise ValueError(f"bool has no reduction {reduction!r}; none is supported: cast to int32")
    return (x,)


def _reference(node: Node, inputs: Sequence[Array]) -> tuple[Array, ...]:
    """Rows are taken in order: of several for one place the last counts, or each is combined with what the ones before
    it left. An index outside [0, rows of x) is skipped."""
    x, indices, updates = inputs
    y, rows = x.copy(), updates.reshape(-1, *x.shape[1:])
    places = indices.reshape(-1)
    kept = (places >= 0) & (places < len(x))
    reduction = str_attr(node, "reduction", REDUCTIONS)
    if reduction == "none":
        y[places[kept]] = rows[kept]
    else:
        _JOIN[reduction](y, places[kept], rows[kept])
    return (y,)


register(OpDef("scatter", (3, 3), {"reduction": "none"}, _infer, _reference))


def put_rows(b: Builder, x: Value, offsets: Value, updates: Value, dims: int, reduction: str = "none") -> Value:
    """`x` with `updates` [offsets.shape, x.shape[dims:]] in the rows (of its first `dims` dimensions joined) that
    `offsets` selects."""
    if largest(updates.type.size) == 0:
        return x
    shape = x.type.shape
    rows = (prod(shape[:dims]), *shape[dims:])
    laid = b.reshape(updates, (*offsets.type.shape, *shape[dims:]))
    return b.reshape(b.emit("scatter", b.reshape(x, rows), offsets, laid, reduction=reduction), shape)


@onnx_op("Scatter", "ScatterElements", takes_codes=True)
def _scatter_elements(b: Builder, node: OnnxNode) -> Value:
    x, indices, updates = (node.input(i) for i in range(3))
    axis = normalized_axis(node.integer("axis", 0), x.type.rank)
    if updates.type.shape != indices.type.shape:
        raise ValueError(f"it has {list(indices.type.shape)} indices for {list(updates.type.shape)} updates")
    offsets = element_offsets(b, indices, x.type.shape, axis, skip=True)
    return put_rows(b, x, offsets, updates, x.type.rank, node.text("reduction", "none"))


@onnx_op("ScatterND", takes_codes=True)
def _scatter_nd(b: Builder, node: OnnxNode) -> Value:
    x, indices, updates = (node.input(i) for i in range(3))
    offsets = tuple_offsets(b, indices, x.type.shape, skip=True)
    return put_rows(b, x, offsets, updates, indices.type.shape[-1], node.text("reduction", "none"))


@onnx_op("TensorScatter", takes_codes=True)
def _tensor_scatter(b: Builder, node: OnnxNode) -> Value:
    """`update` into a cache along its sequence axis, from each batch entry's own position on."""
    cache, update, begins = node.input(0), node.input(1), node.optional(2)
    shape, axis = cache.type.shape, normalized_axis(node.integer("axis", -2), cache.type.rank)
    mode, extent, count = node.text("mode", "linear"), shape[axis], update.type.shape[axis]
    if mode not in ("linear", "circular") or axis == 0:
        raise ValueError(f"its mode is {mode!r} and its axis {axis}; linear and circular, of a batch, are supported")
    times = np.arange(count, dtype=np.int32)
    begin = b.constant(np.zeros(shape[0], np.int64)) if begins is None else begins
    outer = grid_offsets(shape[:axis], row_strides(shape[: axis + 1])[:axis])
    position = call("add", int32(In(0)), In(1))
    if mode == "circular":
        position = call("mod", position, extent)
    place = call("where", inside(position, extent), call("add", position, In(2)), MISSED)
    inputs = (
        b.reshape(begin, (shape[0], *(1,) * axis)), b.constant(times), b.constant(outer.reshape((*outer.shape, 1))),
    )  # fmt: skip
    return put_rows(b, cache, b.map(place, *inputs), update, axis + 1)
