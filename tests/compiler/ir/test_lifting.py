"""Literals as inputs: what becomes one, and that expressions mean the same."""

import numpy as np
import pytest

from edgec.compiler.ir.evaluation import evaluate
from edgec.compiler.ir.expr import Const, In, hard_sigmoid, substitute
from edgec.compiler.ir.expr_text import parse, to_text
from edgec.compiler.ir.lifting import BOUNDED, bounds, lifted


@pytest.mark.parametrize(
    ("text", "general", "values"),
    [
        ("max(%0, 0.0)", "max(%0, 0.0)", ()),
        ("add(mul(%0, 2.5), -1.0)", "add(mul(%0, %1), %2)", (2.5, -1.0)),
        ("mul(0.1, max(sub(%0, 3.0), 0.5))", "mul(%1, max(sub(%0, %2), 0.5))", (0.1, 3.0)),
        ("add(%0, 1e6)", "add(%0, 1000000.0)", ()),
        ("add(%0, 2)", "add(%0, 2)", ()),
        ("add(%0, -0.0)", "add(%0, -0.0)", ()),
        ("where(lt(%0, 0.0), mul(%0, 0.1), %0)", "where(lt(%0, 0.0), mul(%0, %1), %0)", (0.1,)),
    ],
)
def test_numbers_that_are_added_and_multiplied_by(text: str, general: str, values: tuple[float, ...]) -> None:
    found = lifted(parse(text), 1)
    assert (to_text(found[0]), found[1]) == (general, values)


def test_the_meaning_stays() -> None:
    expr = hard_sigmoid(In(0), 0.2, 0.4)
    general, values = lifted(expr, 1)
    assert substitute(general, {1 + i: Const(v) for i, v in enumerate(values)}) == expr
    x = np.linspace(-4, 4, 33, dtype=np.float32)
    numbers = [np.full_like(x, v) for v in values]
    np.testing.assert_array_equal(evaluate(general, [x, *numbers]), evaluate(expr, [x]))


@pytest.mark.parametrize(
    "text", ["max(%0, 0.0)", "min(max(%0, 0.0), 6.0)", "max(min(%0, 1.5), -2.0)", "min(%0, 3.0)", "%0"]
)
def test_clamps_to_numbers_that_are_inputs(text: str) -> None:
    x = np.array([-np.inf, -7, -1, 0.5, 5, 7, np.inf, np.nan], np.float32)
    found = bounds(parse(text))
    assert found is not None
    numbers = [np.full_like(x, v) for v in found]
    np.testing.assert_array_equal(evaluate(BOUNDED, [x, *numbers]), evaluate(parse(text), [x]))


def test_what_is_no_clamp() -> None:
    assert bounds(None) == (-np.inf, np.inf)
    assert bounds(parse("max(mul(%0, 0.1), %0)")) is None
