"""`insert`: `x` with the slice number `index` along its first axis replaced."""

from collections.abc import Sequence

import numpy as np

from ..ir.graph import Array, Node
from ..ir.registry import OpDef, register
from ..ir.types import TensorType


def _infer(node: Node) -> tuple[TensorType, ...]:
    x, index, part = (v.type for v in node.inputs)
    if (index.shape, index.dtype) != ((), "int64"):
        raise ValueError(f"its index must be one int64, not {index.dtype}{list(index.shape)}")
    if not x.rank or x.shape[0] == 0 or part != x.with_shape(x.shape[1:]):
        raise ValueError(f"a slice of type {part} does not fit a tensor of type {x}")
    return (x,)


def _reference(node: Node, inputs: Sequence[Array]) -> tuple[Array, ...]:
    """An index outside [0, extent) selects the nearest slice that exists."""
    y = inputs[0].copy()
    y[np.clip(inputs[1], 0, len(y) - 1)] = inputs[2]
    return (y,)


INSERT = register(OpDef("insert", (3, 3), {}, _infer, _reference, doc=__doc__))
