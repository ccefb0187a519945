"""Elementary functions and integer arithmetic of `map` against numpy in float64, and against themselves everywhere."""

import numpy as np
import pytest
import torch

from edgec.compiler.ir.evaluation import evaluate
from edgec.compiler.ir.expr_text import parse
from edgec.compiler.kernels.map import MapOperand, MapSpec
from edgec.tests.compiler.kernels.test_map import run_flat
from edgec.tests.kernel_harness import MACHINES, Array, Machine, on_machines

SPECIAL = [0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, 0.5, -0.5, 1e-30, -1e-30, 1e-41]
LARGEST = [3.4e38, -3.4e38]


def ulps(found: Array, exact: Array) -> Array:
    """The error in units of the last place of float32; 0 where both are the same infinity or no number."""
    rounded = exact.astype(np.float32)
    same = (found == rounded) | (np.isnan(found) & np.isnan(rounded))
    with np.errstate(all="ignore"):
        error = np.abs(found.astype(np.float64) - exact) / np.spacing(np.abs(rounded)).astype(np.float64)
    return np.asarray(np.where(same, 0.0, np.where(np.isfinite(error), error, np.inf)))


def spread(low: float, high: float) -> Array:
    """Numbers of all sizes within [low, high], and special ones."""
    rng = np.random.default_rng(5)
    sizes = np.exp(rng.uniform(np.log(1e-12), np.log(max(-low, high)), 3000))
    x = np.concatenate([rng.uniform(low, high, 3000), sizes * rng.choice([-1, 1], 3000), SPECIAL])
    return np.concatenate([x[(x >= low) & (x <= high)], SPECIAL]).astype(np.float32)


PERIODIC = ("sin(%0)", "cos(%0)", "tan(%0)")
"""Functions that are exact for arguments up to 2^40 only."""


FUNCTIONS = {
    "exp(%0)": (np.exp, -110, 95, 2),
    "log(%0)": (np.log, -1, 3e38, 2),
    "tanh(%0)": (np.tanh, -20, 20, 3),
    "erf(%0)": (None, -6, 6, 3),
    "sin(%0)": (np.sin, -1e12, 1e12, 2),
    "cos(%0)": (np.cos, -1e5, 1e5, 2),
    "tan(%0)": (np.tan, -1e5, 1e5, 4),
    "asin(%0)": (np.arcsin, -1.1, 1.1, 3),
    "acos(%0)": (np.arccos, -1.1, 1.1, 3),
    "atan(%0)": (np.arctan, -1e6, 1e6, 3),
    "sinh(%0)": (np.sinh, -91, 91, 4),
    "cosh(%0)": (np.cosh, -91, 91, 4),
    "asinh(%0)": (np.arcsinh, -1e30, 1e30, 4),
    "acosh(%0)": (np.arccosh, 0.5, 1e30, 4),
    "atanh(%0)": (np.arctanh, -1.1, 1.1, 4),
}


@pytest.mark.parametrize("text", FUNCTIONS)
def test_elementary(text: str) -> None:
    """Within a few ulp of float64, special values as in numpy, and the same bits on every machine."""
    function, low, high, bound = FUNCTIONS[text]
    x = spread(low, high)
    if text not in PERIODIC:
        x = np.append(x, np.array(LARGEST, np.float32))
    spec = MapSpec(parse(text), (MapOperand("float32"),), MapOperand("float32"))
    with np.errstate(all="ignore"):
        exact = evaluate(parse(text), [x.astype(np.float64)]) if function is None else function(x.astype(np.float64))
    results = [run_flat(m, spec, [x], np.zeros_like(x)) for m in MACHINES if m.available]
    error = ulps(results[0], exact)
    worst = int(np.argmax(error))
    assert error[worst] <= bound, f"{text} of {x[worst]}: {results[0][worst]}, not {exact[worst]}: {error[worst]} ulp"
    for other in results[1:]:
        assert np.array_equal(np.where(np.isnan(other), np.nan, other), results[0], equal_nan=True)


def test_gelu() -> None:
    """Against torch in float64: no worse than the sum of erf and 1 is in float32; the same bits on every machine."""
    x = np.append(spread(-12, 12), np.array(LARGEST, np.float32))
    exact = torch.nn.functional.gelu(torch.from_numpy(x.astype(np.float64))).numpy()
    exact = np.where(x == -np.inf, 0.0, exact)  # the limit; torch has no number there
    spec = MapSpec(parse("gelu(%0)"), (MapOperand("float32"),), MapOperand("float32"))
    results = [run_flat(m, spec, [x], np.zeros_like(x)) for m in MACHINES if m.available]
    found = results[0].astype(np.float64)
    assert np.array_equal(np.isnan(found), np.isnan(x))
    assert np.array_equal(found == np.inf, x == np.inf)
    known = np.isfinite(x)
    error, size = np.abs(found - exact)[known], np.abs(x[known].astype(np.float64))
    assert np.all(error <= 4e-7 * size + 1e-45)
    assert np.all(error <= np.maximum(2.5e-7, 2.0**-24 * size))
    assert np.all(np.abs(found[x <= -8]) < 1e-11)
    for other in results[1:]:
        assert np.array_equal(np.where(np.isnan(other), np.nan, other), results[0], equal_nan=True)


def test_sigmoid() -> None:
    """Against torch in float64; the same bits on every machine."""
    x = np.append(spread(-120, 120), np.array(LARGEST, np.float32))
    exact = torch.sigmoid(torch.from_numpy(x.astype(np.float64))).numpy()
    spec = MapSpec(parse("sigmoid(%0)"), (MapOperand("float32"),), MapOperand("float32"))
    results = [run_flat(m, spec, [x], np.zeros_like(x)) for m in MACHINES if m.available]
    found = results[0].astype(np.float64)
    assert np.array_equal(np.isnan(found), np.isnan(x))
    known = ~np.isnan(x)
    error = np.abs(found - exact)[known]
    assert np.all(error <= 5e-7 * exact[known] + 2e-38)
    assert np.all(error[x[known] >= 0] <= 1e-7)
    for other in results[1:]:
        assert np.array_equal(np.where(np.isnan(other), np.nan, other), results[0], equal_nan=True)


@on_machines
@pytest.mark.parametrize("text", ["pow(%0, %1)", "mod(%0, %1)", "floor_mod(%0, %1)"])
def test_of_two_numbers(machine: Machine, text: str) -> None:
    """Of all signs and sizes, and every pair of special values."""
    rng = np.random.default_rng(6)
    pairs = [(a, b) for a in [*SPECIAL, *LARGEST, 2.0, -3.0] for b in [*SPECIAL, *LARGEST, 3.0, -2.0]]
    if text != "pow(%0, %1)":  # quotients beyond 2^53 have no integer part in float64
        pairs = [(x, y) for x, y in pairs if not 2**53 < abs(x / (y or 1)) < np.inf]
    a = np.concatenate([rng.normal(0, 30, 3000), np.exp(rng.uniform(-20, 20, 3000)), [p[0] for p in pairs]])
    b = np.concatenate([rng.integers(-9, 9, 3000), rng.normal(0, 4, 3000), [p[1] for p in pairs]])
    a, b = a.astype(np.float32), b.astype(np.float32)
    spec = MapSpec(parse(text), (MapOperand("float32"),) * 2, MapOperand("float32"))
    got = run_flat(machine, spec, [a, b], np.zeros_like(a))
    exact = evaluate(parse(text), [a.astype(np.float64), b.astype(np.float64)])
    error = ulps(got, exact)
    worst = int(np.argmax(error))
    assert error[worst] <= 1, f"{text} of {a[worst]} and {b[worst]}: {got[worst]}, not {exact[worst]}"


@on_machines
@pytest.mark.parametrize("text", ["exp(%0)", "log(abs(%0))", "sqrt(abs(%0))", "div(%0, 3.0)", "pow(abs(%0), 0.3)"])
def test_float64(machine: Machine, text: str) -> None:
    """Arithmetic, exp, log and pow of float64 are no less precise than that."""
    rng = np.random.default_rng(7)
    x = np.concatenate([rng.normal(0, 200, 2000), rng.normal(0, 1, 2000), [0.0, 1.0, np.inf, -np.inf, np.nan, 1e-310]])
    spec = MapSpec(parse(text), (MapOperand("float64"),), MapOperand("float64"))
    got = run_flat(machine, spec, [x], np.zeros_like(x))
    np.testing.assert_allclose(got, evaluate(parse(text), [x]), rtol=1e-14, atol=0)


EDGES = [0, 1, -1, 2, -2, 3, 7, -7, 100, -100]
INTEGERS = ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"]
ARITHMETIC = [
    "div(%0, %1)", "mod(%0, %1)", "floor_mod(%0, %1)", "pow(%0, %1)", "shift_left(%0, %1)", "shift_right(%0, %1)",
    "bit_xor(bit_and(%0, %1), bit_not(bit_or(%0, %1)))", "add(mul(%0, %1), sub(max(%0, %1), min(%0, 3)))",
    "sign(sub(%0, abs(%1)))",
]  # fmt: skip


def whole(dtype: str) -> tuple[Array, Array]:
    """Pairs of numbers of a type: all of a few, and random ones."""
    info, rng = np.iinfo(dtype), np.random.default_rng(8)
    edges = [int(info.min), int(info.max), info.bits - 1, info.bits, *(e for e in EDGES if e >= info.min)]
    pairs = [(a, b) for a in edges for b in edges]
    a = np.array([p[0] for p in pairs] + [int(v) for v in rng.integers(info.min, info.max, 200, dtype)], dtype)
    b = np.array([p[1] for p in pairs] + [int(v) for v in rng.integers(0, 20, 200)], dtype)
    return a, b


@on_machines
@pytest.mark.parametrize("dtype", INTEGERS)
def test_integers(machine: Machine, dtype: str) -> None:
    """No operand traps, and every result is the reference's. One kernel a type: the results are packed by a `where`."""
    a, b = whole(dtype)
    select = "%0"
    for i, text in enumerate(ARITHMETIC):
        select = f"where(eq(%2, {i}), {text}, {select})"
    a, b, which = (np.tile(a, len(ARITHMETIC)), np.tile(b, len(ARITHMETIC)), np.repeat(range(len(ARITHMETIC)), a.size))
    spec = MapSpec(parse(select), (MapOperand(dtype),) * 2 + (MapOperand("int32"),), MapOperand(dtype))
    got = run_flat(machine, spec, [a, b, which.astype(np.int32)], np.zeros(a.size, dtype))
    for i, text in enumerate(ARITHMETIC):
        part = which == i
        expected = evaluate(parse(text), [a[part], b[part]])
        np.testing.assert_array_equal(got[part], expected, err_msg=text)


@on_machines
@pytest.mark.parametrize("dtype", [*INTEGERS, "bool", "float16"])
def test_conversion_of_floats(machine: Machine, dtype: str) -> None:
    """Towards zero, saturating, NaN to 0 (True as a bool)."""
    limits = [2.0**e + d for e in (7, 8, 15, 16, 31, 32, 63, 64) for d in (-1, 0, 1)]
    x = np.array([*SPECIAL, 1.5, -1.5, 254.7, *limits, *(-v for v in limits), 1e30], np.float32)
    text = f"cast<{dtype}>(%0)"
    spec = MapSpec(parse(text), (MapOperand("float32"),), MapOperand(dtype))
    got = run_flat(machine, spec, [x], np.zeros(x.size, dtype))
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal(got, evaluate(parse(text), [x]))


@on_machines
def test_nan_stays(machine: Machine) -> None:
    """min and max are numpy's: no number wins."""
    a = np.array([np.nan, 1, np.nan, -np.inf, 2, 0] * 5, np.float32)
    b = np.array([1, np.nan, np.nan, 3, np.inf, -1] * 5, np.float32)
    for text in ("max(%0, %1)", "min(%0, %1)", "max(%0, 0.5)", "min(1.5, %0)", "sign(%0)", "min(max(%0, 0.0), 6.0)"):
        inputs = [a, b] if "%1" in text else [a]
        spec = MapSpec(parse(text), (MapOperand("float32"),) * len(inputs), MapOperand("float32"))
        got = run_flat(machine, spec, inputs, np.zeros_like(a))
        np.testing.assert_array_equal(got, evaluate(parse(text), inputs), err_msg=text)


@on_machines
@pytest.mark.parametrize("dtype", ["int32", "uint32", "int64", "uint64"])
def test_wrapped_results_are_used(machine: Machine, dtype: str) -> None:
    """What overflows is modulo the range also for the operation that takes it: a comparison, a conversion."""
    a, b = whole(dtype)
    for text in ("cast<float32>(sub(%0, %1))", "cast<float32>(sub(%0, 5))", "where(lt(add(%0, %1), %0), 1.0, 0.0)"):
        operands = 2 if "%1" in text else 1
        spec = MapSpec(parse(text), (MapOperand(dtype),) * operands, MapOperand("float32"))
        got = run_flat(machine, spec, [a, b][:operands], np.zeros(a.size, np.float32))
        np.testing.assert_array_equal(got, evaluate(parse(text), [a, b]), err_msg=text)


@on_machines
def test_differences_of_codes(machine: Machine) -> None:
    """Signed, though the codes are not."""
    text, codes = "mul(cast<float32>(sub(cast<int32>(%0), %1)), 2.0)", np.arange(256).astype(np.uint8)
    spec = MapSpec(parse(text), (MapOperand("uint8"), MapOperand("int32", dense=False)), MapOperand("float32"))
    got = run_flat(machine, spec, [codes, np.array([128], np.int32)], np.zeros(256, np.float32))
    np.testing.assert_array_equal(got, (codes.astype(np.float32) - 128) * 2)
