"""Literals of expressions as inputs of their own: expressions that differ in numbers alone share code then."""

from math import inf

from .expr import Call, Const, Expr, In, call, clamp_bounds
from .types import LARGEST_HALF, SMALLEST_HALF

_SCALES = ("add", "sub", "mul")
"""What layers have numbers of their own for. Bounds are the same in most of them, and cost less as literals."""


def lifted(expr: Expr, first: int) -> tuple[Expr, tuple[float, ...]]:
    """`expr` with the inputs %first, %first+1 ... in place of the real numbers that it adds and multiplies by, and
    these numbers in order. 0 and those that float16 cannot hold stay: so none of them is 0."""
    values: list[float] = []

    def lift(part: Expr, *, scales: bool) -> Expr:
        if isinstance(part, Call):
            args = tuple(lift(a, scales=part.fn in _SCALES) for a in part.args)
            return Call(part.fn, args, part.dtype)
        if not (scales and isinstance(part, Const) and isinstance(part.value, float)):
            return part
        if not SMALLEST_HALF <= abs(part.value) <= LARGEST_HALF:
            return part
        values.append(part.value)
        return In(first + len(values) - 1)

    return lift(expr, scales=False), tuple(values)


BOUNDED = call("min", call("max", In(0), In(1)), In(2))
"""A clamp to numbers that are inputs."""


def bounds(expr: Expr | None) -> tuple[float, float] | None:
    """With which inputs `BOUNDED` computes what `expr` does, or nothing at all (None); None if with none."""
    return (-inf, inf) if expr is None else clamp_bounds(expr)
