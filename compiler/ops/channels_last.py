"""ONNX Runtime's ops on tensors with their channels last, [N, ..., C]: the usual ones between two transposes, which the
passes cancel."""

from ..ir.graph import Value
from .builder import Builder
from .onnx_node import OnnxNode


def channels_second(b: Builder, node: OnnxNode, x: Value) -> Value:
    """`x` as [N, C, ...], where the node's `channels_last` says that it is not yet."""
    dims = range(1, x.type.rank - 1)
    return b.transpose(x, (0, x.type.rank - 1, *dims)) if node.integer("channels_last", 0) else x


def as_given(b: Builder, node: OnnxNode, y: Value) -> Value:
    """Inverse of `channels_second`."""
    dims = range(2, y.type.rank)
    return b.transpose(y, (0, *dims, 1)) if node.integer("channels_last", 0) else y
