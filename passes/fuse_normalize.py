"""Recognise layer and RMS normalization in their parts.

    %m = reduce(%x) mean           %d = map(%x, %m) sub(%0, %1)     %s = map(%d) mul(%0, %0)
    %v = reduce(%s) mean           %r = map(%v) sqrt(add(%0, eps))  %n = map(%d, %r) div(%0, %1)
    %g = map(%n, const) mul(...)   %y = map(%g, const) add(...)     ->    %y = normalize(%x, const, const)

Without the mean it is the RMS form. The rate may be a factor, 1 / sqrt(...), too.
"""

from dataclasses import dataclass

from ..compiler.ir.attributes import bool_attr, ints_attr
from ..compiler.ir.expr import Call, Const, Expr, In, call, substitute
from ..compiler.ir.graph import Graph, Node, Value
from ..compiler.ir.registry import attr
from .editor import Editor
from .patterns import is_real, map_expr, scalar


@dataclass(frozen=True)
class _Found:
    x: Value
    axis: int
    epsilon: float
    rms: bool


def run(graph: Graph) -> bool:
    """Replace what computes a normalization of the last dimensions by one node, its scale and bias included."""
    editor = Editor(graph)
    for node in editor.nodes():
        found = _normalization(node)
        if found is not None:
            _fuse(editor, node, found)
    return editor.commit()


def _fuse(editor: Editor, node: Node, found: _Found) -> None:
    trailing = found.x.type.shape[found.axis :]
    inputs, chain, last = [found.x], [], node
    for fn in ("mul", "add"):
        user = editor.only_user(last.output)
        operand = None if user is None else _constant_operand(user, fn, last.output, trailing)
        if user is None or operand is None:
            break
        inputs.append(_shaped(editor, operand, trailing))
        chain.append(user)
        last = user
    editor.become(node, "normalize", axis=found.axis, epsilon=found.epsilon, rms=found.rms)
    editor.set_inputs(node, inputs)
    for later in chain:
        editor.take_output(node, later)


def _shaped(editor: Editor, value: Value, shape: tuple[int, ...]) -> Value:
    assert value.data is not None
    return value if value.type.shape == shape else editor.constant(value.name, value.data.reshape(shape))


def _constant_operand(user: Node, fn: str, x: Value, trailing: tuple[int, ...]) -> Value | None:
    """The constant by which `user` multiplies `x`, or which it adds, if it has an element for each normalized one."""
    if user.op != "map" or len(user.inputs) != 2 or user.output.type != x.type:
        return None
    if map_expr(user) not in (call(fn, In(0), In(1)), call(fn, In(1), In(0))):
        return None
    (other,) = (v for v in user.inputs if v is not x) if user.inputs.count(x) == 1 else (None,)
    if other is None or not other.is_const or not is_real(other.type):
        return None
    own = other.type.shape
    leading, whole = own[: -len(trailing)], own[-len(trailing) :]
    return other if whole == trailing and all(d == 1 for d in leading) else None


def _normalization(node: Node) -> _Found | None:
    """What `node` normalizes, if it divides by a root of a mean of squares."""
    if node.op != "map" or len(node.inputs) != 2 or not is_real(node.output.type):
        return None
    expr = map_expr(node)
    for number, rate in ((0, 1), (1, 0)):
        inverse = expr in (call("mul", In(0), In(1)), call("mul", In(1), In(0)))
        if inverse or expr == call("div", In(number), In(rate)):
            found = _with_rate(node.inputs[number], node.inputs[rate], inverse=inverse)
            if found is not None:
                return found
    return None


def _with_rate(number: Value, rate: Value, *, inverse: bool) -> _Found | None:
    expr, source = _unary(rate)
    if inverse:
        if not isinstance(expr, Call) or expr.fn != "div" or expr.args[0] != Const(1.0):
            return None
        expr = expr.args[1]
    epsilon = _epsilon(expr)
    squares = _mean_of(source)
    if epsilon is None or squares is None or squares.producer is None or squares.producer.op != "map":
        return None
    square = squares.producer
    if map_expr(square) != call("mul", In(0), In(0)) or square.inputs != [number]:
        return None
    assert source.producer is not None
    axis = min(ints_attr(source.producer, "axes"))
    return _centered(number, axis, epsilon) or _Found(number, axis, epsilon, rms=True)


def _centered(number: Value, axis: int, epsilon: float) -> _Found | None:
    """The layer normalization of x, where `number` is x minus its mean."""
    node = number.producer
    if node is None or node.op != "map" or map_expr(node) != call("sub", In(0), In(1)) or len(node.inputs) != 2:
        return None
    x, mean = node.inputs
    if _mean_of(mean) is not x or x.type != number.type or not is_real(x.type):
        return None
    assert mean.producer is not None
    return _Found(x, axis, epsilon, rms=False) if min(ints_attr(mean.producer, "axes")) == axis else None


def _mean_of(value: Value) -> Value | None:
    """What `value` is the mean of over its last dimensions, which stay as ones."""
    node = value.producer
    if node is None or node.op != "reduce" or attr(node, "kind") != "mean" or not bool_attr(node, "keepdims"):
        return None
    x, axes = node.inputs[0], ints_attr(node, "axes")
    return x if axes and tuple(sorted(axes)) == tuple(range(min(axes), x.type.rank)) else None


def _epsilon(expr: Expr) -> float | None:
    """The constant of sqrt(%0 + constant)."""
    if not isinstance(expr, Call) or expr.fn != "sqrt":
        return None
    inner = expr.args[0]
    if not isinstance(inner, Call) or inner.fn != "add" or In(0) not in inner.args:
        return None
    (other,) = (a for a in inner.args if a != In(0)) if inner.args.count(In(0)) == 1 else (None,)
    return float(other.value) if isinstance(other, Const) else None


def _unary(value: Value) -> tuple[Expr, Value]:
    """(expression of %0, source): the maps of one tensor and numbers that lead to `value`."""
    expr: Expr = In(0)
    while (node := value.producer) is not None and node.op == "map":
        numbers = {i: scalar(v) for i, v in enumerate(node.inputs) if v.is_const}
        tensors = [i for i in range(len(node.inputs)) if numbers.get(i) is None]
        if len(tensors) != 1 or node.inputs[tensors[0]].type.shape != value.type.shape:
            break
        parts: dict[int, Expr] = {i: Const(n) for i, n in numbers.items() if n is not None}
        inner = substitute(map_expr(node), {**parts, tensors[0]: In(0)})
        try:
            expr = substitute(expr, {0: inner})
        except ValueError:  # too deep to be a rate
            break
        value = node.inputs[tensors[0]]
    return expr, value
