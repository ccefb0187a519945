"""Iterations that import rules build: written out where they are few and known, else a `loop`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count
from math import inf
from typing import NamedTuple

import numpy as np

from ...errors import EdgeError
from ..ir.expr import In, call
from ..ir.extent import is_symbolic, largest, least
from ..ir.graph import Value
from ..ir.types import TensorType
from .broadcast import emit_broadcast
from .builder import Builder
from .intervals import Interval
from .region import COUNT
from .region_builder import RegionBuilder, captures
from .slice import emit_slice, whole
from .trim import trimmed

MAX_WRITTEN_OUT = 128
"""Nodes that an iteration is written out to, rather than looped over."""

MAX_UNROLLED = 4096
"""Nodes that it is written out to if it cannot be a loop: where a tensor's shape changes from turn to turn."""

MAX_TRIPS = 2**24
"""Turns of a loop that nothing else ends."""

MAX_COUNTED = 2**16
"""Elements that are collected where only a run knows how many: memory is planned for all."""

ENDLESS = 2**63 - 1


@dataclass(frozen=True)
class Turn:
    """What one turn gives: whether to go on (None: always), the states, and an element for each collected tensor."""

    condition: Value | None
    states: Sequence[Value]
    collected: Sequence[Value]


@dataclass(frozen=True)
class Iteration:
    """`step(b, i, states)` emits turn number i, an int64 scalar.

    `trips`: at most so many turns; a number, or an int64 scalar. `condition`: whether there is a first turn. `size`:
    about how many nodes a turn has. `reverse`: for each collected tensor whether its elements are stored last first.
    `extents`: their number, for each collected tensor, where the model states it.
    """

    trips: float | Value
    condition: Value | None
    states: Sequence[Value]
    step: Callable[[Builder, Value, Sequence[Value]], Turn]
    size: int
    reverse: Sequence[bool]
    extents: Sequence[int | None]


def iterate(b: Builder, it: Iteration) -> tuple[list[Value], list[Value]]:
    """The last states, and the collected tensors, with a first dimension of turns.

    ValueError, or an EdgeError about a node inside, where that cannot be had.
    """
    trips = inf if isinstance(it.trips, Value) or is_symbolic(it.trips) else it.trips
    written_out = trips * it.size <= MAX_WRITTEN_OUT or _starts_known(it)
    if written_out and (result := _unrolled(b, it, MAX_WRITTEN_OUT)) is not None:
        return result
    made = len(b.nodes)
    try:
        return _looped(b, it)
    except (EdgeError, ValueError):
        del b.nodes[made:]
        if trips * it.size <= MAX_UNROLLED and (result := _unrolled(b, it, MAX_UNROLLED)) is not None:
            return result
        raise


def element(b: Builder, x: Value, index: Value) -> Value:
    """x[index] along the first axis."""
    if index.data is None:
        return b.emit("gather", x, index, axis=0)
    at = int(index.data)
    part = emit_slice(b, x, [range(at, at + 1), *map(whole, x.type.shape[1:])])
    return b.reshape(part, x.type.shape[1:])


def from_end(b: Builder, index: Value, extent: int) -> Value:
    """The index `extent` - 1 - `index`."""
    return b.map(call("sub", extent - 1, In(0)), index)


def scalar(b: Builder, value: Value, dtype: str, what: str) -> Value:
    """`value`, one element of `dtype`, without dimensions; ValueError if it is something else."""
    if value.type.size != 1 or value.type.dtype != dtype:
        raise ValueError(f"its {what} must be one {dtype}, not {value.type.dtype}{list(value.type.shape)}")
    return b.reshape(value, ())


def _starts_known(it: Iteration) -> bool:
    """Whether it may be that everything about the iteration is known, as for a loop over shapes."""
    known = [s.is_const for s in it.states]
    return isinstance(it.trips, float) and it.condition is not None and it.condition.is_const and all(known)


def _unrolled(b: Builder, it: Iteration, limit: int) -> tuple[list[Value], list[Value]] | None:
    """Turn after turn; None, and nothing emitted, if it is not known where to end or there are more nodes than `limit`.

    Without any turn the elements of the collected tensors are not known: None too.
    """
    made, states, condition = len(b.nodes), list(it.states), it.condition
    columns: list[list[Value]] = [[] for _ in it.reverse]
    turns = 0
    for turns in count():
        if not isinstance(it.trips, Value) and turns >= it.trips:
            break
        if condition is not None and condition.data is not None and not condition.data.item():
            break
        unknown = isinstance(it.trips, Value) or (condition is not None and condition.data is None)
        if unknown or turns * max(it.size, 1) > limit:
            del b.nodes[made:]
            return None
        turn = it.step(b, b.constant(np.array(turns, np.int64)), states)
        states, condition = list(turn.states), turn.condition
        for column, value in zip(columns, turn.collected, strict=True):
            column.append(value)
    if turns == 0 and columns:
        return None
    return states, [_stacked(b, c[::-1] if r else c) for c, r in zip(columns, it.reverse, strict=True)]


def _stacked(b: Builder, parts: Sequence[Value]) -> Value:
    shape = parts[0].type.shape
    for part in parts:
        if part.type != parts[0].type:
            raise ValueError(f"it collects tensors of different types, {parts[0].type} and {part.type}")
    return b.emit("concat", *(b.reshape(p, (1, *shape)) for p in parts), axis=0)


def _looped(b: Builder, it: Iteration) -> tuple[list[Value], list[Value]]:
    """A `loop` node. Collected tensors are states in which each turn inserts its element."""
    body = RegionBuilder(b)
    index = body.parameter(COUNT, Interval(0, it.trips - 1) if isinstance(it.trips, int) else Interval(0, ENDLESS))
    states = [body.parameter(s.type) for s in it.states]
    turn = it.step(body, index, states)
    _check_states(states, turn.states)
    condition = body.constant(np.array(True)) if turn.condition is None else turn.condition
    _check_end(it, condition)
    limits = [_limit(it, condition, place) for place in range(len(turn.collected))]
    counters = [body.parameter(COUNT)] if any(limit.counts for limit in limits) else []
    tensors = [
        _collect(body, index, value, limit.extent, reverse)
        for value, limit, reverse in zip(turn.collected, limits, it.reverse, strict=True)
    ]
    if any(not is_symbolic(limit.extent) and limit.extent == 0 for limit in limits):
        return list(it.states), [_zeros(b, t.type) for t in tensors]
    counted = [body.map(call("add", In(0), 1), counter) for counter in counters]
    captured = captures(body)
    region = body.graph([condition, *turn.states, *counted, *tensors], captured)
    first = b.constant(np.array(True)) if it.condition is None else it.condition
    initial = [*it.states, *(_zeros(b, COUNT) for _ in counters), *(_zeros(b, t.type) for t in tensors)]
    results = list(b.emit_all("loop", _trips(b, it, limits), first, *initial, *captured, regions=[region]))
    last, found = results[: len(states)], results[len(states) + len(counters) :]
    if counters:
        turns = b.reshape(results[len(states)], (1,))
        found = [trimmed(b, t, turns) if limit.counts else t for t, limit in zip(found, limits, strict=True)]
    return last, found


def _check_states(before: Sequence[Value], after: Sequence[Value]) -> None:
    for old, new in zip(before, after, strict=True):
        if old.type != new.type:
            raise ValueError(
                f"its state {old.name!r} is {old.type.dtype}{list(old.type.shape)} before a turn and "
                f"{new.type.dtype}{list(new.type.shape)} after it; states of one type are supported"
            )


def _check_end(it: Iteration, condition: Value) -> None:
    """ValueError if the turns have no end, or none that a user would see."""
    if isinstance(it.trips, Value) or is_symbolic(it.trips) or it.trips <= MAX_TRIPS:
        return
    if condition.data is not None and condition.data.item():
        raise ValueError(f"nothing ends it before {it.trips} turns; at most {MAX_TRIPS} are supported")


def _collect(body: RegionBuilder, index: Value, value: Value, extent: int, reverse: bool) -> Value:
    """The tensor of `extent` elements with `value` inserted; empty ones need no node."""
    complete = body.parameter(TensorType((extent, *value.type.shape), value.type.dtype, value.type.quant))
    if complete.type.size == 0:
        return complete
    return body.emit("scatter", complete, from_end(body, index, extent) if reverse else index, value)


class _Limit(NamedTuple):
    """The extent of a collected tensor, or if `counts` the largest one: the number of turns is counted."""

    extent: int
    counts: bool = False


def _limit(it: Iteration, condition: Value, place: int) -> _Limit:
    """How many elements a collected tensor has: as many as turns, which are known, or as the model states, or counted
    in a run."""
    first = True if it.condition is None else it.condition.data
    if first is not None and not first:
        return _Limit(0)
    if first is not None and condition.data is not None and isinstance(it.trips, int):
        return _Limit(it.trips if condition.data.item() else least(it.trips, 1))
    stated = it.extents[place]
    if stated is not None:
        return _Limit(stated)
    if isinstance(it.trips, int) and largest(it.trips) <= MAX_COUNTED:
        return _Limit(it.trips, counts=True)
    raise ValueError(
        "it collects a tensor with an element for each turn, but how many turns there are is only known at run time; "
        f"fix its trip count with --const, limit it to {MAX_COUNTED}, or give its output a static shape in the model"
    )


def _trips(b: Builder, it: Iteration, limits: Sequence[_Limit]) -> Value:
    """The number of turns, which collected tensors limit."""
    extents = [limit.extent for limit in limits]
    if isinstance(it.trips, Value):
        return b.map(call("min", In(0), min(extents)), it.trips) if extents else it.trips
    known = it.trips if isinstance(it.trips, int) else ENDLESS
    return b.integers(np.array(least(known, *extents), object))


def _zeros(b: Builder, type: TensorType) -> Value:
    return emit_broadcast(b, b.constant(np.zeros((), type.dtype), type.quant), type.shape)
