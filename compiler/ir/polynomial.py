"""Integer polynomials over the numbers of a run, in a normal form: equal ones compare equal.

The variable of a `Symbol` counts its steps: it stands for k where the symbol's value is low + step * k. So that an
extent of 320, 352, ... is 320 + 32 k, and its half 160 + 16 k, exactly. What is no polynomial is an atom of one:
quotients rounded down that do not come out even, and min(p, 0) (`poly_ops.py`).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache


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
"""A product; sorted by `key_of`."""


def key_of(factor: Symbol | Atom) -> str:
    """Text that is different for different factors."""
    return factor.name if isinstance(factor, Symbol) else factor.key


@dataclass(frozen=True)
class Poly:
    """A sum of products: (monomial, coefficient) sorted, no coefficient 0."""

    parts: tuple[tuple[Monomial, int], ...]

    @cached_property
    def key(self) -> str:
        """Text that is different for different polynomials over the same symbols."""
        return "+".join(f"{c}*{'*'.join(map(key_of, m))}" for m, c in self.parts)

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
        return sum_of([*self.parts, *other.parts])

    def __neg__(self) -> "Poly":
        return Poly(tuple((m, -c) for m, c in self.parts))

    def __sub__(self, other: "Poly") -> "Poly":
        return self + -other

    def __mul__(self, other: "Poly") -> "Poly":
        return sum_of((tuple(sorted((*m, *n), key=key_of)), c * d) for m, c in self.parts for n, d in other.parts)

    def symbols(self) -> frozenset[Symbol]:
        """What its value depends on."""
        return _symbols(self)


def sum_of(parts: Iterable[tuple[Monomial, int]]) -> Poly:
    """The normal form of a sum of products with coefficients."""
    table: dict[Monomial, int] = {}
    for monomial, coefficient in parts:
        table[monomial] = table.get(monomial, 0) + coefficient
    kept = [(m, c) for m, c in table.items() if c]
    return Poly(tuple(sorted(kept, key=lambda part: (len(part[0]), [key_of(f) for f in part[0]]))))


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
