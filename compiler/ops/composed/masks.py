"""ONNX's ops that compare positions: OneHot, Trilu and EyeLike."""

import numpy as np

from ...ir.expr import In, call
from ...ir.graph import Value
from ..builder import Builder
from ..indices import from_end
from ..onnx_node import OnnxNode, dtype_of, normalized_axis, onnx_op
from ..slice import emit_slice

MAX_DEPTH = 2**24
"""Of a one-hot encoding: more stems from a malformed model."""


@onnx_op("OneHot")
def _one_hot(b: Builder, node: OnnxNode) -> Value:
    """values[1] where the index is the position along the new axis, values[0] elsewhere; negative ones count from the
    end, others outside [0, depth) are nowhere."""
    indices, values = node.input(0), node.input(2)
    (depth,) = (int(v) for v in b.array(node.input(1), "depth").reshape(-1))
    if not 1 <= depth <= MAX_DEPTH or values.type.shape != (2,):
        raise ValueError(
            f"its depth is {depth}, its values are {list(values.type.shape)}; supported are 1 to {MAX_DEPTH}, and two"
        )
    rank = indices.type.rank + 1
    axis = normalized_axis(node.integer("axis", -1), rank)
    shape = indices.type.shape
    spread = b.reshape(indices, (*shape[:axis], 1, *shape[axis:]))
    places = np.arange(depth).reshape([-1 if i == axis else 1 for i in range(rank)])
    off, on = (b.reshape(emit_slice(b, values, [range(i, i + 1)]), (1,) * rank) for i in range(2))
    is_on = call("eq", from_end(call("cast", In(0), dtype="int64"), depth), In(1))
    return b.map(call("where", is_on, In(2), In(3)), spread, b.constant(places), on, off)


@onnx_op("Trilu")
def _trilu(b: Builder, node: OnnxNode) -> Value:
    """Zeros below (above) the k-th diagonal. k may be computed at run time."""
    x, k = node.input(0), node.optional(1)
    if x.type.rank < 2:
        raise ValueError(f"it takes matrices, not {list(x.type.shape)}")
    rows, columns = x.type.shape[-2:]
    distance = np.arange(columns) - np.arange(rows)[:, None]
    diagonal = b.constant(np.zeros((), np.int64)) if k is None else k
    kept = call("le", In(1), In(0)) if node.integer("upper", 1) else call("le", In(0), In(1))
    mask = b.map(kept, b.constant(distance), b.reshape(diagonal, (1, 1)))
    zero = False if x.type.dtype == "bool" else 0
    return b.map(call("where", In(0), In(1), zero), mask, x)


@onnx_op("EyeLike")
def _eye_like(b: Builder, node: OnnxNode) -> Value:
    x = node.input(0)
    if x.type.rank != 2:
        raise ValueError(f"it makes matrices, not {list(x.type.shape)}")
    dtype = dtype_of(node.integer("dtype"), "it makes") if "dtype" in node.attrs else x.type.dtype
    rows, columns = x.type.shape
    return b.constant(np.eye(rows, columns, node.integer("k", 0), dtype))
