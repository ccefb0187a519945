"""Activations of floats: expressions of a vector of sums, %0, and of numbers that are parameters of the kernel."""

from math import inf

from ...ir.expr import Call, Const, Expr, In, clamp_bounds, peel_clamp, walk
from ...ir.expr_dtypes import infer_dtype
from ...ir.half_functions import FUNCTIONS, LEAST, joined
from ...ir.lifting import BOUNDED
from ...ir.types import LARGEST_HALF, SMALLEST_HALF
from ...ir.vectors import Vectors
from ..emit.builder import Builder, Value, cast, splat
from ..emit.floating import element_type, keep, lanes_of
from ..emit.isa import Isa
from ..emit.scalar import emit


def constants(role: str, expr: Expr) -> tuple[str, ...]:
    """The parameters that an activation reads behind the sum."""
    numbers = sorted({part.index for part in walk(expr) if isinstance(part, In) and part.index > 0})
    return tuple(f"{role}_{number}" for number in numbers)


def _activated(
    b: Builder, isa: Isa, role: str, expr: Expr | None, value: Value, vectors: Vectors | None, *, signed: bool
) -> Value:
    """The activation of a vector. `signed`: it may have zeros with a sign."""
    if expr is None:
        return value
    dtype, lanes = element_type(value), lanes_of(value)
    if expr == BOUNDED and not signed:
        low, high = (splat(b.param_float(name), lanes) for name in constants(role, expr))
        return isa.at_most(isa.at_least(keep(value), low), high)
    values = [value, *(splat(cast(b.param_float(name), dtype, 1), lanes) for name in constants(role, expr))]

    def without_clamps(part: Expr) -> Expr:
        """Clamps of floats become values of their own where zeros have no sign that matters."""
        if not isinstance(part, Call):
            return part
        core, low, high = peel_clamp(part)
        unsigned = 0.0 not in (low, high) or _is_unsigned(core) or (core == In(0) and not signed)
        if core is not part and unsigned and infer_dtype(core, [element_type(v) for v in values]) == dtype:
            values.append(isa.clamp(emit(without_clamps(core), values, dtype, lanes, vectors), low, high))
            return In(len(values) - 1)
        return Call(part.fn, tuple(map(without_clamps, part.args)), part.dtype)

    return emit(without_clamps(expr) if dtype == "float32" else joined(expr), values, dtype, lanes, vectors)


def _is_unsigned(expr: Expr) -> bool:
    """Whether it is never -0: the sum of anything and a number that is not 0."""
    if not (isinstance(expr, Call) and expr.fn == "add"):
        return False
    numbers = [a for a in expr.args if isinstance(a, Const) and abs(a.value) >= SMALLEST_HALF]
    return bool(numbers) or any(isinstance(a, In) and a.index > 0 for a in expr.args)


def finished(
    b: Builder, isa: Isa, activations: tuple[Expr | None, Expr | None], value: Value, residual: Value | None,
    vectors: Vectors | None = None,
) -> Value:  # fmt: skip
    """Of a vector of sums, which are not -0 (they began with 0, or with a bias that is not), and of the residual.
    `vectors`: as in `emit`."""
    first, second = activations
    value = _activated(b, isa, "activation", first, value, vectors, signed=False)
    if residual is None:
        return value
    signed = first is not None and clamp_bounds(first) is None
    return _activated(b, isa, "residual_activation", second, value + residual, vectors, signed=signed)


_SIMPLE = ("add", "sub", "mul", "min", "max", "neg")


def is_simple(expr: Expr) -> bool:
    """Whether the expression is computed in float16 where sums are: some additions, products, bounds and functions."""
    parts = list(walk(joined(expr)))
    calls = [e.fn for e in parts if isinstance(e, Call)]
    literals = [abs(float(e.value)) for e in parts if isinstance(e, Const)]
    known = all(fn in _SIMPLE or fn in FUNCTIONS for fn in calls)
    operations = sum(_OF_FUNCTION if fn in FUNCTIONS else 1 for fn in calls)
    return known and operations <= _FEW and max(literals, default=0.0) <= LARGEST_HALF


_FEW, _OF_FUNCTION = 6, 4
"""Operations of an activation, each with a rounding; those that a function counts as."""


def within(expr: Expr | None) -> tuple[float, float]:
    """What the results of an activation surely lie between."""
    whole = joined(expr or In(0))
    if isinstance(whole, Call) and whole.fn in FUNCTIONS:
        return LEAST, inf
    return clamp_bounds(whole) or (-inf, inf)
