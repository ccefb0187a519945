"""Graph -> plan: walk the nodes, let each op's lowering emit its steps, then give every storage its place."""

from collections.abc import Mapping
from dataclasses import dataclass

from ...errors import EdgeError
from ...targets.target import Target
from ..ir.graph import Graph
from ..kernels.spec import Kernel
from . import conv, elementwise, moves, pooling, sampling  # noqa: F401  (they register the lowerings)
from .buffers import allocate
from .context import LOWERINGS, Context
from .layout import plan_layout
from .memory import lower_bound, plan_arena
from .pictures import find_pictures, lower_picture
from .plan import Plan, Port, Space


@dataclass(frozen=True)
class Lowered:
    """A plan, the kernels it calls by symbol, and what no memory plan could undercut (bytes)."""

    plan: Plan
    kernels: Mapping[str, Kernel]
    arena_lower_bound: int


def lower(graph: Graph, target: Target) -> Lowered:
    """The plan of `graph` (after all passes) for `target`. EdgeError names a node that has no kernel."""
    layout = plan_layout(graph)
    context = Context(target, layout.views, layout.padded, layout.fills)
    pictures = find_pictures(graph)
    quantizing = set(pictures.values())
    for node in graph.nodes:
        if node in quantizing:
            continue
        if node.op not in LOWERINGS:
            raise EdgeError(f"node {node.name!r}: {node.op} has no kernel; it has: {', '.join(sorted(LOWERINGS))}")
        context.node = node
        if node in pictures:
            lower_picture(context, pictures[node], node)
            continue
        for index in range(len(node.inputs)):
            if (node, index) in context.padded:
                moves.copy(context, context.view(node.inputs[index]), context.padded[node, index])
        LOWERINGS[node.op](context, node)
    context.node = None
    for index, value in enumerate(graph.outputs):
        if context.view(value).storage.space != Space.OUTPUT or context.view(value).storage.index != index:
            moves.copy(context, context.view(value), allocate(value.type, space=Space.OUTPUT, index=index))
    storages = list(context.storages)
    arena = plan_arena(storages)
    steps = [step.resolve() for step in context.steps]
    inputs, outputs = ([Port(v.name, v.type) for v in values] for values in (graph.inputs, graph.outputs))
    plan = Plan(graph.name, inputs, outputs, steps, arena, bytes(context.weights.data))
    return Lowered(plan, context.kernels, lower_bound(storages))
