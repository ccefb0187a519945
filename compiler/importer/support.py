"""Which nodes of a model cannot be imported, all at once."""

import re
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

import onnx

from ...errors import EdgeError
from ..ops.onnx_node import find_rule, supported_ops
from .functions import Key, is_function, local_functions
from .model import Source, load_model

MAX_NESTING = 8
"""Graphs within graphs."""

_RECURRENT = ("LSTM", "GRU", "RNN")

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


@dataclass(frozen=True)
class Problem:
    """A node that cannot be imported, "" where it is the model as a whole, its op, and the reason, which names what is
    accepted."""

    node: str
    op: str
    reason: str

    def __str__(self) -> str:
        return f"{self.op} node {self.node!r}: {self.reason}" if self.node else self.reason


_ADVICE = {
    "String|Regex|TfIdf|Sequence|Optional|ImageDecoder|LabelEncoder": (
        "tensors of numbers are supported: leave this part to the application, before or after the model"
    ),
    "training": "export the model for inference",
    r"nchwc\.|nhwc\.|NhwcConv|NhwcFusedConv": (
        "ONNX Runtime made it for the machine that saved the model: save it with graph_optimization_level = "
        "ORT_ENABLE_EXTENDED"
    ),
    r"BeamSearch|GreedySearch|\.Sampling": (
        "it runs a model in a loop: compile its decoder alone, and choose the tokens outside"
    ),
    r"\.(DecoderMasked|Packed|Paged|Longformer|QOrdered)": (
        "it is for GPUs or ONNX Runtime's own generation loops: optimize the model for a CPU, without such loops"
    ),
}
"""What to do about ops that a tool made for one machine or one way of running, or that do no work on tensors."""


def listed(missing: Sequence[Unsupported]) -> str:
    """The ops in a sentence, and what to do about them."""
    ops = ", ".join(str(u) for u in missing)
    advice = dict.fromkeys(_advice(u.domain, u.op_type) for u in missing)
    return "; ".join((f"the model uses ops that edgec does not support: {ops}", *advice))


def _advice(domain: str, op_type: str) -> str:
    for pattern, advice in _ADVICE.items():
        if re.search(pattern, f"{domain}.{op_type}"):
            return advice
    names = [name for known, name in supported_ops() if known == domain]
    similar = get_close_matches(op_type, names, n=3)
    other = "give it as a function of the model, or export it as ops of ONNX"
    return f"similar ones are {', '.join(similar)}; {other}" if similar else other


def unknown_op(domain: str, op_type: str, opset: int) -> str:
    """What is wrong with an op that has no rule."""
    return f"edgec has no such op (opset {opset}); {_advice(domain, op_type)}"


def op_name(node: onnx.NodeProto) -> str:
    """The node's op with its domain."""
    return f"{domain_of(node)}.{node.op_type}" if domain_of(node) else str(node.op_type)


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


def op_types(graph: onnx.GraphProto, depth: int = 0) -> Iterator[str]:
    """The op type of each node, and of those in graphs inside of nodes."""
    for node in graph.node:
        yield node.op_type
        for inner in subgraphs(node, depth):
            yield from op_types(inner, depth + 1)


def recurrent_nodes(graph: onnx.GraphProto, depth: int = 0) -> set[str]:
    """The names of LSTM, GRU and RNN nodes, those in subgraphs included."""
    names = {node_name(node, index) for index, node in enumerate(graph.node) if node.op_type in _RECURRENT}
    return names.union(*(recurrent_nodes(g, depth + 1) for node in graph.node for g in subgraphs(node, depth)))


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
