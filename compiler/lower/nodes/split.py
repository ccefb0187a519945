"""Taking expressions apart: maps of more inputs than a kernel has are computed in pieces of one call each.

One call a piece, so that nothing is fused that the whole would not have fused: the bytes stay the same.
"""

from collections.abc import Sequence

from ...ir.expr import Call, Const, Expr, In, call, substitute, walk


def inputs_of(expr: Expr) -> list[int]:
    """The inputs that `expr` reads, in ascending order."""
    return sorted({e.index for e in walk(expr) if isinstance(e, In)})


def renumbered(expr: Expr, inputs: Sequence[int]) -> Expr:
    """`expr` with input `inputs[i]` called i."""
    return substitute(expr, {old: In(new) for new, old in enumerate(inputs)})


def next_call(expr: Expr) -> Call:
    """A call of inputs and literals only; if possible one that makes a single value of several inputs."""
    calls = [
        e for e in walk(expr)
        if isinstance(e, Call) and inputs_of(e) and all(isinstance(a, In | Const) for a in e.args)
    ]  # fmt: skip
    return max(calls, key=lambda e: len(inputs_of(e)))


def replaced(expr: Expr, old: Call, new: Expr) -> Expr:
    """`expr` with `new` wherever it has `old`."""
    if expr == old:
        return new
    if not isinstance(expr, Call):
        return expr
    return call(expr.fn, *(replaced(a, old, new) for a in expr.args), dtype=expr.dtype)
