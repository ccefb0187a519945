"""Which nodes have an integer form (ARCHITECTURE.md, "The arithmetic contract"), and what it asks of their types."""

import math
from collections.abc import Collection

import numpy as np

from ..ir.expr import Call, Const, Expr, In
from ..ir.graph import Graph, Node, Value
from ..ir.integer import CONTRACTIONS, has_integer_form, keeps_quantization
from ..ir.registry import attr
from .weights import MAX_PRODUCTS


def is_integer(node: Node) -> bool:
    """Whether the float32 `node` can be computed on int8 activations; otherwise it stays as it is."""
    if any(out.type.dtype != "float32" or out.type.size == 0 for out in node.outputs):
        return False
    if not all(v.data is None or np.isfinite(v.data).all() for v in node.inputs):
        return False
    if not has_integer_form(node):
        return False
    if node.op in CONTRACTIONS:
        return _weighted(node)
    if node.op == "map":
        return all(v.type.dtype == "float32" for v in node.inputs) and not all(v.is_const for v in node.inputs)
    return True


def integer_nodes(graph: Graph, real: Collection[str] = ()) -> set[Node]:
    """The nodes of a float32 graph to compute in int8: all that can, but none of the names `real`, and no copies that
    only join float nodes."""
    exact = positional(graph)
    integer = {node for node in graph.nodes if node.name not in real and is_integer(node) and node not in exact}
    near: set[Value] = set()
    for nodes, sources, sinks in (
        (graph.nodes, activations, lambda n: n.outputs),
        (graph.nodes[::-1], lambda n: n.outputs, activations),
    ):
        for node in nodes:
            if node in integer and (not keeps_quantization(node) or near.intersection(sources(node))):
                near.update(sinks(node))
    return {
        node
        for node in integer
        if not keeps_quantization(node) or near.intersection([*activations(node), *node.outputs])
    }


_POSITIONS = {"gather": 1, "scatter": 1, "roi_align": 1, "nms": 0}
"""op -> its input that says where elements lie."""


def positional(graph: Graph) -> set[Node]:
    """The maps that compute positions, or read what does: a rounded coordinate selects another element."""
    positions: set[Value] = set()
    for node in reversed(graph.nodes):
        if node.op in _POSITIONS:
            positions.add(node.inputs[_POSITIONS[node.op]])
        if positions.intersection(node.outputs) and (node.op == "map" or keeps_quantization(node)):
            positions.update(node.inputs if node.op in ("map", "concat") else node.inputs[:1])
    return {n for n in graph.nodes if n.op == "map" and positions.intersection([*n.inputs, *n.outputs])}


def _weighted(node: Node) -> bool:
    """Constant bias, no residual yet, and sums that fit int32."""
    x, w, *rest = node.inputs
    if len(rest) > 1 or not all(v.is_const for v in rest) or (node.op != "matmul" and not w.is_const):
        return False
    if x.is_const and w.is_const:
        return False
    return _products(node) <= MAX_PRODUCTS


def _products(node: Node) -> int:
    """Products summed into one output element."""
    x, w = node.inputs[:2]
    if node.op == "matmul":
        return x.type.shape[-1]
    kernel = math.prod(w.type.shape[2:])
    return kernel * (w.type.shape[1] if node.op == "conv2d" else w.type.shape[0])


def activations(node: Node) -> list[Value]:
    """The inputs of an integer node that become int8 activations (not weights, biases, indices, map constants)."""
    if node.op in CONTRACTIONS:
        return [v for v in node.inputs[:2] if not v.is_const]
    if node.op == "map":
        return [v for v in node.inputs if not v.is_const]
    if node.op in ("gather", "normalize"):
        return node.inputs[:1]
    return list(node.inputs)


def weight_axis(node: Node, index: int) -> int | None:
    """The dimension of constant input `index` (0 or 1) that gets a scale for each output channel; None: one scale."""
    w = node.inputs[index]
    if node.op == "conv2d":
        return 0
    if node.op == "matmul":
        return w.type.rank - 1 if index == 1 else None
    return 1 if attr(node, "groups") == 1 else None


def saturating_bounds(node: Node) -> tuple[float, float] | None:
    """Bounds of an output that saturates inside [-1, 1] by its nature (sigmoid, tanh, softmax ...), else None."""
    if node.op == "softmax":
        return 0.0, 1.0
    if node.op != "map":
        return None
    lo, hi = _interval(node.attrs["expr"])  # type: ignore[arg-type]
    return (lo, hi) if -1.0 <= lo < hi <= 1.0 else None


def _interval(expr: Expr) -> tuple[float, float]:
    """Interval arithmetic over reals of any size; the whole line where a function is not known here."""
    if isinstance(expr, Const):
        return float(expr.value), float(expr.value)
    if isinstance(expr, In):
        return -np.inf, np.inf
    args = [_interval(a) for a in expr.args]
    with np.errstate(all="ignore"):
        bounds = _corners(expr, args)
    return (-np.inf, np.inf) if bounds is None or np.isnan(bounds).any() else bounds


def _corners(expr: Call, args: list[tuple[float, float]]) -> tuple[float, float] | None:
    """Bounds of one call from those of its arguments, for functions that are monotonic in each argument."""
    (lo, hi) = args[0]
    if expr.fn == "tanh":
        return float(np.tanh(lo)), float(np.tanh(hi))
    if expr.fn == "erf":
        return -1.0, 1.0
    if expr.fn == "sigmoid":
        return 0.0, 1.0
    if expr.fn == "exp":
        return float(np.exp(lo)), float(np.exp(hi))
    if expr.fn == "neg":
        return -hi, -lo
    if expr.fn == "add":
        return lo + args[1][0], hi + args[1][1]
    if expr.fn == "sub":
        return lo - args[1][1], hi - args[1][0]
    if expr.fn == "min":
        return min(lo, args[1][0]), min(hi, args[1][1])
    if expr.fn == "max":
        return max(lo, args[1][0]), max(hi, args[1][1])
    if expr.fn in ("mul", "div") and (expr.fn == "mul" or args[1][0] > 0):
        fn = np.multiply if expr.fn == "mul" else np.divide
        corners = [float(fn(np.float64(a), np.float64(b))) for a in args[0] for b in args[1]]
        return min(corners), max(corners)
    return None
