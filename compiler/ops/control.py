"""ONNX's If, Loop and Scan. What is decided at import leaves no trace; the rest becomes `if` and `loop`."""

from collections.abc import Sequence
from math import inf

import numpy as np

from ...errors import EdgeError
from ..ir.graph import Value
from .builder import Builder
from .constness import options_that_fix
from .iteration import Iteration, Turn, element, from_end, iterate, scalar
from .onnx_node import OnnxNode, Subgraph, normalized_axis, onnx_op
from .region_builder import RegionBuilder, captures

MAX_BATCH = 64
"""Sequences of a batch that Scan of opset 8 goes through."""


@onnx_op("If", takes_codes=True)
def _if(b: Builder, node: OnnxNode) -> Sequence[Value]:
    condition = scalar(b, node.input(0), "bool", "condition")
    branches = [node.graph(name) for name in ("then_branch", "else_branch")]
    if condition.data is not None:
        return branches[0 if condition.data.item() else 1].emit(b, [])
    regions = [RegionBuilder(b) for _ in branches]
    try:
        results = [branch.emit(region, []) for branch, region in zip(branches, regions, strict=True)]
    except EdgeError as e:
        raise ValueError(
            f"one of its branches cannot be compiled; choose with {options_that_fix(condition)} ({e})"
        ) from None
    types = [[v.type for v in values] for values in results]
    if types[0] != types[1]:
        shown = [", ".join(f"{t.dtype}{list(t.shape)}" for t in side) for side in types]
        raise ValueError(
            f"its branches give different types, {shown[0]} and {shown[1]}; choose one with "
            f"{options_that_fix(condition)}, or make both of one type"
        )
    captured = captures(*regions)
    graphs = [region.graph(values, captured) for region, values in zip(regions, results, strict=True)]
    return b.emit_all("if", condition, *captured, regions=graphs)


@onnx_op("Loop", takes_codes=True)
def _loop(b: Builder, node: OnnxNode) -> Sequence[Value]:
    body, states = node.graph("body"), [node.input(i) for i in range(2, len(node.inputs))]
    collected = len(body.outputs) - 1 - len(states)
    if len(body.inputs) != 2 + len(states) or collected < 0:
        raise ValueError(
            f"its body has {len(body.inputs)} inputs and {len(body.outputs)} outputs for {len(states)} states"
        )
    condition = node.optional(1) and scalar(b, node.input(1), "bool", "condition")

    def step(b: Builder, index: Value, states: Sequence[Value]) -> Turn:
        shown = [index, b.constant(np.array(True))]  # in a turn the condition holds
        ranked = [b.reshape(v, (1,) * (body.rank(i) or 0)) for i, v in enumerate(shown)]
        goes_on, *values = body.emit(b, [*ranked, *states])
        return Turn(scalar(b, goes_on, "bool", "condition"), values[: len(states)], values[len(states) :])

    names = list(node.outputs[len(states) :])
    extents = [next(iter(node.declared.get(name, ())), None) for name in names] + [None] * (collected - len(names))
    it = Iteration(_trips(b, node), condition, states, step, body.size, [False] * collected, extents)
    if it.trips == 0 and not collected:
        return states
    last, tensors = iterate(b, it)
    return [*last, *tensors]


def _trips(b: Builder, node: OnnxNode) -> float | Value:
    """The largest number of turns: known, infinite, or a value."""
    if node.optional(0) is None:
        return inf
    trips = scalar(b, node.input(0), "int64", "trip count")
    if trips.data is None:
        return trips
    return max(int(trips.data), 0)


@onnx_op("Scan", since=9)
def _scan(b: Builder, node: OnnxNode) -> Sequence[Value]:
    body, count = node.graph("body"), node.integer("num_scan_inputs")
    inputs = [node.input(i) for i in range(len(node.inputs))]
    split = _checked_split(body, len(inputs), count)
    axes, reverse = (_per_scan(node, f"scan_input_{name}", count) for name in ("axes", "directions"))
    moved = [_axis_first(b, x, normalized_axis(a, x.type.rank)) for x, a in zip(inputs[split:], axes, strict=True)]
    outputs = len(body.outputs) - split
    axes, stored = (_per_scan(node, f"scan_output_{name}", outputs) for name in ("axes", "directions"))
    states, tensors = _scanned(b, body, inputs[:split], moved, reverse, stored)
    placed = [_axis_placed(b, y, normalized_axis(a, y.type.rank)) for y, a in zip(tensors, axes, strict=True)]
    return [*states, *placed]


@onnx_op("Scan", since=8)
def _scan_8(b: Builder, node: OnnxNode) -> Sequence[Value]:
    """The first dimension is a batch, each sequence of which is scanned by itself."""
    body, count = node.graph("body"), node.integer("num_scan_inputs")
    inputs = [node.input(i) for i in range(1, len(node.inputs))]
    if node.optional(0) is not None:
        raise ValueError("it has sequence lengths, which are supported from opset 9 on; convert the model to that")
    split, batch = _checked_split(body, len(inputs), count), inputs[0].type.shape[0] if inputs[0].type.rank else 0
    if not 0 < batch <= MAX_BATCH or any(x.type.shape[:1] != (batch,) for x in inputs):
        raise ValueError(f"its inputs must have one first extent of 1 to {MAX_BATCH}")
    reverse, rows = _per_scan(node, "directions", count), []
    for i in range(batch):
        parts = [element(b, x, b.constant(np.array(i, np.int64))) for x in inputs]
        stored = (0,) * (len(body.outputs) - split)
        states, tensors = _scanned(b, body, parts[:split], parts[split:], reverse, stored)
        rows.append([b.reshape(v, (1, *v.type.shape)) for v in (*states, *tensors)])
    return [b.emit("concat", *column, axis=0) for column in zip(*rows, strict=True)]


def _checked_split(body: Subgraph, inputs: int, scanned: int) -> int:
    """The number of states among the inputs."""
    states = inputs - scanned
    if scanned < 1 or states < 0 or len(body.inputs) != inputs or len(body.outputs) < states:
        raise ValueError(
            f"it scans {scanned} of its {inputs} inputs with a body of {len(body.inputs)} inputs and "
            f"{len(body.outputs)} outputs"
        )
    return states


def _per_scan(node: OnnxNode, name: str, count: int) -> tuple[int, ...]:
    values = node.integers(name, (0,) * count)
    if len(values) != count:
        raise ValueError(f"attribute {name!r} has {len(values)} entries, but must have {count}")
    return values


def _scanned(
    b: Builder, body: Subgraph, states: Sequence[Value], scanned: Sequence[Value], reverse: Sequence[int],
    stored: Sequence[int],
) -> tuple[list[Value], list[Value]]:  # fmt: skip
    """`body` over the first axis of the tensors `scanned`, each from its end where `reverse` says so."""
    turns = {x.type.shape[0] if x.type.rank else 0 for x in scanned}
    if len(turns) != 1 or 0 in turns:
        raise ValueError(f"it scans tensors of the lengths {sorted(turns)}; they must have one length of at least 1")
    (trips,) = turns

    def step(b: Builder, index: Value, states: Sequence[Value]) -> Turn:
        places = [from_end(b, index, trips) if r else index for r in reverse]
        parts = [element(b, b.capture(x), at) for x, at in zip(scanned, places, strict=True)]
        values = body.emit(b, [*states, *parts])
        return Turn(None, values[: len(states)], values[len(states) :])

    size = body.size + len(scanned)
    return iterate(b, Iteration(trips, None, states, step, size, [bool(s) for s in stored], [None] * len(stored)))


def _axis_first(b: Builder, x: Value, axis: int) -> Value:
    return b.transpose(x, (axis, *(i for i in range(x.type.rank) if i != axis)))


def _axis_placed(b: Builder, x: Value, axis: int) -> Value:
    order = list(range(1, x.type.rank))
    return b.transpose(x, (*order[:axis], 0, *order[axis:]))
