"""Which nodes of a model cannot be imported, all at once."""

from collections.abc import Iterable
from dataclasses import dataclass

import onnx

from ..ops.onnx_node import find_rule
from .model import Model, Source, load_model


@dataclass(frozen=True)
class Unsupported:
    """An op of the model that has no import rule, and the nodes that use it."""

    domain: str
    op_type: str
    opset: int
    nodes: tuple[str, ...]

    def __str__(self) -> str:
        op = f"{self.domain}.{self.op_type}" if self.domain else self.op_type
        op = op if op.isprintable() else repr(op)
        shown = ", ".join(repr(n) for n in self.nodes[:3]) + (", ..." if len(self.nodes) > 3 else "")
        return f"{op} (opset {self.opset}; {len(self.nodes)}x: {shown})"


def domain_of(node: onnx.NodeProto) -> str:
    """The node's domain; the default one is ""."""
    return "" if node.domain == "ai.onnx" else node.domain


def node_name(node: onnx.NodeProto, index: int) -> str:
    """The node's name, or `Op_index` for a nameless one."""
    return node.name or f"{node.op_type}_{index}"


def check_support(source: Source) -> list[Unsupported]:
    """The ops of a model that cannot be imported: one entry an op, none if all can.

    EdgeError if the model cannot be read at all.
    """
    model = load_model(source)
    return missing_ops(model, list(enumerate(model.proto.graph.node)))


def missing_ops(model: Model, nodes: Iterable[tuple[int, onnx.NodeProto]]) -> list[Unsupported]:
    """The ops without import rule among `nodes` (with their index in the graph), sorted."""
    found: dict[tuple[str, str, int], list[str]] = {}
    for index, node in nodes:
        domain = domain_of(node)
        opset = model.opsets.get(domain, 1)
        if find_rule(domain, node.op_type, opset) is None:
            found.setdefault((domain, node.op_type, opset), []).append(node_name(node, index))
    return [Unsupported(*key, tuple(names)) for key, names in sorted(found.items())]
