"""Graph -> plan: walk the nodes, let each op's lowering emit its steps, then give every storage its place."""

from collections.abc import Mapping
from dataclasses import dataclass

from ...errors import EdgeError
from ...targets.target import Target
from ..ir.graph import Graph
from ..ir.specialize import input_symbols
from ..kernels.spec import Kernel
from . import (  # noqa: F401  (they register the lowerings)
    conv,
    elementwise,
    indexing,
    matmul,
    moves,
    normalize,
    ordering,
    pooling,
    reductions,
    regions,
    sampling,
)
from .buffers import allocate
from .context import LOWERINGS, Context
from .layout import plan_layout
from .memory import lower_bound, plan_arena
from .plan import Plan, Port, Space
from .sharing import plan_sharing
from .walk import copied, walk

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
    users = {v: allocate(v.type, space=Space.INPUT, index=i) for i, v in enumerate(graph.inputs)}
    results = [(v, allocate(v.type, space=Space.OUTPUT, index=i)) for i, v in enumerate(graph.outputs)]
    context = Context(target, plan_layout(graph, plan_sharing(graph, target.columns), dict(results[::-1]) | users))
    walk(context, graph)
    for value, place in results:
        context.name = value.name
        copied(context, context.view(value), place)
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
    for node in (node for part in graph.graphs() for node in part.nodes):
        if node.op not in LOWERINGS:
            raise EdgeError(f"node {node.name!r}: {node.op} has no kernel; it has: {', '.join(sorted(LOWERINGS))}")
        for value in (*node.inputs, *node.outputs):
            if 0 in value.type.shape:
                raise EdgeError(
                    f"node {node.name!r} ({node.op}) has the empty tensor {value.name!r} of shape "
                    f"{list(value.type.shape)}; only tensors with elements are supported: use a larger input"
                )
