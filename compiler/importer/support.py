"""Which nodes of a model cannot be imported, all at once."""

from collections.abc import Sequence
from dataclasses import dataclass

import onnx

from ..ops.onnx_node import find_rule
from .model import Model


@dataclass(frozen=True)
class Unsupported:
    """An op of the model that has no import rule, and the nodes that use it."""

    domain: str
    op_type: str
    opset: int
    nodes: tuple[str, ...]

    def __str__(self) -> str:
        op = f"{self.domain}.{self.op_type}" if self.domain else self.op_type
        shown = ", ".join(repr(n) for n in self.nodes[:3]) + (", ..." if len(self.nodes) > 3 else "")
        return f"{op} (opset {self.opset}; {len(self.nodes)}x: {shown})"


def domain_of(node: onnx.NodeProto) -> str:
    """The node's domain; the default one is ""."""
    return "" if node.domain == "ai.onnx" else node.domain


def node_name(node: onnx.NodeProto, index: int) -> str:
    """The node's name, or `Op_index` for a nameless one."""
    return node.name or f"{node.op_type}_{index}"


def check_support(model: Model, nodes: Sequence[tuple[int, onnx.NodeProto]] | None = None) -> list[Unsupported]:
    """The ops of `model` (or of its `nodes`, given with their index) that have no import rule; [] if none is missing."""
    found: dict[tuple[str, str, int], list[str]] = {}
    for index, node in enumerate(model.proto.graph.node) if nodes is None else nodes:
        domain = domain_of(node)
        opset = model.opsets.get(domain, 1)
        if find_rule(domain, node.op_type, opset) is None:
            found.setdefault((domain, node.op_type, opset), []).append(node_name(node, index))
    return [Unsupported(*key, tuple(names)) for key, names in sorted(found.items())]
