"""Integer polynomials over the numbers of a run, in a normal form: equal ones compare equal.

The variable of a `Symbol` counts its steps: it stands for k where the symbol's value is low + step * k. So that an
extent of 320, 352, ... is 320 + 32 k, and its half 160 + 16 k, exactly. What is no polynomial is an atom of one:
quotients rounded down that do not come out even, and min(p, 0).
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import gcd, lcm, prod
from typing import Any

import numpy as np

EXHAUSTIVE = 2**14
"""So many combinations of values are tried out to bound a polynomial; with more, bounds are those of its parts."""


Array = np.ndarray[Any, Any]


class Undecided(ValueError):
    """A question about extents whose answer changes from run to run."""


@dataclass(frozen=True)
class Symbol:
    """A number of a run, between `low` and `high` in steps of `step` from `low` on."""

    name: str
    low: int
    high: int
    step: int = 1

    @property
    def count(self) -> int:
        """How many values it can take."""
        return (self.high - self.low) // self.step + 1

    def __str__(self) -> str:
        return self.name


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


@dataclass(frozen=True)
class Atom:
    """`div`: left // right. `min`: min(left, right), where right is 0."""

    fn: str
    left: "Poly"
    right: "Poly"

    @cached_property
    def key(self) -> str:
        """Text that is different for different atoms."""
        return f"{self.fn}({self.left.key},{self.right.key})"

    @cached_property
    def _hash(self) -> int:
        return hash(self.key)

    def __hash__(self) -> int:
        return self._hash


Monomial = tuple[Symbol | Atom, ...]
"""A product; sorted by `_key`."""


def _key(factor: Symbol | Atom) -> str:
    return factor.name if isinstance(factor, Symbol) else factor.key


@dataclass(frozen=True)
class Poly:
    """A sum of products: (monomial, coefficient) sorted, no coefficient 0."""

    parts: tuple[tuple[Monomial, int], ...]

    @cached_property
    def key(self) -> str:
        """Text that is different for different polynomials over the same symbols."""
        return "+".join(f"{c}*{'*'.join(map(_key, m))}" for m, c in self.parts)

    @cached_property
    def _hash(self) -> int:
        return hash(self.parts)

    def __hash__(self) -> int:
        return self._hash

    @property
    def constant(self) -> int | None:
        """The number that it is, if it is one."""
        if not self.parts:
            return 0
        return self.parts[0][1] if self.parts[0][0] == () and len(self.parts) == 1 else None

    def __add__(self, other: "Poly") -> "Poly":
        return _sum([*self.parts, *other.parts])

    def __neg__(self) -> "Poly":
        return Poly(tuple((m, -c) for m, c in self.parts))

    def __sub__(self, other: "Poly") -> "Poly":
        return self + -other

    def __mul__(self, other: "Poly") -> "Poly":
        return _sum((tuple(sorted((*m, *n), key=_key)), c * d) for m, c in self.parts for n, d in other.parts)

    def symbols(self) -> frozenset[Symbol]:
        """What its value depends on."""
        return _symbols(self)


def _sum(parts: Iterable[tuple[Monomial, int]]) -> Poly:
    table: dict[Monomial, int] = {}
    for monomial, coefficient in parts:
        table[monomial] = table.get(monomial, 0) + coefficient
    kept = [(m, c) for m, c in table.items() if c]
    return Poly(tuple(sorted(kept, key=lambda part: (len(part[0]), [_key(f) for f in part[0]]))))


@lru_cache(2**14)
def _symbols(p: Poly) -> frozenset[Symbol]:
    found: set[Symbol] = set()
    for monomial, _ in p.parts:
        for factor in monomial:
            found |= {factor} if isinstance(factor, Symbol) else factor.left.symbols() | factor.right.symbols()
    return frozenset(found)


def number(value: int) -> Poly:
    """A constant."""
    return Poly((((), int(value)),) if value else ())


def variable(symbol: Symbol) -> Poly:
    """The symbol's value."""
    return number(symbol.low) + Poly((((symbol,), symbol.step),))


def divide(p: Poly, q: Poly) -> Poly:
    """p // q, rounded down."""
    if q.constant is not None:
        return _divide_by_number(p, q.constant)
    whole, rest = _long_division(p, q)
    if rest.constant == 0 or (bounds(rest)[0] >= 0 and bounds(q - rest)[0] > 0):
        return whole
    least, largest = bounds(q)
    if least <= 0 <= largest:
        raise Undecided(
            f"it divides by {to_term(q)}, which may be 0; compile a range of shapes without that, or fix the shape"
        )
    return _atom("div", p, q)


def _divide_by_number(p: Poly, q: int) -> Poly:
    if q == 0:
        raise ValueError("it divides by 0")
    if q < 0:
        return _divide_by_number(-p, -q)
    whole = _sum((m, c // q) for m, c in p.parts)
    rest = _sum((m, c % q) for m, c in p.parts)
    low, high = bounds(rest)
    if low // q == high // q:
        return whole + number(low // q)
    nested = _only_quotient(rest)
    if nested is not None:  # (a // b + c) // q = (a + b c) // (b q)
        inner, offset = nested
        return whole + divide(inner.left + inner.right * number(offset), inner.right * number(q))
    return whole + _atom("div", rest, number(q))


def _only_quotient(p: Poly) -> tuple[Atom, int] | None:
    """(a // b, c) where p is a // b + c for a number b."""
    offset = p.parts[0][1] if p.parts[0][0] == () else 0
    others = [(m, c) for m, c in p.parts if m]
    if len(others) == 1 and others[0][1] == 1 and len(others[0][0]) == 1:
        atom = others[0][0][0]
        if isinstance(atom, Atom) and atom.fn == "div" and atom.right.constant is not None:
            return atom, offset
    return None


def _long_division(p: Poly, q: Poly) -> tuple[Poly, Poly]:
    """(w, r) with p = w * q + r; r is 0 where q divides p."""
    lead, factor = q.parts[-1]
    whole, rest = number(0), p
    for _ in range(4 * len(p.parts) + 4):
        for monomial, coefficient in reversed(rest.parts):
            left = _without(monomial, lead)
            if left is not None and coefficient % factor == 0:
                step = Poly(((left, coefficient // factor),))
                whole, rest = whole + step, rest - step * q
                break
        else:
            break
    return whole, rest


def _without(monomial: Monomial, divisor: Monomial) -> Monomial | None:
    left = list(monomial)
    for factor in divisor:
        if factor not in left:
            return None
        left.remove(factor)
    return tuple(left)


def minimum(p: Poly, q: Poly) -> Poly:
    """The lesser of p and q: q + min(p - q, 0), where the sign and the common factor of the difference are normal."""
    difference = p - q
    low, high = bounds(difference)
    if high <= 0:
        return p
    if low >= 0:
        return q
    scale = gcd(*(c for _, c in difference.parts))
    reduced = _sum((m, c // scale) for m, c in difference.parts)
    if reduced.parts[-1][1] > 0:
        return q + number(scale) * _atom("min", reduced, number(0))
    return p + number(scale) * _atom("min", -reduced, number(0))


def _atom(fn: str, left: Poly, right: Poly) -> Poly:
    return Poly((((Atom(fn, left, right),), 1),))


@lru_cache(2**16)
def bounds(p: Poly) -> tuple[int, int]:
    """(least, largest) value that p takes, or numbers beyond these."""
    if p.constant is not None:
        return p.constant, p.constant
    values = values_of(p)
    if values is not None:
        return int(values[0].min()), int(values[0].max())
    low = high = 0
    for monomial, coefficient in p.parts:
        least, largest = 1, 1
        for factor in monomial:
            ends = [a * b for a in (least, largest) for b in _factor_bounds(factor)]
            least, largest = min(ends), max(ends)
        low += min(coefficient * least, coefficient * largest)
        high += max(coefficient * least, coefficient * largest)
    return low, high


def values_of(*polynomials: Poly) -> list[Array] | None:
    """The values of polynomials in all runs, in one order of runs; None if there are more than `EXHAUSTIVE`."""
    symbols = sorted({s for p in polynomials for s in p.symbols()}, key=lambda s: s.name)
    if prod(s.count for s in symbols) > EXHAUSTIVE:
        return None
    grid = np.meshgrid(*(np.arange(s.count, dtype=np.int64) for s in symbols), indexing="ij")
    steps = {s: g.reshape(-1) for s, g in zip(symbols, grid, strict=True)}
    return [np.asarray(_value(p, steps.__getitem__)) for p in polynomials]


def _factor_bounds(factor: Symbol | Atom) -> tuple[int, int]:
    if isinstance(factor, Symbol):
        return 0, factor.count - 1
    low, high = bounds(factor.left)
    if factor.fn == "min":
        return min(low, 0), min(high, 0)
    least, largest = bounds(factor.right)
    ends = [a // b for a in (low, high) for b in (least, largest)]
    return min(ends), max(ends)


def _value(p: Poly, steps: Callable[[Symbol], Any]) -> Any:
    """The value where a symbol has made `steps(symbol)` steps: an array or an int."""
    total: Any = 0
    for monomial, coefficient in p.parts:
        product: Any = coefficient
        for factor in monomial:
            product = product * (steps(factor) if isinstance(factor, Symbol) else _atom_value(factor, steps))
        total = total + product
    return total


def _atom_value(atom: Atom, steps: Callable[[Symbol], Any]) -> Any:
    left, right = _value(atom.left, steps), _value(atom.right, steps)
    return np.minimum(left, right) if atom.fn == "min" else left // right


def value_at(p: Poly, value: Callable[[Symbol], int]) -> int:
    """The value of p where the symbols have `value(symbol)`."""
    return int(_value(p, lambda s: (value(s) - s.low) // s.step))


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
    for monomial, (a, b) in sorted(reduced.items(), key=lambda part: (-len(part[0]), [_key(f) for f in part[0]])):
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
                key = tuple(sorted((*m, *n), key=_key))
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


def from_term(term: Term) -> Poly:
    """The normal form of a term."""
    if isinstance(term, Symbol):
        return variable(term)
    if isinstance(term, Op):
        return combine(term.fn, from_term(term.left), from_term(term.right))
    return number(term)


def combine(fn: str, p: Poly, q: Poly) -> Poly:
    """The polynomial of an `Op`."""
    functions: Mapping[str, Callable[[Poly, Poly], Poly]] = {
        "add": lambda p, q: p + q,
        "sub": lambda p, q: p - q,
        "mul": lambda p, q: p * q,
        "div": divide,
        "mod": lambda p, q: p - q * divide(p, q),
        "min": minimum,
        "max": lambda p, q: p + q - minimum(p, q),
    }
    return functions[fn](p, q)
