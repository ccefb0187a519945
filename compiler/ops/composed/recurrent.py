"""ONNX's LSTM, GRU and RNN: one product of all time steps with the input weights, then an iteration over time."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import isnan, nan

import numpy as np

from ...ir.expr import Expr, In, call, clip, hard_sigmoid, leaky_relu, relu, sigmoid, substitute
from ...ir.graph import Value
from ..broadcast import emit_broadcast
from ..builder import Builder
from ..iteration import Iteration, Turn, element, from_end, iterate
from ..onnx_node import OnnxNode, onnx_op
from ..slice import emit_slice, whole

TURN_NODES = 32
"""What a time step counts as. It has fewer, but no two are alike to the optimizer: only the shortest sequences are
written out."""

X = In(0)

_Function = Callable[[float, float], Expr]


def _below_zero(alpha: float) -> Expr:
    return call("mul", call("sub", call("exp", X), 1.0), alpha)


_ACTIVATIONS: Mapping[str, tuple[float | None, float | None, _Function]] = {
    "relu": (None, None, lambda a, b: relu(X)),
    "tanh": (None, None, lambda a, b: call("tanh", X)),
    "sigmoid": (None, None, lambda a, b: sigmoid(X)),
    "softsign": (None, None, lambda a, b: call("div", X, call("add", call("abs", X), 1.0))),
    "softplus": (None, None, lambda a, b: call("log", call("add", call("exp", X), 1.0))),
    "affine": (nan, nan, lambda a, b: call("add", call("mul", X, a), b)),
    "leakyrelu": (0.01, None, lambda a, b: leaky_relu(X, a)),
    "thresholdedrelu": (1.0, None, lambda a, b: call("where", call("lt", a, X), X, 0.0)),
    "scaledtanh": (nan, nan, lambda a, b: call("mul", call("tanh", call("mul", X, b)), a)),
    "hardsigmoid": (0.2, 0.5, lambda a, b: hard_sigmoid(X, a, b)),
    "elu": (1.0, None, lambda a, b: call("where", call("lt", X, 0.0), _below_zero(a), X)),
}
"""name -> (default alpha, default beta, function); None where it has no such parameter, NaN where it must be given."""


@dataclass(frozen=True)
class Direction:
    """One direction of a recurrent node.

    `x`: [T, B, gates * H], the inputs times their weights plus biases. `r`: [H, gates * H], the recurrent weights.
    `rb`: [gates * H], the recurrent biases where the cell adds them itself, else None. `peepholes`: [3 * H] or None.
    `clip`: the bound of what activations take, or None. `lengths`: int64 [B, 1] or None.
    """

    node: OnnxNode
    hidden: int
    x: Value
    r: Value
    rb: Value | None
    peepholes: Value | None
    functions: Sequence[Expr]
    clip: float | None
    lengths: Value | None
    reverse: bool

    def apply(self, number: int, expr: Expr) -> Expr:
        """Activation function `number` of `expr`, clipped."""
        bounded = expr if self.clip is None else clip(expr, -self.clip, self.clip)
        return substitute(self.functions[number], {0: bounded})

    def gate(self, b: Builder, value: Value, gate: int, count: int = 1) -> Value:
        """The columns of `count` gates from number `gate` on."""
        columns = range(gate * self.hidden, (gate + count) * self.hidden)
        return emit_slice(b, value, [*map(whole, value.type.shape[:-1]), columns])


_Cell = Callable[[Builder, Direction, Value, Sequence[Value]], list[Value]]
"""(builder, direction, x of this time step [B, gates * H], states) -> new states, the output first."""


def lstm_cell(b: Builder, d: Direction, x: Value, states: Sequence[Value]) -> list[Value]:
    """Gates: input, output, forget, cell; peepholes: input, output, forget."""
    h, c = states
    gates = b.map(call("add", X, In(1)), x, b.emit("matmul", h, b.capture(d.r)))
    i, o, f, g = (d.gate(b, gates, k) for k in range(4))
    operands, inputs = [c, i, f, g], dict[str, Expr](i=In(1), f=In(2))
    peepholes = None if d.peepholes is None else b.capture(d.peepholes)
    if peepholes is not None:
        for name, place in (("i", 0), ("f", 2)):
            inputs[name] = call("add", inputs[name], call("mul", In(len(operands)), X))
            operands.append(d.gate(b, peepholes, place))
    enters = d.apply(0, inputs["i"])
    stays = call("sub", 1.0, enters) if d.node.integer("input_forget", 0) else d.apply(0, inputs["f"])
    c = b.map(call("add", call("mul", stays, X), call("mul", enters, d.apply(1, In(3)))), *operands)
    shown: Expr = In(0)
    operands = [o, c]
    if peepholes is not None:
        shown = call("add", shown, call("mul", In(2), In(1)))
        operands.append(d.gate(b, peepholes, 1))
    return [b.map(call("mul", d.apply(0, shown), substitute(d.functions[2], {0: In(1)})), *operands), c]


def _gru(b: Builder, d: Direction, x: Value, states: Sequence[Value]) -> list[Value]:
    """Gates: update, reset, hidden."""
    (h,) = states
    r = b.capture(d.r)
    sums = b.map(call("add", X, In(1)), d.gate(b, x, 0, 2), b.emit("matmul", h, d.gate(b, r, 0, 2)))
    update, reset = d.gate(b, sums, 0), d.gate(b, sums, 1)
    weights, entering = d.gate(b, r, 2), d.gate(b, x, 2)
    if d.rb is None:
        kept = b.map(call("mul", d.apply(0, X), In(1)), reset, h)
        inner, operands = call("add", X, In(1)), [entering, b.emit("matmul", kept, weights)]
    else:
        product = b.emit("matmul", h, weights)
        product = b.map(call("add", X, In(1)), product, d.gate(b, b.capture(d.rb), 2))
        inner, operands = call("add", X, call("mul", d.apply(0, In(1)), In(2))), [entering, reset, product]
    new = b.map(d.apply(1, inner), *operands)
    z = d.apply(0, X)
    return [b.map(call("add", call("mul", call("sub", 1.0, z), In(1)), call("mul", z, In(2))), update, new, h)]


def _rnn(b: Builder, d: Direction, x: Value, states: Sequence[Value]) -> list[Value]:
    (h,) = states
    return [b.map(d.apply(0, call("add", X, In(1))), x, b.emit("matmul", h, b.capture(d.r)))]


@dataclass(frozen=True)
class Kind:
    """What a recurrent op computes each time step, with how many gates and states and which functions."""

    cell: _Cell
    gates: int
    states: int
    functions: Sequence[str]


KINDS: Mapping[str, Kind] = {
    "LSTM": Kind(lstm_cell, 4, 2, ("Sigmoid", "Tanh", "Tanh")),
    "GRU": Kind(_gru, 3, 1, ("Sigmoid", "Tanh")),
    "RNN": Kind(_rnn, 1, 1, ("Tanh",)),
}


@onnx_op(*KINDS, since=7)
def _recurrent(b: Builder, node: OnnxNode) -> Sequence[Value]:
    return emit_recurrent(b, node, KINDS[node.op_type])


def emit_recurrent(b: Builder, node: OnnxNode, kind: Kind) -> Sequence[Value]:
    """Y [T, D, B, H] and the last states [D, B, H]; with layout 1 [B, T, D, H] and [B, D, H]."""
    batch_first = node.integer("layout", 0) == 1
    names = {"forward": [False], "reverse": [True], "bidirectional": [False, True]}
    directions = names.get(node.text("direction", "forward"))
    x, w, r = (node.input(i) for i in range(3))
    if directions is None:
        raise ValueError(f"its direction is {node.text('direction')!r}; {', '.join(names)} are supported")
    if wrong := next((v for v in (x, w, r) if v.type.rank != 3 or v.type.dtype != "float32"), None):
        raise ValueError(f"X, W and R must be float32 of 3 dimensions, not {wrong.type.dtype}{list(wrong.type.shape)}")
    x = b.transpose(x, (1, 0, 2)) if batch_first else x
    steps, batch, _ = x.type.shape
    hidden = r.type.shape[-1]
    if node.integer("hidden_size", hidden) != hidden or 0 in (steps, batch, hidden):
        raise ValueError(f"its hidden size does not fit R of the shape {list(r.type.shape)}, or it has nothing to read")
    functions = _functions(node, kind, len(directions))
    lengths, runs = _lengths(b, node, steps, batch), []
    for number, reverse in enumerate(directions):
        at = b.constant(np.array(number, np.int64))
        direction = _direction(b, node, kind, x, at, functions[number], lengths, reverse)
        runs.append(_run(b, direction, kind.cell, _initial(b, node, kind, at, batch, hidden, batch_first)))
    outputs = [_joined(b, column) for column in zip(*runs, strict=True)]
    if batch_first:
        outputs = [b.transpose(v, (2, 0, 1, 3) if v.type.rank == 4 else (1, 0, 2)) for v in outputs]
    return outputs


def _joined(b: Builder, directions: Sequence[Value]) -> Value:
    """[.., B, H] of each direction as [.., D, B, H]."""
    *outer, batch, hidden = directions[0].type.shape
    parts = [b.reshape(v, (*outer, 1, batch, hidden)) for v in directions]
    return parts[0] if len(parts) == 1 else b.emit("concat", *parts, axis=len(outer))


def _direction(
    b: Builder, node: OnnxNode, kind: Kind, x: Value, at: Value, functions: Sequence[Expr], lengths: Value | None,
    reverse: bool,
) -> Direction:  # fmt: skip
    """Direction number `at`, with the inputs multiplied by their weights."""
    w, r = (b.transpose(element(b, node.input(i), at), (1, 0)) for i in (1, 2))
    steps, batch, depth = x.type.shape
    width = r.type.shape[1]
    if w.type.shape != (depth, width) or width != kind.gates * r.type.shape[0]:
        raise ValueError(f"W and R of the shapes {[list(node.input(i).type.shape) for i in (1, 2)]} do not fit X")
    inputs = b.emit("matmul", b.reshape(x, (steps * batch, depth)), w)
    given, separate = node.optional(3), None
    if given is not None:
        both = element(b, given, at)
        bias, separate = (emit_slice(b, both, [range(k * width, (k + 1) * width)]) for k in (0, 1))
        if not (node.op_type == "GRU" and node.integer("linear_before_reset", 0)):
            bias, separate = b.map(call("add", X, In(1)), bias, separate), None
        else:
            bias, separate = _split_bias(b, bias, separate, r.type.shape[0])
        inputs = b.map(call("add", X, In(1)), inputs, bias)
    elif node.op_type == "GRU" and node.integer("linear_before_reset", 0):
        separate = b.constant(np.zeros(width, np.float32))
    peepholes = None if node.optional(7) is None else element(b, node.input(7), at)
    clip, products = node.number("clip", 0.0) or None, b.reshape(inputs, (steps, batch, width))
    return Direction(
        node, r.type.shape[0], products, r, separate, peepholes, functions, clip, lengths, reverse,
    )  # fmt: skip


def _split_bias(b: Builder, w: Value, r: Value, hidden: int) -> tuple[Value, Value]:
    """The biases of a GRU whose reset gate scales the recurrent one of its hidden gate: only that stays separate."""
    ranges = [range(2 * hidden), range(2 * hidden, 3 * hidden)]
    joined = b.map(call("add", X, In(1)), emit_slice(b, w, ranges[:1]), emit_slice(b, r, ranges[:1]))
    return b.emit("concat", joined, emit_slice(b, w, ranges[1:]), axis=0), r


def _initial(
    b: Builder, node: OnnxNode, kind: Kind, at: Value, batch: int, hidden: int, batch_first: bool
) -> list[Value]:
    """The states before the first time step, [B, H] each."""
    states = []
    for index in range(5, 5 + kind.states):
        given = node.optional(index)
        if given is None:
            states.append(emit_broadcast(b, b.constant(np.zeros((), np.float32)), (batch, hidden)))
            continue
        state = element(b, b.transpose(given, (1, 0, 2)) if batch_first else given, at)
        if state.type.shape != (batch, hidden):
            raise ValueError(f"its initial state has the shape {list(given.type.shape)}, which does not fit X and R")
        states.append(state)
    return states


def _lengths(b: Builder, node: OnnxNode, steps: int, batch: int) -> Value | None:
    """The sequences' lengths as int64 [B, 1]; None if they are as long as X."""
    given = node.optional(4)
    if given is None or (given.data is not None and (given.data == steps).all()):
        return None
    if given.type.shape != (batch,):
        raise ValueError(f"it has sequence lengths of the shape {list(given.type.shape)} for a batch of {batch}")
    return b.map(call("cast", X, dtype="int64"), b.reshape(given, (batch, 1)))


def _run(b: Builder, d: Direction, cell: _Cell, initial: Sequence[Value]) -> list[Value]:
    """Y [T, B, H] and the last states [B, H]. Sequences keep their state, and Y is 0, outside of their length."""
    steps = d.x.type.shape[0]

    def step(b: Builder, index: Value, states: Sequence[Value]) -> Turn:
        at = from_end(b, index, steps) if d.reverse else index
        new = cell(b, d, element(b, b.capture(d.x), at), states)
        if d.lengths is None:
            return Turn(None, new, new[:1] if collected else [])
        inside = b.map(call("lt", X, In(1)), at, b.capture(d.lengths))
        kept = [b.map(call("where", X, In(1), In(2)), inside, n, s) for n, s in zip(new, states, strict=True)]
        return Turn(None, kept, [b.map(call("where", X, In(1), 0.0), inside, new[0])] if collected else [])

    collected = d.node.has_output(0)
    it = Iteration(steps, None, initial, step, TURN_NODES, [d.reverse] * collected, [None] * collected)
    last, tensors = iterate(b, it)
    return [*(tensors or [b.constant(np.zeros((0, *last[0].type.shape), np.float32))]), *last]


def _functions(node: OnnxNode, kind: Kind, directions: int) -> list[list[Expr]]:
    """The activation functions of each direction. Parameters are given for those functions alone that take them."""
    count = len(kind.functions)
    names = node.attrs.get("activations") or tuple(kind.functions) * directions
    if not isinstance(names, Sequence) or len(names) != count * directions:
        raise ValueError(f"it names {names!r} as activations, but takes {count * directions}")
    alphas, betas = (_numbers(node, f"activation_{name}") for name in ("alpha", "beta"))
    functions = []
    for name in names:
        if str(name).lower() not in _ACTIVATIONS:
            raise ValueError(f"it has the activation {name!r}; supported are {', '.join(_ACTIVATIONS)}")
        alpha, beta, function = _ACTIVATIONS[str(name).lower()]
        a = 0.0 if alpha is None else alphas.pop(0) if alphas else alpha
        b = 0.0 if beta is None else betas.pop(0) if betas else beta
        if isnan(a) or isnan(b):
            raise ValueError(f"its activation {name!r} needs activation_alpha and activation_beta")
        functions.append(function(a, b))
    return [functions[i * count : (i + 1) * count] for i in range(directions)]


def _numbers(node: OnnxNode, name: str) -> list[float]:
    values = node.attrs.get(name) or ()
    if not isinstance(values, Sequence) or not all(isinstance(v, float) for v in values):
        raise ValueError(f"attribute {name!r} must be a list of floats")
    return [float(np.float32(v)) for v in values if isinstance(v, float)]
