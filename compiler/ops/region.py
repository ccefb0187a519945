"""`if` and `loop`: nodes that run other graphs, their regions.

`if(condition, captured...)`: the outputs of the first region where the condition holds, else of the second; both take
the captured values.

`loop(trips, condition, states..., captured...)`: while the condition holds, at most `trips` times, its region takes
(iteration, states..., captured...) and gives (condition, states...). The outputs are the last states.
"""

from collections.abc import Sequence

from ..ir.graph import Array, Graph, Node
from ..ir.registry import OpDef, register
from ..ir.types import TensorType
from .reference import run_region

MAX_INPUTS = 2**16

CONDITION = TensorType((), "bool")
COUNT = TensorType((), "int64")


def _check(what: str, found: Sequence[TensorType], wanted: Sequence[TensorType]) -> None:
    if list(found) != list(wanted):
        different = [(i, f, w) for i, (f, w) in enumerate(zip(found, wanted, strict=False)) if f != w]
        if len(found) != len(wanted) or not different:
            raise ValueError(f"{what} are {len(found)}, but must be {len(wanted)}")
        index, got, want = different[0]
        raise ValueError(f"number {index} of {what} has the type {got}, but must have {want}")


def _types(graph: Graph) -> tuple[list[TensorType], list[TensorType]]:
    return [v.type for v in graph.inputs], [v.type for v in graph.outputs]


def _infer_if(node: Node) -> tuple[TensorType, ...]:
    condition, *captured = (v.type for v in node.inputs)
    _check("its condition", [condition], [CONDITION])
    results = _types(node.regions[0])[1]
    for region in node.regions:
        inputs, outputs = _types(region)
        _check(f"the inputs of its region {region.name!r}", inputs, captured)
        _check(f"the outputs of its region {region.name!r}", outputs, results)
    return tuple(results)


def _run_if(node: Node, inputs: Sequence[Array]) -> tuple[Array, ...]:
    return run_region(node.regions[0 if inputs[0] else 1], inputs[1:])


def _infer_loop(node: Node) -> tuple[TensorType, ...]:
    trips, condition, *others = (v.type for v in node.inputs)
    (inputs, outputs) = _types(node.regions[0])
    states = others[: len(outputs) - 1]
    _check("its trip count and condition", [trips, condition], [COUNT, CONDITION])
    _check("its region's inputs", inputs, [COUNT, *others])
    _check("its region's outputs", outputs, [CONDITION, *states])
    return tuple(states)


def _run_loop(node: Node, inputs: Sequence[Array]) -> tuple[Array, ...]:
    trips, condition, *others = inputs
    (region,) = node.regions
    count = len(region.outputs) - 1
    states, captured = tuple(others[:count]), others[count:]
    index = trips - trips
    while condition and index < trips:
        condition, *new = run_region(region, [index, *states, *captured])
        states, index = tuple(new), index + 1
    return states


register(OpDef("if", (1, MAX_INPUTS), {}, _infer_if, _run_if, regions=2))
register(OpDef("loop", (2, MAX_INPUTS), {}, _infer_loop, _run_loop, regions=1))
