"""Extents: arithmetic in normal form agrees with integers at every value of the symbols."""

from collections.abc import Callable
from copy import deepcopy
from math import prod

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgec.compiler.ir.extent import (
    Extent,
    Symbol,
    Undecided,
    always_less,
    at,
    bounds_of,
    ceil_div,
    evaluate,
    extent_of,
    is_symbolic,
    largest,
    least,
    less,
    most,
    poly_of,
    symbol,
    term_of,
    value_in,
)

W, H, N = symbol("W", 320, 640, 32), symbol("H", 33, 97), symbol("N", 1, 8)
SYMBOLS = {s.name: s for s in (Symbol("W", 320, 640, 32), Symbol("H", 33, 97), Symbol("N", 1, 8))}

_FUNCTIONS: dict[str, Callable[[int, int], int]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "min": least,
    "max": most,
    "less": less,
}
_BY_NUMBER: dict[str, Callable[[int, int], int]] = {
    "div": lambda a, b: a // b,
    "mod": lambda a, b: a % b,
    "ceil": ceil_div,
}
Tree = str | int | tuple[str, "Tree", "Tree"]

trees = st.recursive(
    st.sampled_from(["W", "H", "N"]) | st.integers(-40, 700),
    lambda inner: (
        st.tuples(st.sampled_from(sorted(_FUNCTIONS)), inner, inner)
        | st.tuples(st.sampled_from(sorted(_BY_NUMBER)), inner, st.integers(1, 70))
    ),
    max_leaves=7,
)


def compute(tree: Tree, names: dict[str, int]) -> int:
    """The value of `tree`, over extents or numbers."""
    if isinstance(tree, str):
        return names[tree]
    if isinstance(tree, int):
        return tree
    fn, left, right = tree
    return (_FUNCTIONS | _BY_NUMBER)[fn](compute(left, names), compute(right, names))


@settings(max_examples=300, deadline=None, derandomize=True)
@given(trees, st.integers(0, 10), st.integers(0, 64), st.integers(1, 8))
def test_arithmetic(tree: Tree, w: int, h: int, n: int) -> None:
    """The normal form and the term that the runtime gets say what integers say, within the bounds."""
    extent = compute(tree, {"W": W, "H": H, "N": N})
    numbers = {"W": 320 + 32 * w, "H": 33 + h, "N": n}
    expected = compute(tree, numbers)
    values = {SYMBOLS[name]: value for name, value in numbers.items()}
    assert value_in(extent, values) == expected
    assert evaluate(term_of(extent), values) == expected
    low, high = bounds_of(extent)
    assert low <= expected <= high
    assert int(extent) == (high if is_symbolic(extent) else expected)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (W // 2, ceil_div(W, 2)),
        ((W * H * 3) // W, H * 3),
        (((H + 1) // 2 + 1) // 2, (H + 3) // 4),
        (-(-H // 2), (H + 1) // 2),
        (prod([N, 3, H, W]), W * 3 * (H * N)),
        (sum([N, N, 1]), 2 * N + 1),
        (least(H, W), H),
        (most(H, 1), H),
        ((W - 1) // 2 + 1, W // 2),
        (least(N, 4) + most(N, 4), N + 4),
    ],
)
def test_equal(left: int, right: int) -> None:
    assert left == right
    assert hash(left) == hash(right)


def test_different() -> None:
    """An extent is no number, and two are different as soon as one run tells them apart."""
    assert N != 8
    assert N != 1
    assert N not in (1, 8)
    assert N != W // 80
    assert W % 32 == 0
    assert not is_symbolic(W - W)
    assert not is_symbolic(W % 16)


def test_copies() -> None:
    assert deepcopy(W * N) == W * N
    assert int(deepcopy(W * N)) == 5120


def test_decisions() -> None:
    assert W > 319
    assert W <= 640
    assert 0 < N < 9
    assert max(W, 1) == W
    assert always_less(H, W)
    assert not always_less(N, 8)
    assert bool(N)
    for question in (lambda: W < 400, lambda: min(N, 4), lambda: bool(N - 1), lambda: H <= 40):
        with pytest.raises(Undecided, match="changes from run to run"):
            question()


def test_division_by_zero() -> None:
    with pytest.raises(ValueError, match="may be 0"):
        W // (N - 1)


def test_values_elsewhere() -> None:
    """Extents as integers are the largest value, or that at another place."""
    assert int(W * N) == 5120
    with at(lambda s: s.low):
        assert int(W * N) == 320
        assert Extent(5120, term_of(W * N)) == W * N
        assert int(extent_of(poly_of(W))) == 320
        assert largest(extent_of(poly_of(W))) == 640


def test_large_ranges_are_bounded_by_their_parts() -> None:
    a, b = symbol("a", 1, 10**6), symbol("b", 0, 10**6)
    low, high = bounds_of(least(a * 3, 1000) + b // 7)
    assert low <= 3
    assert high >= 1000 + 10**6 // 7
    assert a + b > 0
