from collections.abc import Callable

import pytest

from edgec.compiler.ir.graph import Graph
from edgec.passes import invert_divisors

GELU = "mul(%0, add(erf(div(%0, 1.4142135381698608)), 1.0))"
INVERTED = "mul(%0, add(erf(mul(%0, 0.7071067690849304)), 1.0))"


def graph(activation: str, residual: str) -> str:
    return f"""
    graph @g(%x: float32[3,4], %w: float32[4,5], %r: float32[3,5]) -> (%y) {{
      const %b: float32[5] = @b
      %y: float32[3,5] = matmul(%x, %w, %b, %r) {{activation={activation}, residual_activation={residual}}}
    }}
    """


def test_both_activations(golden: Callable[..., Graph]) -> None:
    golden(invert_divisors.run, graph("div(%0, 8.0)", GELU), graph("mul(%0, 0.125)", INVERTED))


@pytest.mark.parametrize("expr", ["div(3.0, add(abs(%0), 1.0))", "div(%0, add(abs(%0), 1.0))", "mul(%0, 2.0)"])
def test_other_divisions_stay(golden: Callable[..., Graph], expr: str) -> None:
    golden(invert_divisors.run, graph(expr, expr), graph(expr, expr))


@pytest.mark.parametrize("divisor", ["0.0", "1e-40", "1e+38"])
def test_divisors_without_a_normal_inverse_stay(golden: Callable[..., Graph], divisor: str) -> None:
    text = graph(f"atan(div(%0, {divisor}))", "abs(%0)")
    golden(invert_divisors.run, text, text)


def test_maps_stay(golden: Callable[..., Graph]) -> None:
    text = """
    graph @g(%x: float32[3,4]) -> (%y) {
      %y: float32[3,4] = map(%x) {expr=div(%0, 3.0)}
    }
    """
    golden(invert_divisors.run, text, text)
