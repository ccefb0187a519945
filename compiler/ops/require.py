"""`require`: x, in runs in which a condition holds; a run in which it does not ends there with an error.

What a program fixes although the model leaves it to data: the size of a slice in a loop, for example.
"""

from collections.abc import Sequence

from ...errors import EdgeError
from ..ir.graph import Array, Node
from ..ir.registry import OpDef, register
from ..ir.types import TensorType
from .region import CONDITION


def _infer(node: Node) -> tuple[TensorType, ...]:
    x, condition = (v.type for v in node.inputs)
    if condition != CONDITION:
        raise ValueError(f"its condition is {condition.dtype}{list(condition.shape)}, but must be {CONDITION}")
    return (x,)


def _reference(node: Node, inputs: Sequence[Array]) -> tuple[Array, ...]:
    x, condition = inputs
    if not condition:
        raise EdgeError(failed(node))
    return (x,)


def failed(node: Node) -> str:
    """What a run says that ends at `node`."""
    return f"the slice {node.name!r} has another size with these inputs than the model is compiled for"


register(OpDef("require", (2, 2), {}, _infer, _reference))
