"""Extents that are known only when a model runs: integers that remember how they were computed.

An `Extent` is the largest value that the number can take (so everything that plans memory just works), together with
its normal form over `Symbol`s, whose `term` the runtime evaluates. Arithmetic on extents carries it on. Extents are
equal where they are in every run, and a comparison by size must have the same answer in every run, or it raises
`Undecided`: no decision can be right for the largest value alone. `least`, `most` and `less` take part in the
arithmetic instead. What drops the term on the way, `int()` or numpy for example, shows in a second run of the same code
`at` other values.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from operator import index
from typing import Any

from .poly_ops import Undecided, combine, from_term
from .poly_values import Array, all_values, bounds, value_at
from .polynomial import Poly, Symbol, number
from .terms import Op, Term, to_term

__all__ = [
    "Extent", "Op", "Symbol", "Term", "Undecided", "at", "ceil_div", "evaluate", "extent_of", "is_symbolic", "least",
    "less", "most", "poly_of", "symbols_of", "term_of", "value_in",
]  # fmt: skip


_value_of: Callable[[Symbol], int] | None = None
"""What extents are as integers, if not the largest value: see `at`."""


@contextmanager
def at(value: Callable[[Symbol], int]) -> Iterator[None]:
    """Extents made inside have, as integers, the value for these values of symbols."""
    global _value_of
    before, _value_of = _value_of, value
    try:
        yield
    finally:
        _value_of = before


class Extent(int):
    """The largest value of `term`, which every arithmetic operation with it carries on."""

    poly: Poly

    def __new__(cls, value: int, term: Term) -> "Extent":
        """`value` as the largest value of `term`."""
        return cls._make(value, from_term(term))

    @classmethod
    def _make(cls, value: int, poly: Poly) -> "Extent":
        self = super().__new__(cls, value)
        self.poly = poly
        return self

    @property
    def term(self) -> Term:
        """How the value is computed in a run."""
        return to_term(self.poly)

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

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, int):
            return int(self) == other
        return self.poly == poly_of(other) or bounds(self.poly - poly_of(other)) == (0, 0)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(tuple(value_at(self.poly, end) for end in (_low, _high)))

    def __lt__(self, other: Any) -> bool:
        return _decided(self, other, "<")

    def __le__(self, other: Any) -> bool:
        return _decided(self, other, "<=")

    def __gt__(self, other: Any) -> bool:
        return _decided(other, self, "<")

    def __ge__(self, other: Any) -> bool:
        return _decided(other, self, "<=")

    def __getnewargs__(self) -> tuple[int, Term]:  # type: ignore[override]
        return int(self), self.term  # for copies

    def __bool__(self) -> bool:
        low, high = bounds(self.poly)
        if low <= 0 <= high:
            raise Undecided(
                f"whether {self} is 0 changes from run to run; compile a range without that, or fix the shape"
            )
        return True

    def __str__(self) -> str:
        return str(self.term)

    __repr__ = __str__

    def __format__(self, spec: str) -> str:
        return format(str(self) if spec == "" else int(self), spec)


def _low(symbol: Symbol) -> int:
    return symbol.low


def _high(symbol: Symbol) -> int:
    return symbol.low + (symbol.count - 1) * symbol.step


def extent_of(poly: Poly) -> int:
    """The extent with this normal form; an ordinary integer where that is a number."""
    if poly.constant is not None:
        return poly.constant
    return Extent._make(bounds(poly)[1] if _value_of is None else value_at(poly, _value_of), poly)


def symbol(name: str, low: int, high: int, step: int = 1) -> int:
    """The extent that is a new symbol: `name`, from `low` to `high` in steps."""
    return extent_of(from_term(Symbol(name, low, high, step)))


def poly_of(value: int) -> Poly:
    """The normal form of an extent or an integer."""
    return value.poly if isinstance(value, Extent) else number(value)


def term_of(value: int) -> Term:
    """What `value` is in a run."""
    return value.term if isinstance(value, Extent) else int(value)


def is_symbolic(value: object) -> bool:
    """Whether the number changes from run to run."""
    return isinstance(value, Extent)


def symbols_of(value: int) -> frozenset[Symbol]:
    """The symbols that `value` depends on."""
    return value.poly.symbols() if isinstance(value, Extent) else frozenset()


def value_in(value: int, values: Mapping[Symbol, int]) -> int:
    """`value` in a run in which the symbols have `values`."""
    return value_at(value.poly, values.__getitem__) if isinstance(value, Extent) else int(value)


def bounds_of(value: int) -> tuple[int, int]:
    """The least and the largest value, or numbers beyond these."""
    return bounds(poly_of(value))


def values_of(*extents: int) -> list[Array]:
    """The values of extents in all runs, in one order of runs: int64 arrays; ValueError if these are too many."""
    values = all_values(*map(poly_of, extents))
    if values is None:
        raise ValueError(f"{extents[0]} takes too many values; compile a smaller range, or in larger steps")
    return values


def largest(value: int) -> int:
    """The largest value, or a number beyond it: what memory is planned with."""
    return bounds(poly_of(value))[1]


def least(*values: int) -> int:
    """The minimum, also of extents."""
    result = values[0]
    for value in values[1:]:
        result = _combined("min", result, value)
    return result


def most(*values: int) -> int:
    """The maximum, also of extents."""
    result = values[0]
    for value in values[1:]:
        result = _combined("max", result, value)
    return result


def less(a: int, b: int) -> int:
    """1 where a < b, else 0: a choice that arithmetic can make."""
    return least(most(b - a, 0), 1)


def always_less(a: int, b: int) -> bool:
    """Whether a < b in every run."""
    return bounds(poly_of(a) - poly_of(b))[1] < 0


def ceil_div(a: int, b: int) -> int:
    """a / b rounded up."""
    return (a + b - 1) // b


def evaluate(term: Term, values: Mapping[Symbol, int]) -> int:
    """The value of `term` in a run in which the symbols have `values`."""
    if isinstance(term, Symbol):
        return values[term]
    if isinstance(term, Op):
        return int(_FUNCTIONS[term.fn](evaluate(term.left, values), evaluate(term.right, values)))
    return term


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
    try:
        a, b = (v if isinstance(v, int) else index(v) for v in (a, b))
    except TypeError:
        return NotImplemented
    if not isinstance(a, Extent) and not isinstance(b, Extent):
        return _FUNCTIONS[fn](a, b)
    return extent_of(combine(fn, poly_of(a), poly_of(b)))


def _decided(a: Any, b: Any, sign: str) -> bool:
    """Whether a < b, or a <= b."""
    if isinstance(a, float) or isinstance(b, float):
        lows, highs = zip(*((v, v) if isinstance(v, float) else bounds_of(v) for v in (a, b)), strict=True)
        low, high = lows[0] - highs[1], highs[0] - lows[1]
    elif isinstance(a, int) and isinstance(b, int):
        low, high = bounds(poly_of(a) - poly_of(b))
    else:
        raise TypeError(f"{a!r} and {b!r} are not numbers")
    if high < 0 or (high == 0 and sign == "<="):
        return True
    if low > 0 or (low == 0 and sign == "<"):
        return False
    raise Undecided(f"whether {a} {sign} {b} changes from run to run; compile a range on either side of its own")
