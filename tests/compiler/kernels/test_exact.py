"""Maps with quantized operands: every machine computes elementary functions to the bit as the numpy reference does."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgec.compiler.ir import elementary
from edgec.compiler.ir.expr import call
from edgec.compiler.ir.expr_text import parse
from edgec.compiler.ir.functions import FUNCTIONS
from edgec.compiler.ir.types import Quant
from edgec.compiler.kernels.map import MapOperand, MapSpec
from edgec.tests.compiler.kernels.test_functions import LARGEST, SPECIAL
from edgec.tests.compiler.kernels.test_map import FLOAT, QUANTIZED, run_flat
from edgec.tests.kernel_harness import Array, Machine, examples, on_machines, reference

COUNT = 3000

MAPS = [
    "mul(div(1.0, add(exp(neg(%0)), 1.0)), %1)",
    "add(tanh(%0), %1)",
    "mul(mul(mul(%0, 0.5), add(erf(div(%0, 1.4142135381698608)), 1.0)), %1)",
    "mul(tanh(log(add(exp(%0), 1.0))), %1)",
    "sub(exp(%0), mul(exp(%1), exp(0.3)))",
    "pow(abs(%0), %1)",
    "add(mod(%0, %1), sinh(min(%0, %1)))",
    "mul(sin(mul(%0, 30.0)), atan(%1))",
]
"""Over two quantized operands, with a quantized result: the gates and activations of models, and other functions."""


@on_machines
@examples
@given(
    text=st.sampled_from(MAPS),
    quants=st.lists(st.builds(Quant.per_tensor, st.floats(1e-3, 0.2), st.integers(-128, 127)), min_size=3, max_size=3),
    seed=st.integers(0, 99),
)
def test_codes(machine: Machine, text: str, quants: list[Quant], seed: int) -> None:
    rng = np.random.default_rng(seed)
    inputs = [rng.integers(-128, 128, COUNT).astype(np.int8) for _ in range(2)]
    expected = reference("map", inputs, quants[:2], quants[2], expr=parse(text))
    names = dict(zip(("x0", "x1", "y"), quants, strict=True))
    got = run_flat(machine, MapSpec(parse(text), (QUANTIZED,) * 2, QUANTIZED), inputs, np.zeros(COUNT, np.int8), names)
    np.testing.assert_array_equal(got, expected)


def numbers(seed: int) -> Array:
    """Floats of all sizes and both signs, and special ones."""
    rng = np.random.default_rng(seed)
    x = np.concatenate([rng.normal(0, 2, COUNT), rng.normal(0, 2, COUNT) * np.exp(rng.uniform(-90, 80, COUNT))])
    return np.concatenate([x, SPECIAL, LARGEST]).astype(np.float32)


def bits(x: Array) -> Array:
    """The bits; one pattern for all that is no number."""
    return np.where(np.isnan(x), np.float32(np.nan), x).view(np.int32)


@on_machines
@pytest.mark.parametrize("name", elementary.FUNCTIONS)
def test_bits_of_a_function(machine: Machine, name: str) -> None:
    """Of any float, fused with nothing: before rounding to codes could hide a difference."""
    function = call(name, *(parse(f"%{i}") for i in range(FUNCTIONS[name][0])))
    expr = call("add", call("mul", function, parse("%2")), parse("%1"))
    inputs = [numbers(0), np.random.default_rng(2).permutation(numbers(1))]
    codes = np.random.default_rng(3).integers(-128, 128, inputs[0].size).astype(np.int8)
    quant = Quant.per_tensor(0.0173, 5)
    expected = reference("map", [*inputs, codes], [None, None, quant], expr=expr)
    spec = MapSpec(expr, (FLOAT, FLOAT, QUANTIZED), FLOAT)
    got = run_flat(machine, spec, [*inputs, codes], np.zeros_like(inputs[0]), {"x2": quant})
    np.testing.assert_array_equal(bits(got), bits(expected))


@on_machines
@pytest.mark.parametrize(
    "text",
    [
        "div(1.0, max(mul(%0, 0.0), %1))",
        "div(1.0, min(neg(%0), 0.0))",
        "div(1.0, max(neg(%0), 0.0))",
        "div(1.0, sign(neg(%0)))",
        "add(div(%1, 3.0), mul(%0, exp(add(0.1, 0.2))))",
        "sub(exp(add(%0, 88.0)), mul(abs(%1), 3e38))",
        "cast<float32>(pow(cast<float64>(%0), exp(sin(cast<float64>(%1)))))",
    ],
)
def test_bits_of_an_expression(machine: Machine, text: str) -> None:
    """Zeros' signs, literals that meet literals, results that only a fused operation would give, and float64."""
    x, y = np.tile(np.arange(-128, 128), 12).astype(np.int8), numbers(4)[: 12 * 256]
    quant = Quant.per_tensor(0.037, 3)
    expected = reference("map", [x, y], [quant, None], expr=parse(text))
    spec = MapSpec(parse(text), (QUANTIZED, MapOperand("float32")), FLOAT)
    got = run_flat(machine, spec, [x, y], np.zeros_like(y), {"x0": quant})
    np.testing.assert_array_equal(bits(got), bits(expected))
