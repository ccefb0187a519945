"""Terms over symbols: the runtime computes what Python computes."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pytest

from edgec.compiler.bundle import toolchain
from edgec.compiler.ir.extent import Symbol, bounds_of, least, most, symbol, symbols_of, value_in
from edgec.compiler.ir.types import TensorType
from edgec.compiler.lower.plan import Control, Operand, Plan, Port, Space, Step
from edgec.runtimes.python import Model

TERMS = 300


def random_terms(symbols: list[int], random: np.random.Generator) -> list[int]:
    """Extents that each are made of earlier ones, all within int32 and some of them negative."""
    made = list(symbols)
    while len(made) < TERMS:
        recent = made[-12:] + symbols
        a, b = (recent[i] for i in random.integers(len(recent), size=2))
        number = int(random.integers(1, 40))
        kind = random.integers(8)
        term = (
            a + b if kind == 0 else a - b if kind == 1 else a * b if kind == 2 else a // number if kind == 3
            else a % number if kind == 4 else least(a, b) if kind == 5 else most(a, b) if kind == 6
            else (a * number - b) // -number
        )  # fmt: skip
        low, high = bounds_of(term)
        if symbols_of(term) and low >= -(2**31) and high < 2**31 and len(str(term)) < 2000:
            made.append(term)
    return made


@pytest.fixture(scope="module")
def symbols() -> dict[str, int]:
    return {"n": symbol("n", 1, 9), "w": symbol("w", 32, 640, 32), "k": symbol("k", 0, 50)}


@pytest.fixture(scope="module")
def terms(symbols: dict[str, int]) -> list[int]:
    return random_terms(list(symbols.values()), np.random.default_rng(5))


@pytest.fixture(scope="module")
def model(make_bundle: Any, symbols: dict[str, int], terms: list[int]) -> Iterator[Model]:
    """Writes all terms before and after it has measured k."""
    n, w, k = symbols.values()
    out = TensorType((TERMS,), "int32")
    plan = Plan(
        "terms",
        [Port("x", TensorType((n, w), "int8")), Port("k", TensorType((), "int64"))],
        [Port("before", out), Port("after", out)],
        symbols=[next(iter(symbols_of(s))) for s in (n, w, k)],
    )
    plan.steps = [
        Step("dump", (Operand(Space.OUTPUT),), (TERMS, *terms), 1),
        Step("", (Operand(Space.INPUT, index=1),), (), 0, control=Control.MEASURE, target=2),
        Step("dump", (Operand(Space.OUTPUT, index=1),), (TERMS, *terms), 1),
    ]
    built = make_bundle(plan, toolchain.Triple.host())
    with Model(built.library, built.weights) as opened:
        yield opened


def values_of(symbols: Mapping[str, int], numbers: Mapping[str, int]) -> dict[Symbol, int]:
    return {next(iter(symbols_of(extent))): numbers[name] for name, extent in symbols.items()}


@pytest.mark.parametrize("given", [0, 1, 17, 50, 51, -3, 2**40, -(2**63)])
def test_terms_have_their_values(model: Model, symbols: dict[str, int], terms: list[int], given: int) -> None:
    k = min(max(given, 0), 50)  # what is measured is kept in its range
    for n, w in [(1, 32), (9, 640), (2, 608), (7, 64)]:
        results = model.run({"x": np.zeros((n, w), np.int8), "k": np.array(given, np.int64)})
        expected = [value_in(term, values_of(symbols, {"n": n, "w": w, "k": k})) for term in terms]
        np.testing.assert_array_equal(results["after"], expected)
        fixed = [i for i, term in enumerate(terms) if not any(s.name == "k" for s in symbols_of(term))]
        assert fixed and len(fixed) < TERMS
        np.testing.assert_array_equal(results["before"][fixed], np.array(expected)[fixed])


def test_the_terms_are_worth_testing(terms: list[int]) -> None:
    text = " ".join(map(str, terms))
    assert all(part in text for part in ("//", "min(", " - ", "*"))
    assert min(bounds_of(term)[0] for term in terms) < 0
