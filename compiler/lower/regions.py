"""if and loop: the steps of their regions, and branches between them.

The memory of a region's inputs is that of the values around it; its results are computed where the node's outputs lie.
What a loop needs from turn to turn lives through all of it: states, the number of the turn, and what it captures.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from ..ir.expr import Expr, In, call
from ..ir.graph import Graph, Node, Value, constant
from ..ir.types import TensorType
from .buffers import View, allocate
from .context import LOWERINGS, Context, Label, lowering
from .demands import reads_past
from .layout import plan_layout
from .plan import Control, Space
from .sharing import Sharing, plan_sharing
from .states import replaceable
from .walk import copied, walk

_NOW, _TRIPS = In(0), In(1)
_GOES_ON = call("and", In(2), call("lt", _NOW, _TRIPS))
_IS_DONE = call("or", call("not", In(2)), call("le", _TRIPS, _NOW))
_IS_LAST = call("le", _TRIPS, _NOW)


@lowering("if")
def lower_if(c: Context, node: Node) -> None:
    """Both regions compute the outputs in their place."""
    name, otherwise, end = c.name, Label(), Label()
    outputs = [c.layout.views[v] for v in node.outputs]
    captured = [c.view(v) for v in node.inputs[1:]]
    c.control(Control.BRANCH, otherwise, c.view(node.inputs[0]).at())
    for region, after in zip(node.regions, (otherwise, end), strict=True):
        views = dict(zip(region.inputs, captured, strict=True)) | dict(zip(region.outputs, outputs, strict=True))
        _region(c, region, plan_sharing(region, c.target.lanes), views)
        c.name = name
        for value, target in zip(region.outputs, outputs, strict=True):
            copied(c, c.view(value), target)
        if after is otherwise:
            c.control(Control.JUMP, end)
        c.place(after)


@lowering("loop")
def lower_loop(c: Context, node: Node) -> None:
    """States are written in their place where nothing reads the old one any more, and copied there otherwise."""
    name, body, end = c.name, Label(), Label()
    (region,), count = node.regions, len(node.outputs)
    trips, condition, *initial = node.inputs[: 2 + count]
    goes_on, *results = region.outputs
    index, *states = region.inputs[: 1 + count]
    places = [_place(c, region, state, c.layout.views[out]) for state, out in zip(states, node.outputs, strict=True)]
    views = dict(zip(region.inputs[1:], [*places, *map(c.view, node.inputs[2 + count :])], strict=True))
    for value, place in zip(initial, places, strict=True):
        copied(c, _repeated(c, value), place)

    turn, flag = _scalar("turn", "int64"), _scalar("flag", "bool")
    c.layout.views |= {v: allocate(v.type) for v in (turn, flag)}
    copied(c, c.view(constant("zero", np.array(0, np.int64))), c.view(turn))
    _map(c, _GOES_ON, [turn, trips, condition], flag)
    c.control(Control.BRANCH, end, c.view(flag).at())
    c.place(body)
    since = c.phase
    sharing = plan_sharing(region, c.target.lanes, set(results))
    kept = replaceable(region, sharing, c.target.lanes, list(zip(states, results, strict=True)))
    views |= {new: place for new, place in zip(results, places, strict=True) if new in kept}
    _region(c, region, sharing, views | {index: c.view(turn)})
    c.name = name
    for value, place in zip(results, places, strict=True):
        copied(c, c.view(value), place)
    _map(c, call("add", In(0), 1), [turn], turn)
    if goes_on.data is not None and goes_on.data.item():
        _map(c, _IS_LAST, [turn, trips], flag)
    else:
        _map(c, _IS_DONE, [turn, trips, goes_on], flag)
    c.control(Control.BRANCH, body, c.view(flag).at())
    c.hold(since)
    c.place(end)
    for out, place in zip(node.outputs, places, strict=True):
        copied(c, place, c.layout.views[out])


def _region(c: Context, region: Graph, sharing: Sharing, views: Mapping[Value, View]) -> None:
    """The steps of `region`, with inputs and results where `views` says."""
    c.layout.add(plan_layout(region, sharing, views))
    walk(c, region)


def _place(c: Context, region: Graph, state: Value, output: View) -> View:
    """Where a state lives: in the place of the loop's output, unless that is the user's and something reads past its
    end, or it has gaps."""
    users = output.storage.space != Space.ARENA
    past = any(v is state and reads_past(node, i) for node in region.nodes for i, v in enumerate(node.inputs))
    return output if output.is_dense and not (users and past) else allocate(state.type)


def _repeated(c: Context, value: Value) -> View:
    """The value, or one element of it where all are alike: that is less to store."""
    if value.data is None or not value.type.size:
        return c.view(value)
    first = value.data.reshape(-1)[:1]
    if value.data.tobytes() != first.tobytes() * value.type.size:
        return c.view(value)
    return c.view(constant(value.name, first.reshape((1,) * value.type.rank)))


def _scalar(name: str, dtype: str) -> Value:
    return Value(name, TensorType((), dtype))


def _map(c: Context, expr: Expr, inputs: Sequence[Value], output: Value) -> None:
    """A map of scalars."""
    LOWERINGS["map"](c, Node("map", list(inputs), [output], {"expr": expr}))
