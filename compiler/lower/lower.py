"""Graph -> plan: walk the nodes, let each op's lowering emit its steps, then give every storage its place."""

from collections.abc import Mapping
from dataclasses import dataclass

from ...errors import EdgeError
from ...targets.target import Target
from ..ir.graph import Graph, Node
from ..ir.specialize import input_symbols
from ..kernels.spec import Kernel
from . import (  # noqa: F401  (they register the lowerings)
    conv,
    elementwise,
    indexing,
    matmul,
    moves,
    ordering,
    pooling,
    reductions,
    sampling,
)
from .buffers import Storage, View, allocate
from .context import LOWERINGS, Context
from .copies import copy
from .layout import plan_layout
from .memory import lower_bound, plan_arena
from .pictures import find_pictures, lower_picture
from .plan import Plan, Port, Space

MAX_ARENA = 2**34
"""Bytes: more than any device has that edgec compiles for."""


@dataclass(frozen=True)
class Lowered:
    """A plan, the kernels it calls by symbol, and what no placement of its buffers could undercut (bytes)."""

    plan: Plan
    kernels: Mapping[str, Kernel]
    arena_lower_bound: int


def lower(graph: Graph, target: Target) -> Lowered:
    """The plan of `graph` (after all passes) for `target`. EdgeError names what has no kernel or is too large."""
    _check(graph)
    context = Context(target, plan_layout(graph, target.columns))
    _Walk(context, graph).run()
    storages = list(context.storages)
    arena = plan_arena(storages)
    if arena > MAX_ARENA:
        raise EdgeError(
            f"the model needs {arena >> 20} MiB of memory; at most {MAX_ARENA >> 20} are supported: use smaller inputs"
        )
    steps = [step.resolve() for step in context.steps]
    inputs, outputs = ([Port(v.name, v.type) for v in values] for values in (graph.inputs, graph.outputs))
    plan = Plan(
        graph.name, inputs, outputs, steps, arena, bytes(context.weights.data), symbols=input_symbols(graph),
    )  # fmt: skip
    return Lowered(plan, context.kernels, lower_bound(storages))


def _check(graph: Graph) -> None:
    for node in graph.nodes:
        if node.op not in LOWERINGS:
            raise EdgeError(f"node {node.name!r}: {node.op} has no kernel; it has: {', '.join(sorted(LOWERINGS))}")
        for value in (*node.inputs, *node.outputs):
            if 0 in value.type.shape:
                raise EdgeError(
                    f"node {node.name!r} ({node.op}) has the empty tensor {value.name!r} of shape "
                    f"{list(value.type.shape)}; only tensors with elements are supported: use a larger input"
                )


class _Walk:
    """Emits the steps of all nodes in order."""

    def __init__(self, context: Context, graph: Graph) -> None:
        self.context, self.graph = context, graph
        self.pictures = find_pictures(graph)
        self.copied: set[Storage] = set()

    def run(self) -> None:
        """Nodes, each after the copies that it reads; then what no node has written into the user's memory."""
        merged = set(self.pictures.values())
        for node in self.graph.nodes:
            self.context.name = node.name or node.op
            if node in merged:
                continue
            quantize = self.pictures.get(node)
            if quantize is None:
                self._node(node)
            elif not self._picture(quantize, node):
                self._node(quantize)
                self._node(node)
        self._outputs()

    def _picture(self, quantize: Node, transpose: Node) -> bool:
        return lower_picture(self.context, quantize, transpose)

    def _node(self, node: Node) -> None:
        for index, value in enumerate(node.inputs):
            target = self.context.layout.copies.get((node, index))
            if target is not None and target.storage not in self.copied:
                self.copied.add(target.storage)
                self._copy(self.context.view(value), target)
        LOWERINGS[node.op](self.context, node)

    def _outputs(self) -> None:
        for index, value in enumerate(self.graph.outputs):
            self.context.name = value.name
            view = self.context.view(value)
            written = (view.storage.space, view.storage.index) == (Space.OUTPUT, index)
            if not written and value.type.size:
                self._copy(view, allocate(value.type, space=Space.OUTPUT, index=index))

    def _copy(self, x: View, y: View) -> None:
        with self.context.part("copy"):
            copy(self.context, x, y)
