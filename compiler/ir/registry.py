"""The op registry: what each IR op accepts, what type it gives, and what it means.

`compiler/ops/` fills it, one file an op family. An op's numpy `reference` *is* its specification: kernels on
every target must equal it, byte for byte where the types are integer or quantized.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ...errors import EdgeError
from .graph import Array, Attr, Node
from .types import TensorType

REQUIRED = object()
"""Marks an attribute without default in `OpDef.attrs`."""


@dataclass(frozen=True)
class OpDef:
    """The schema and the meaning of an op.

    `inputs`: the least and the largest number of inputs. `attrs`: name -> default (or REQUIRED). `infer`: node ->
    output types from its input types and attributes; ValueError says what does not fit, without saying where.
    `reference`: (node, input arrays) -> output arrays. With `requantizes` the op computes numbers, so that where
    `infer` says float32 the output may carry a quantization of its own; otherwise it moves elements and its
    output has exactly the type that `infer` gives, quantization included. `regions`: how many graphs a node holds.
    """

    name: str
    inputs: tuple[int, int]
    attrs: Mapping[str, object]
    infer: Callable[[Node], tuple[TensorType, ...]]
    reference: Callable[[Node, Sequence[Array]], tuple[Array, ...]]
    requantizes: bool = False
    regions: int = 0


_OPS: dict[str, OpDef] = {}


def register(op: OpDef) -> OpDef:
    """Add an op; a second op of the same name is a bug."""
    if op.name in _OPS:
        raise ValueError(f"op {op.name!r} is registered twice")
    _OPS[op.name] = op
    return op


def op_names() -> list[str]:
    """The names of all ops, sorted."""
    return sorted(_OPS)


def lookup(name: str) -> OpDef:
    """The op called `name`; EdgeError when there is none."""
    if name not in _OPS:
        raise EdgeError(f"the IR has no op {name!r}; it has: {', '.join(op_names())}")
    return _OPS[name]


def attr(node: Node, name: str) -> Attr:
    """The attribute's value, or its default from the op's schema."""
    if name in node.attrs:
        return node.attrs[name]
    default = lookup(node.op).attrs[name]
    if default is REQUIRED:
        raise EdgeError(f"{node.op} node {node.name!r} lacks its attribute {name!r}")
    return default  # type: ignore[return-value]
