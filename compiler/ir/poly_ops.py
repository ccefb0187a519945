"""Division, minimum and all else that is done with polynomials beside sums and products.

Where the result is no polynomial it has an atom; a quotient whose divisor may be 0 is `Undecided`.
"""

from collections.abc import Callable, Mapping
from math import gcd

from .poly_values import bounds
from .polynomial import Atom, Monomial, Poly, Symbol, number, sum_of, variable
from .terms import Op, Term, to_term


class Undecided(ValueError):
    """A question about extents whose answer changes from run to run."""


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
    whole = sum_of((m, c // q) for m, c in p.parts)
    rest = sum_of((m, c % q) for m, c in p.parts)
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
    reduced = sum_of((m, c // scale) for m, c in difference.parts)
    if reduced.parts[-1][1] > 0:
        return q + number(scale) * _atom("min", reduced, number(0))
    return p + number(scale) * _atom("min", -reduced, number(0))


def _atom(fn: str, left: Poly, right: Poly) -> Poly:
    return Poly((((Atom(fn, left, right),), 1),))


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
