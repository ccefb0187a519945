"""The values that polynomials take in the runs of a model: bounds of all, and the value in one."""

from collections.abc import Callable
from functools import lru_cache
from math import prod
from typing import Any

import numpy as np

from .polynomial import Atom, Poly, Symbol

EXHAUSTIVE = 2**14
"""So many combinations of values are tried out to bound a polynomial; with more, bounds are those of its parts."""

Array = np.ndarray[Any, Any]


@lru_cache(2**16)
def bounds(p: Poly) -> tuple[int, int]:
    """(least, largest) value that p takes, or numbers beyond these."""
    if p.constant is not None:
        return p.constant, p.constant
    values = all_values(p)
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


def all_values(*polynomials: Poly) -> list[Array] | None:
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
