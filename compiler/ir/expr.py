"""Scalar expressions: what a `map` op computes per element, and what an epilogue's activation is.

An expression is a tree of `In` (the i-th input's element), `Const` and `Call`. It prints as `min(max(%0, 0.0), 6.0)`
(`expr_text.py`). Arithmetic is done in the dtype of the operands (`cast<dtype>(x)` converts; `expr_dtypes.py`);
`evaluation.evaluate` is the specification, one IEEE operation per node, in tree order.
A tree is at most `MAX_DEPTH` calls deep, so that code may recurse over it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from .functions import FUNCTIONS

MAX_DEPTH = 200
"""Calls on the longest way from the root to a leaf; more is a ValueError when the tree is built."""


@dataclass(frozen=True)
class In:
    """Element of the map's input number `index`."""

    index: int


@dataclass(frozen=True)
class Const:
    """A literal. Its dtype is that of the operand it meets: it is *weak*, as Python scalars are in numpy 2."""

    value: float | int | bool

    def __post_init__(self) -> None:
        if isinstance(self.value, np.generic):  # its repr would not parse, and its dtype would not be weak
            object.__setattr__(self, "value", self.value.item())


@dataclass(frozen=True)
class Call:
    """`fn(*args)`; `fn` is a key of `FUNCTIONS`, or `cast` with the target in `dtype`."""

    fn: str
    args: tuple["Expr", ...]
    dtype: str = ""
    depth: int = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        depth = 1 + max((a.depth for a in self.args if isinstance(a, Call)), default=0)
        if depth > MAX_DEPTH:
            raise ValueError(f"an expression is at most {MAX_DEPTH} calls deep")
        object.__setattr__(self, "depth", depth)


Expr = In | Const | Call


def call(fn: str, *args: Expr | float | int, dtype: str = "") -> Call:
    """Build a node; Python numbers become constants."""
    wrapped = tuple(a if isinstance(a, In | Const | Call) else Const(a) for a in args)
    arity = 1 if fn == "cast" else FUNCTIONS[fn][0]
    if len(wrapped) != arity:
        raise ValueError(f"{fn} takes {arity} arguments, not {len(wrapped)}")
    return Call(fn, wrapped, dtype)


def relu(x: Expr) -> Expr:
    """max(x, 0)."""
    return call("max", x, 0.0)


def leaky_relu(x: Expr, alpha: float) -> Expr:
    """x where x >= 0, else alpha * x."""
    return call("where", call("lt", x, 0.0), call("mul", x, alpha), x)


def clip(x: Expr, lo: float, hi: float) -> Expr:
    """min(max(x, lo), hi)."""
    return call("min", call("max", x, lo), hi)


def sigmoid(x: Expr) -> Expr:
    """1 / (1 + exp(-x))."""
    return call("sigmoid", x)


def hard_sigmoid(x: Expr, alpha: float, beta: float) -> Expr:
    """min(max(alpha * x + beta, 0), 1)."""
    return clip(call("add", call("mul", x, alpha), beta), 0.0, 1.0)


def hard_swish(x: Expr) -> Expr:
    """x * hard_sigmoid(x, 1/6, 1/2), as in MobileNetV3 (Howard et al., 2019)."""
    return call("mul", x, hard_sigmoid(x, 1.0 / 6.0, 0.5))


def substitute(expr: Expr, replacements: Mapping[int, Expr]) -> Expr:
    """`expr` with every `In(i)` replaced by `replacements[i]` (inputs not named stay)."""
    if isinstance(expr, In):
        return replacements.get(expr.index, expr)
    if isinstance(expr, Const):
        return expr
    return Call(expr.fn, tuple(substitute(a, replacements) for a in expr.args), expr.dtype)


def walk(expr: Expr) -> Iterator[Expr]:
    """Every node of the tree, parents first."""
    yield expr
    if isinstance(expr, Call):
        for a in expr.args:
            yield from walk(a)


def peel_clamp(expr: Expr) -> tuple[Expr, float, float]:
    """(inner, lo, hi): `expr` is `inner` clamped to [lo, hi] by all the constant min and max calls around it."""
    if not (isinstance(expr, Call) and expr.fn in ("min", "max")):
        return expr, -np.inf, np.inf
    inner, bound = expr.args
    if isinstance(inner, Const):
        inner, bound = bound, inner
    if isinstance(inner, Const) or not isinstance(bound, Const):
        return expr, -np.inf, np.inf
    core, lo, hi = peel_clamp(inner)
    value = float(bound.value)
    return (core, max(lo, value), max(hi, value)) if expr.fn == "max" else (core, min(lo, value), min(hi, value))


def clamp_bounds(expr: Expr) -> tuple[float, float] | None:
    """(lo, hi) if `expr` is the identity on `%0` clamped by constants (relu, relu6, clip ...), else None."""
    core, lo, hi = peel_clamp(expr)
    return (lo, hi) if core == In(0) else None
