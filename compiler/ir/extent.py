"""Extents that are known only when a model runs: integers that remember how they were computed.

An `Extent` is the largest value that the number can take (so everything that plans memory just works), together with a
`Term` over `Symbol`s that gives its value in a run. Arithmetic on extents builds the terms; the runtime evaluates them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Symbol:
    """A number of a run, between `low` and `high` in steps of `step` from `low` on."""

    name: str
    low: int
    high: int
    step: int = 1


@dataclass(frozen=True)
class Op:
    """`fn` of two terms: add, sub, mul, div (rounded down), mod (of the divisor's sign), min or max."""

    fn: str
    left: "Term"
    right: "Term"


Term = Symbol | Op | int
"""An integer expression."""


def evaluate(term: Term, values: Mapping[Symbol, int]) -> int:
    """The value of `term` in a run in which the symbols have `values`."""
    if isinstance(term, Symbol):
        return values[term]
    if isinstance(term, Op):
        return int(_FUNCTIONS[term.fn](evaluate(term.left, values), evaluate(term.right, values)))
    return term


class Extent(int):
    """The largest value of `term`, which every arithmetic operation with it carries on."""

    term: Term

    def __new__(cls, value: int, term: Term) -> "Extent":
        """`value` as the largest value of `term`."""
        self = super().__new__(cls, value)
        self.term = term
        return self

    def __add__(self, other: Any) -> Any:
        return _combined("add", self, other)

    def __radd__(self, other: Any) -> Any:
        return _combined("add", other, self)

    def __sub__(self, other: Any) -> Any:
        return _combined("sub", self, other)

    def __rsub__(self, other: Any) -> Any:
        return _combined("sub", other, self)

    def __mul__(self, other: Any) -> Any:
        return _combined("mul", self, other)

    def __rmul__(self, other: Any) -> Any:
        return _combined("mul", other, self)

    def __floordiv__(self, other: Any) -> Any:
        return _combined("div", self, other)

    def __rfloordiv__(self, other: Any) -> Any:
        return _combined("div", other, self)

    def __mod__(self, other: Any) -> Any:
        return _combined("mod", self, other)

    def __rmod__(self, other: Any) -> Any:
        return _combined("mod", other, self)

    def __neg__(self) -> Any:
        return _combined("sub", 0, self)


_FUNCTIONS: Mapping[str, Any] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a // b,
    "mod": lambda a, b: a % b,
    "min": min,
    "max": max,
}


def _combined(fn: str, a: Any, b: Any) -> Any:
    if not (isinstance(a, int) and isinstance(b, int)):
        return NotImplemented
    value = _FUNCTIONS[fn](int(a), int(b))
    return Extent(value, Op(fn, term_of(a), term_of(b)))


def term_of(value: int) -> Term:
    """What `value` is in a run."""
    return value.term if isinstance(value, Extent) else int(value)
