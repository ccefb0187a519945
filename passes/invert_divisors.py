"""Multiply by the inverses of constants where activations of float32 contractions divide by them.

    %y = matmul(%x, w) {activation=div(%0, 8.0)}    ->    %y = matmul(%x, w) {activation=mul(%0, 0.125)}

A division takes as long as ten multiplications. Scores of attention are divided so, and the argument of GELU. The
inverse is rounded to float32, and so are all operations: a result changes by a unit in the last place.
"""

import numpy as np

from ..compiler.ir.attributes import activation_attr
from ..compiler.ir.expr import Call, Const, Expr, call
from ..compiler.ir.graph import Graph
from ..compiler.ir.integer import CONTRACTIONS
from .editor import Editor
from .patterns import is_real

NAMES = ("activation", "residual_activation")


def run(graph: Graph) -> bool:
    """Rewrite the activations of every contraction that gives float32."""
    editor = Editor(graph)
    for node in editor.nodes():
        if node.op not in CONTRACTIONS or not is_real(node.output.type):
            continue
        for name in NAMES:
            before = activation_attr(node, name) if name in node.attrs else None
            after = None if before is None else _inverted(before)
            if after != before:
                editor.set_attrs(node, **{name: after})
    return editor.commit()


def _inverted(expr: Expr) -> Expr:
    if not isinstance(expr, Call):
        return expr
    args = tuple(map(_inverted, expr.args))
    if expr.fn == "div" and isinstance(args[1], Const) and not isinstance(args[0], Const):
        inverse = _inverse(float(args[1].value))
        if inverse is not None:
            return call("mul", args[0], inverse)
    return Call(expr.fn, args, expr.dtype)


def _inverse(divisor: float) -> float | None:
    """1 / divisor in float32, or None where one of the two is no normal number."""
    tiny = float(np.finfo(np.float32).tiny)
    if not tiny <= abs(divisor) <= 1 / tiny:
        return None
    return float(np.float32(1.0) / np.float32(divisor))
