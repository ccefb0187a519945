"""Terms: integer expressions over symbols as the runtime evaluates them, and those of polynomials."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from math import gcd, lcm

from .polynomial import Monomial, Poly, Symbol, key_of


@dataclass(frozen=True)
class Op:
    """`fn` of two terms: add, sub, mul, div (rounded down), mod (of the divisor's sign), min or max."""

    fn: str
    left: "Term"
    right: "Term"

    def __str__(self) -> str:
        if self.fn in ("min", "max"):
            return f"{self.fn}({self.left}, {self.right})"
        sign = {"add": " + ", "sub": " - ", "mul": "*", "div": "//", "mod": "%"}[self.fn]
        left, right = (f"({t})" if _is_sum(t) and self.fn != "add" else str(t) for t in (self.left, self.right))
        return f"{left}{sign}{right}"


Term = Symbol | Op | int
"""An integer expression."""


def _is_sum(term: Term) -> bool:
    return isinstance(term, Op) and term.fn not in ("min", "max")


@lru_cache(2**14)
def to_term(p: Poly) -> Term:
    """p over the symbols' values, for the runtime: a sum of products, divided by a number if need be."""
    scaled: dict[Monomial, tuple[int, int]] = {}  # monomial over values -> fraction
    for monomial, coefficient in p.parts:
        for expanded, (a, b) in _over_values(monomial).items():
            c, d = scaled.get(expanded, (0, 1))
            scaled[expanded] = (c * b + coefficient * a * d, b * d)
    reduced = {m: (a // gcd(a, b), b // gcd(a, b)) for m, (a, b) in scaled.items() if a}
    denominator = lcm(*(b for _, b in reduced.values())) if reduced else 1
    total: Term = 0
    for monomial, (a, b) in sorted(reduced.items(), key=lambda part: (-len(part[0]), [key_of(f) for f in part[0]])):
        total = _joined(total, monomial, a * (denominator // b))
    return total if denominator == 1 else Op("div", total, denominator)


def _over_values(monomial: Monomial) -> Mapping[Monomial, tuple[int, int]]:
    """A product of steps and atoms as a sum over values of symbols, where steps = (value - low) / step: with fractional
    coefficients."""
    result: dict[Monomial, tuple[int, int]] = {(): (1, 1)}
    for factor in monomial:
        options: list[tuple[Monomial, tuple[int, int]]]
        if isinstance(factor, Symbol):
            options = [((factor,), (1, factor.step))] + ([((), (-factor.low, factor.step))] if factor.low else [])
        else:
            options = [((factor,), (1, 1))]
        product: dict[Monomial, tuple[int, int]] = {}
        for m, (a, b) in result.items():
            for n, (c, d) in options:
                key = tuple(sorted((*m, *n), key=key_of))
                e, f = product.get(key, (0, 1))
                product[key] = (e * b * d + a * c * f, f * b * d)
        result = product
    return result


def _joined(total: Term, monomial: Monomial, coefficient: int) -> Term:
    """total + coefficient * monomial."""
    product: Term | None = None
    for factor in monomial:
        one = factor if isinstance(factor, Symbol) else Op(factor.fn, to_term(factor.left), to_term(factor.right))
        product = one if product is None else Op("mul", product, one)
    size = abs(coefficient)
    part: Term = size if product is None else product if size == 1 else Op("mul", product, size)
    if total == 0:
        if coefficient > 0:
            return part
        return coefficient if product is None else Op("mul", product, coefficient)
    return Op("add" if coefficient > 0 else "sub", total, part)
