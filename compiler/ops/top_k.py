"""`top_k`: the largest or smallest elements along an axis and where they are; ONNX's TopK, ArgMax, ArgMin, Hardmax."""

from collections.abc import Sequence

import numpy as np

from ..ir.attributes import bool_attr, int_attr
from ..ir.expr import In, call
from ..ir.graph import Array, Node, Value
from ..ir.registry import REQUIRED, OpDef, register
from ..ir.types import TensorType
from .builder import Builder
from .onnx_node import OnnxNode, normalized_axis, onnx_op
from .slice import Span, emit_slice, everything


def order_keys(x: Array) -> Array:
    """int64 numbers in the order of `x`: equal where elements are (also 0 and -0), all NaNs equal and largest."""
    if x.dtype == np.uint64:
        return (x ^ np.uint64(1 << 63)).view(np.int64)
    if x.dtype.kind != "f":
        return x.astype(np.int64)
    bits = x.astype(np.float64).view(np.int64)
    keys = np.where(bits < 0, np.int64(-(2**63)) - bits, bits)
    return np.where(np.isnan(x), np.iinfo(np.int64).max, keys)


def _infer(node: Node) -> tuple[TensorType, ...]:
    x, axis, k = node.inputs[0].type, int_attr(node, "axis", least=0), int_attr(node, "k", least=0)
    bool_attr(node, "largest")
    if axis >= x.rank:
        raise ValueError(f"its axis {axis} is outside a tensor of {x.rank} dimensions")
    if k > x.shape[axis]:
        raise ValueError(f"it takes {k} of {x.shape[axis]} elements")
    if x.quant is not None and x.quant.axis is not None:
        raise ValueError("it orders a per-channel quantized tensor; per-tensor ones are supported")
    shape = (*x.shape[:axis], k, *x.shape[axis + 1 :])
    return x.with_shape(shape), TensorType(shape, "int64")


def _reference(node: Node, inputs: Sequence[Array]) -> tuple[Array, ...]:
    """In order; of equal elements the one of the lower index comes first. NaNs count as larger than all numbers."""
    x, axis = inputs[0], int_attr(node, "axis")
    keys = order_keys(x)
    order = np.argsort(~keys if bool_attr(node, "largest") else keys, axis, kind="stable")
    indices = np.take(order, np.arange(int_attr(node, "k")), axis)
    return np.take_along_axis(x, indices, axis), indices.astype(np.int64)


register(OpDef("top_k", (1, 1), {"axis": REQUIRED, "k": REQUIRED, "largest": True}, _infer, _reference))


@onnx_op("TopK", takes_codes=True)
def _top_k(b: Builder, node: OnnxNode) -> Sequence[Value]:
    """k is an attribute before opset 10. Unsorted results are sorted too."""
    x, given = node.input(0), node.optional(1)
    axis = normalized_axis(node.integer("axis", -1), x.type.rank)
    k = node.integer("k") if given is None else b.ints(given, "k")[0]
    return b.emit_all("top_k", x, axis=axis, k=k, largest=bool(node.integer("largest", 1)))


@onnx_op("ArgMax", "ArgMin", takes_codes=True)
def _arg(b: Builder, node: OnnxNode) -> Value:
    x = node.input(0)
    axis = normalized_axis(node.integer("axis", 0), x.type.rank)
    found = first_of(b, x, axis, largest=node.op_type == "ArgMax", last=bool(node.integer("select_last_index", 0)))
    shape = x.type.shape
    return found if node.integer("keepdims", 1) else b.reshape(found, (*shape[:axis], *shape[axis + 1 :]))


def first_of(b: Builder, x: Value, axis: int, *, largest: bool, last: bool = False) -> Value:
    """int64, with extent 1 along `axis`: where the largest (smallest) element is, the first or `last` of equal ones."""
    extent = x.type.shape[axis]
    if not extent:
        raise ValueError("it looks for the extreme of no elements")
    if last:
        spans = everything(x)
        spans[axis] = Span(extent - 1, extent, -1)
        x = emit_slice(b, x, spans)
    found = b.emit_all("top_k", x, axis=axis, k=1, largest=largest)[1]
    return b.map(call("sub", extent - 1, In(0)), found) if last else found


@onnx_op("Hardmax")
def _hardmax(b: Builder, node: OnnxNode) -> Value:
    """1 at the first largest element, else 0. Before opset 13 all dimensions from the axis on are one."""
    x, shape = node.input(0), node.input(0).type.shape
    axis = normalized_axis(node.integer("axis", -1 if node.opset >= 13 else 1), x.type.rank)
    if node.opset < 13:
        size = int(np.prod(shape[:axis], dtype=np.int64))
        x, axis = b.reshape(x, (size, x.type.size // size)), 1
    places = np.arange(x.type.shape[axis], dtype=np.int64).reshape([-1 if i == axis else 1 for i in range(x.type.rank)])
    chosen = call("cast", call("eq", In(0), In(1)), dtype=x.type.dtype)
    return b.reshape(b.map(chosen, first_of(b, x, axis, largest=True), b.constant(places)), shape)
