"""What can be said of an ONNX model before it is compiled: its ops, its cost, and what stands in the way."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..errors import EdgeError
from ..passes.pipeline import FLOAT, LATE, run_pipeline
from ..targets.registry import find
from .importer import Constant, Problem, bind_constants, find_problems, import_onnx, load_model, op_types
from .ir.cost import live_bytes, macs, parameters
from .ir.graph import Graph, Node, Value
from .lower.lower import refusals

TARGET = "arm64-neon"
"""Its kernels say what is supported; those of other targets are the same."""


@dataclass(frozen=True)
class Tensor:
    """An input or output."""

    name: str
    shape: tuple[int, ...]
    dtype: str


@dataclass(frozen=True)
class OpCost:
    """All nodes of one IR op together."""

    op: str
    nodes: int
    macs: int
    parameters: int


@dataclass(frozen=True)
class Summary:
    """`onnx_ops`: op type -> count, as the file has them, graphs inside of nodes included. `problems`: what stops the
    compiler; the fields after it are empty when there is a problem. `optimized_nodes`: how many nodes are left to
    compile. `activation_bytes`: the most that is alive at once, before fusion and quantization."""

    onnx_ops: Mapping[str, int]
    problems: tuple[Problem, ...]
    optimized_nodes: int = 0
    inputs: tuple[Tensor, ...] = ()
    outputs: tuple[Tensor, ...] = ()
    ops: tuple[OpCost, ...] = ()
    macs: int = 0
    parameters: int = 0
    parameter_bytes: int = 0
    activation_bytes: int = 0


def summarize(path: Path, shapes: Mapping[str, tuple[int, ...]], constants: Mapping[str, Constant]) -> Summary:
    """The summary of the model in `path`, with `shapes` for its open inputs and `constants` for inputs of a fixed
    value. EdgeError when it is no ONNX model."""
    model = bind_constants(load_model(path), constants)
    onnx_ops = dict(Counter(op_types(model.proto.graph)).most_common())
    try:
        graph = import_onnx(model, shapes)
    except EdgeError as error:
        found = find_problems(model, shapes)
        return Summary(onnx_ops, tuple(found) or (Problem("", "", str(error)),))
    summary = _of_graph(onnx_ops, graph)
    run_pipeline(graph, (*FLOAT, *LATE))
    if refused := refusals(graph, find(TARGET)):
        return Summary(onnx_ops, tuple(Problem(r.node, r.op, r.reason) for r in refused))
    return replace(summary, optimized_nodes=sum(len(part.nodes) for part in graph.graphs()))


def _of_graph(onnx_ops: Mapping[str, int], graph: Graph) -> Summary:
    nodes = [node for part in graph.graphs() for node in part.nodes]
    ops = dict.fromkeys(node.op for node in nodes)
    rows = [_cost([n for n in nodes if n.op == op], op) for op in ops]
    constants = graph.constants()
    return Summary(
        onnx_ops=onnx_ops,
        problems=(),
        inputs=tuple(map(_tensor, graph.inputs)),
        outputs=tuple(map(_tensor, graph.outputs)),
        ops=tuple(sorted(rows, key=lambda row: (-row.macs, -row.nodes, row.op))),
        macs=sum(row.macs for row in rows),
        parameters=parameters(constants),
        parameter_bytes=sum(v.type.nbytes for v in constants),
        activation_bytes=live_bytes(graph),
    )


def _cost(nodes: Sequence[Node], op: str) -> OpCost:
    return OpCost(op, len(nodes), sum(map(macs, nodes)), parameters(v for n in nodes for v in n.inputs))


def _tensor(value: Value) -> Tensor:
    return Tensor(value.name, value.type.shape, value.type.dtype)
