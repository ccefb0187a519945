"""Which nodes of a model cannot be imported, all at once."""

from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass

import onnx

from ...errors import EdgeError
from ..ops.onnx_node import find_rule
from .functions import Key, is_function, local_functions
from .model import Source, load_model

MAX_NESTING = 8
"""Graphs within graphs."""

_CHOICE = "If"
"""Graphs of these nodes may never be used: they are looked into when it is known that they are."""


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


def subgraphs(node: onnx.NodeProto, depth: int = 0) -> list[onnx.GraphProto]:
    """The graphs that are attributes of `node`, which is `depth` levels deep itself; EdgeError if that is too deep."""
    graphs = [a.g for a in node.attribute if a.type == onnx.AttributeProto.GRAPH]
    if graphs and depth > MAX_NESTING:
        raise EdgeError(f"the model nests graphs more than {MAX_NESTING} deep; export it with fewer levels")
    return graphs


def check_support(source: Source) -> list[Unsupported]:
    """The ops of a model that cannot be imported: one entry an op, none if all can.

    EdgeError if the model cannot be read at all.
    """
    model = load_model(source)
    return missing_ops(model.opsets, list(enumerate(model.proto.graph.node)), local_functions(model.proto))


def missing_ops(
    opsets: Mapping[str, int], nodes: Iterable[tuple[int, onnx.NodeProto]], functions: Container[Key]
) -> list[Unsupported]:
    """The ops among `nodes` (with their index in the graph), and in loops among them, that neither an import rule nor
    a function defines, sorted. What functions are made of is not looked into."""
    found: dict[tuple[str, str, int], list[str]] = {}
    for index, node in _with_inner(nodes):
        domain = domain_of(node)
        opset = opsets.get(domain, 1)
        if find_rule(domain, node.op_type, opset) is None and not is_function(functions, node, opset):
            found.setdefault((domain, node.op_type, opset), []).append(node_name(node, index))
    return [Unsupported(*key, tuple(names)) for key, names in sorted(found.items())]


def _with_inner(nodes: Iterable[tuple[int, onnx.NodeProto]], depth: int = 0) -> Iterator[tuple[int, onnx.NodeProto]]:
    for index, node in nodes:
        yield index, node
        if node.op_type != _CHOICE:
            for graph in subgraphs(node, depth):
                yield from _with_inner(enumerate(graph.node), depth + 1)
