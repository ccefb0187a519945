"""Recognise maps that scale and shift each channel: y[.., c, ..] = scale[c] * x[.., c, ..] + shift[c]."""

from dataclasses import dataclass

import numpy as np

from ..compiler.ir.expr import Call, Const, Expr, In
from ..compiler.ir.graph import Array, Node, Value
from .patterns import is_real, map_expr


@dataclass(frozen=True)
class Affine:
    """`x` times `scale` plus `shift`, each float64[channels] (or [1]: the same for all channels)."""

    x: Value
    scale: Array
    shift: Array


def channel_axis(node: Node) -> int | None:
    """The dimension of the output along which the constants of a `map` vary; None if there is none, or several."""
    rank = node.output.type.rank
    axes = {i + rank - v.type.rank for v in node.inputs if v.is_const for i, d in enumerate(v.type.shape) if d != 1}
    return axes.pop() if len(axes) == 1 else None


def match_affine(node: Node, axis: int) -> Affine | None:
    """The float `map` as an affine function of its one variable input per index of `axis`, else None."""
    if node.op != "map" or not is_real(node.output.type) or not all(is_real(v.type) for v in node.inputs):
        return None
    variables = [i for i, v in enumerate(node.inputs) if not v.is_const]
    if len(variables) != 1 or node.inputs[variables[0]].type.shape != node.output.type.shape:
        return None
    constants: dict[int, Array] = {}
    for i, value in enumerate(node.inputs):
        if value.data is not None:
            entries = _per_channel(value.data, node.output.type.rank, axis)
            if entries is None:
                return None
            constants[i] = entries
    terms = _terms(map_expr(node), constants)
    if terms is None:
        return None
    scale, shift = terms
    if scale is None or not (np.isfinite(scale).all() and np.isfinite(shift).all()):
        return None
    return Affine(node.inputs[variables[0]], scale, shift)


def _per_channel(data: Array, rank: int, axis: int) -> Array | None:
    """The constant's entries along `axis` if it broadcasts over all other dimensions, else None."""
    shape = (1,) * (rank - data.ndim) + data.shape
    if any(d != 1 for i, d in enumerate(shape) if i != axis):
        return None
    return data.astype(np.float64).reshape(-1)


Terms = tuple[Array | None, Array]
"""(scale or None where the variable does not occur, shift)."""


def _terms(expr: Expr, constants: dict[int, Array]) -> Terms | None:
    """`expr` as scale and shift of the one input that is not in `constants`; None where it is not affine."""
    if isinstance(expr, Const):
        return None, np.array([expr.value], np.float64)
    if isinstance(expr, In):
        return (None, constants[expr.index]) if expr.index in constants else (np.ones(1), np.zeros(1))
    args = [_terms(a, constants) for a in expr.args]
    if any(a is None for a in args):
        return None
    return _combine(expr, [a for a in args if a is not None])


def _combine(expr: Call, args: list[Terms]) -> Terms | None:
    if expr.fn == "neg":
        return _scaled(args[0], np.array([-1.0]))
    if expr.fn in ("add", "sub"):
        sign = np.array([1.0 if expr.fn == "add" else -1.0])
        (scale_a, shift_a), (scale_b, shift_b) = args[0], _scaled(args[1], sign)
        scale = scale_b if scale_a is None else scale_a if scale_b is None else scale_a + scale_b
        return scale, shift_a + shift_b
    if expr.fn == "mul" and args[1][0] is None:
        return _scaled(args[0], args[1][1])
    if expr.fn == "mul" and args[0][0] is None:
        return _scaled(args[1], args[0][1])
    if expr.fn == "div" and args[1][0] is None and np.all(args[1][1] != 0):
        return _scaled(args[0], 1.0 / args[1][1])
    return None


def _scaled(terms: Terms, factor: Array) -> Terms:
    scale, shift = terms
    return None if scale is None else scale * factor, shift * factor
