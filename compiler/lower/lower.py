"""Graph -> plan: walk the nodes, let each op's lowering emit its steps, then give every storage its place."""

from collections.abc import Mapping
from dataclasses import dataclass

from ...errors import EdgeError
from ...targets.target import Target
from ..ir.extent import Undecided
from ..ir.graph import Graph
from ..ir.probe import is_ranged, probing
from ..ir.specialize import input_symbols, revalued
from ..kernels.spec import Kernel
from . import nodes, regions  # noqa: F401  (they register the lowerings)
from .bands import fuse
from .buffers import ALIGNMENT
from .context import LOWERINGS, Context, Refusal
from .interface import Interface, plan_interface
from .layout import Layout, plan_layout
from .memory import lower_bound, plan_arena
from .plan import Plan
from .probe import require_same_steps
from .room import Room, bytes_in_use
from .sharing import plan_sharing
from .states import replaceable
from .tables import find_tables
from .walk import copied, walk

MAX_ARENA = 2**34
"""Bytes: more than any device has that edgec compiles for."""


@dataclass(frozen=True)
class Lowered:
    """A plan, the kernels it calls by symbol, and what no placement of its buffers could undercut (bytes)."""

    plan: Plan
    kernels: Mapping[str, Kernel]
    arena_lower_bound: int


def refusals(graph: Graph, target: Target) -> list[Refusal]:
    """Every node of `graph` that `lower` would stop at, were it not for those before it; none if it would not stop."""
    found: list[Refusal] = []
    try:
        lower(graph, target, refused=found)
    except EdgeError as error:
        found.append(Refusal("", "", str(error)))
    return found


def lower(
    graph: Graph, target: Target, states: Mapping[str, str] | None = None, refused: list[Refusal] | None = None
) -> Lowered:
    """The plan of `graph` (after all passes) for `target`. `states` names inputs that sessions keep, and the outputs
    that they take in the next run. EdgeError names what has no kernel or is too large; with `refused`, nodes without
    kernel are noted there and left out."""
    _check(graph)
    interface = plan_interface(graph, states or {})
    context = _emitted(graph, target, interface, refused)
    if is_ranged(graph) and not refused:
        with probing():
            other = revalued(graph)
            again = _emitted(other, target, plan_interface(other, states or {}), None)
            require_same_steps(context, again)
    fused = fuse(context)
    storages = list(context.storages)
    arena = plan_arena(storages)
    if arena > MAX_ARENA:
        raise EdgeError(
            f"the model needs {arena >> 20} MiB of memory; at most {MAX_ARENA >> 20} are supported: use smaller inputs"
        )
    weights = context.weights.joined()
    steps = [step.resolve() for step in context.steps]
    scratch = max([fused.scratch_size, *(step.scratch for step in steps)])
    plan = Plan(
        graph.name, *interface.ports(), steps, arena, weights, context.symbols,
        interface.kept(), scratch + -scratch % ALIGNMENT, fused.bands(), len(context.weights.rows),
    )  # fmt: skip
    return Lowered(plan, context.kernels, lower_bound(storages))


def _emitted(graph: Graph, target: Target, interface: Interface, refused: list[Refusal] | None) -> Context:
    """The steps of all nodes, and copies of what is not computed in its place."""
    context = Context(target, Layout(), symbols=input_symbols(graph), refused=refused)
    try:
        states = {new for _, new in interface.states}
        context.tables = find_tables(graph, target, states)
        sharing = plan_sharing(graph, target.lanes, states, context.tables.values())
        in_place = replaceable(graph, sharing, target.lanes, interface.states)
        replaced = states - in_place
        placed = {v: place for v, place in interface.outputs[::-1] if v not in replaced}
        context.layout = plan_layout(graph, sharing, placed | dict(interface.inputs))
        context.room = Room(0, max(bytes_in_use(graph, context.layout), default=0))
        context.keep(interface.inputs.values())
        walk(context, graph)
        for value, place in interface.outputs:
            context.name = value.name
            copied(context, context.view(value), place)
        context.keep(interface.inputs.values())
    except Undecided as question:
        what = f"node {context.name!r}" if context.name else "the model's memory"
        raise EdgeError(f"{what} would have to be planned differently from run to run: {question}") from None
    return context


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
