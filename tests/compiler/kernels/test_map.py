"""Generated elementwise kernels against the numpy evaluation of their expressions."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgec.compiler.ir.evaluation import evaluate
from edgec.compiler.ir.expr import Expr, In, call
from edgec.compiler.ir.expr_text import parse
from edgec.compiler.ir.graph import Graph, Node, Value
from edgec.compiler.ir.types import Quant, TensorType
from edgec.compiler.kernels import map as kernel
from edgec.compiler.kernels.elementwise import rows_of
from edgec.compiler.kernels.map import MapOperand, MapSpec
from edgec.compiler.lower.nodes.reciprocal import quantization_params
from edgec.compiler.ops import quantized
from edgec.compiler.ops.reference import run_graph
from edgec.tests.compiler.lower.running import DOTPROD, run
from edgec.tests.kernel_harness import Array, Machine, examples, on_machines, reference, run_kernel

CHUNK = 128
FLOAT = MapOperand("float32")
QUANTIZED = MapOperand("int8", quantized=True)


def run_flat(
    machine: Machine, spec: MapSpec, inputs: list[Array], output: Array, quants: dict[str, Quant] | None = None
) -> Array:
    """The output of a kernel with code for rows of that length only."""
    count = output.size
    if spec.rows == "any":
        spec = replace(spec, rows=rows_of(count, kernel.VECTORS * machine.isa.lanes))
    chunks = -(-count // CHUNK)
    params: dict[str, int | float] = dict.fromkeys(spec.params, 0)
    params |= {"extent_1": 1, "extent_2": 1, "count": count, "chunk": CHUNK, "chunks": chunks}
    for name, quant in (quants or {}).items():
        params |= {f"{name}_scale": quant.scale[0], f"{name}_zero_point": quant.zero_point[0]}
    operands = {f"x{i}": x for i, x in enumerate(inputs)} | {"y": output}
    return run_kernel(kernel, spec, machine, operands, params, chunks)["y"]


@on_machines
@pytest.mark.parametrize("scale", [0.25, 1 / 255, 0.0372])
def test_quantized_without_division(machine: Machine, scale: float) -> None:
    """The codes of quotients, next to the middle between two integers too, and of what is no number."""
    quant = Quant.per_tensor(scale, -7)
    middles = ((np.arange(-300, 300) + 0.5) * scale).astype(np.float32)
    numbers = [np.nextafter(middles, np.float32(sign * np.inf)) for sign in (-1, 1)]
    x = np.concatenate([middles, *numbers, np.array([np.inf, -np.inf, np.nan, 3e38, 1e-45], np.float32)])
    spec = MapSpec(In(0), (FLOAT,), QUANTIZED, "long", multiplied=True)
    _, params = quantization_params("y", quant.scale[0], -7)
    y = np.zeros(x.shape, np.int8)
    space = dict.fromkeys(spec.params, 0) | {"extent_1": 1, "extent_2": 1, "count": x.size, "chunk": 4096, "chunks": 1}
    got = run_kernel(kernel, spec, machine, {"x0": x, "y": y}, {**space, **params}, 1)["y"]
    np.testing.assert_array_equal(got, quantized.quantize(x, quant))


SMOOTH = [
    "tanh(%0)",
    "erf(%0)",
    "exp(%0)",
    "div(%0, add(exp(neg(%0)), 1.0))",
    "mul(%0, min(max(add(%0, 3.0), 0.0), 6.0))",
]
ROUNDING = ["floor(%0)", "ceil(%0)", "round(%0)", "sign(%0)", "abs(%0)", "where(lt(%0, 0.0), mul(%0, 0.1), %0)"]
POSITIVE = ["log(%0)", "sqrt(%0)", "pow(%0, 1.7)"]
BINARY = ["add(mul(%0, %1), %0)", "pow(%1, floor(%0))", "mod(%0, %1)", "div(%0, %1)", "where(le(%0, %1), %0, %1)"]


@on_machines
@pytest.mark.parametrize("text", SMOOTH + ROUNDING + POSITIVE + BINARY)
def test_float(machine: Machine, text: str) -> None:
    rng = np.random.default_rng(1)
    for count in (1, 17, 300):
        x = rng.normal(0, 4, count).astype(np.float32)
        inputs = [np.abs(x) if text in POSITIVE else x, rng.choice([-3, -1.5, 0.5, 2.25], count).astype(np.float32)]
        inputs = inputs[: 2 if text in BINARY else 1]
        spec = MapSpec(parse(text), (FLOAT,) * len(inputs), FLOAT)
        got = run_flat(machine, spec, inputs, np.zeros(count, np.float32))
        np.testing.assert_allclose(got, evaluate(parse(text), inputs), rtol=3e-6, atol=5e-7)


@on_machines
def test_special_values(machine: Machine) -> None:
    x = np.array([0.0, -0.0, -1.0, 1.0, np.inf, 200.0, -200.0, 1e-30], np.float32)
    for text, expected in {
        "log(%0)": [-np.inf, -np.inf, np.nan, 0, None, np.log(200), np.nan, np.log(1e-30)],
        "pow(%0, 2.0)": [0, 0, 1, 1, None, 4e4, 4e4, 0],
        "pow(%0, 0.0)": [1, 1, 1, 1, None, 1, 1, 1],
        "pow(%0, 0.5)": [0, 0, np.nan, 1, None, np.sqrt(200), np.nan, 1e-15],
        "tanh(%0)": [0, 0, np.tanh(-1), np.tanh(1), 1, 1, -1, 1e-30],
        "div(1.0, add(exp(neg(%0)), 1.0))": [0.5, 0.5, None, None, 1, 1, 0, 0.5],
    }.items():
        got = run_flat(machine, MapSpec(parse(text), (FLOAT,), FLOAT), [x], np.zeros_like(x))
        for value, wanted, element in zip(got, expected, x, strict=True):
            if wanted is not None:
                np.testing.assert_allclose(value, wanted, rtol=1e-5, atol=1e-36, err_msg=f"{text} of {element}")


INTEGER: list[tuple[str, list[str], str]] = [
    ("where(lt(%0, 3), add(%0, %1), mul(%0, 2))", ["int64", "int64"], "int64"),
    ("div(%0, max(abs(%1), 1))", ["int32", "int32"], "int32"),
    ("mod(%0, max(abs(%1), 1))", ["int32", "int32"], "int32"),
    ("sign(neg(%0))", ["int64"], "int64"),
    ("or(and(%0, not(%1)), eq(%2, 1))", ["bool", "bool", "int32"], "bool"),
    ("cast<float32>(%0)", ["int64"], "float32"),
    ("cast<int32>(%0)", ["float32"], "int32"),
    ("cast<bool>(%0)", ["int32"], "bool"),
    ("cast<float32>(%0)", ["bool"], "float32"),
    ("where(%0, %1, 0.5)", ["bool", "float32"], "float32"),
    ("cast<int64>(add(%0, 1))", ["uint8"], "int64"),
]


@on_machines
@pytest.mark.parametrize(("text", "dtypes", "dtype"), INTEGER)
def test_other_types(machine: Machine, text: str, dtypes: list[str], dtype: str) -> None:
    rng = np.random.default_rng(2)
    for count in (5, 200):
        inputs = [
            rng.integers(0 if d in ("uint8", "bool") else -9, 2 if d == "bool" else 10, count).astype(d) for d in dtypes
        ]
        spec = MapSpec(parse(text), tuple(MapOperand(d) for d in dtypes), MapOperand(dtype))
        got = run_flat(machine, spec, inputs, np.zeros(count, dtype))
        np.testing.assert_array_equal(got, evaluate(parse(text), inputs))


@on_machines
@examples
@given(
    count=st.integers(1, 300),
    scale=st.sampled_from([0.02, 1.0, 3e-5]),
    zero=st.integers(-128, 127),
    seed=st.integers(0, 99),
)
def test_quantize(machine: Machine, count: int, scale: float, zero: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = (rng.normal(0, 2, count) * rng.choice([1, 1e3, 1e10], count)).astype(np.float32)
    x[::7] = np.float32(scale) * (np.arange(len(x[::7])) + np.float32(0.5))  # ties
    x[rng.integers(0, count)] = rng.choice([np.inf, -np.inf, np.nan, 3e9, -3e9])
    quant = Quant.per_tensor(scale, zero)
    expected = reference("map", [x], [None], quant, expr=parse("%0"))
    got = run_flat(machine, MapSpec(parse("%0"), (FLOAT,), QUANTIZED), [x], np.zeros(count, np.int8), {"y": quant})
    np.testing.assert_array_equal(got, expected)


@on_machines
@examples
@given(zero=st.integers(-128, 127))
def test_dequantize(machine: Machine, zero: int) -> None:
    x, quant = np.arange(-128, 128).astype(np.int8), Quant.per_tensor(0.037, zero)
    got = run_flat(machine, MapSpec(parse("%0"), (QUANTIZED,), FLOAT), [x], np.zeros(256, np.float32), {"x0": quant})
    np.testing.assert_array_equal(got, reference("map", [x], [quant], expr=parse("%0")))


@on_machines
@pytest.mark.parametrize(
    "text", ["add(mul(%0, 3.7), mul(%1, %2))", "sub(%0, mul(%1, %2))", "div(add(%0, %1), max(%2, 0.1))"]
)
def test_quantized_expression_is_exact(machine: Machine, text: str) -> None:
    """No product may be fused into a sum: the bytes are those of one rounding an operation."""
    rng = np.random.default_rng(3)
    expr: Expr = parse(text)
    quants = [Quant.per_tensor(s, z) for s, z in ((0.0313, 5), (0.0711, -128), (0.0097, 127), (0.00731, -3))]
    inputs = [rng.integers(-128, 128, 5000).astype(np.int8) for _ in range(3)]
    expected = reference("map", inputs, quants[:3], quants[3], expr=expr)
    names = dict(zip(("x0", "x1", "x2", "y"), quants, strict=True))
    got = run_flat(machine, MapSpec(expr, (QUANTIZED,) * 3, QUANTIZED), inputs, np.zeros(5000, np.int8), names)
    np.testing.assert_array_equal(got, expected)


@on_machines
@examples
@given(
    shape=st.tuples(st.integers(1, 4), st.integers(1, 4), st.integers(1, 5), st.integers(1, 40)),
    repeated=st.lists(st.booleans(), min_size=4, max_size=4),
)
def test_broadcast_rows(machine: Machine, shape: tuple[int, ...], repeated: list[bool]) -> None:
    """x1 is repeated along some of the dimensions; the result is a part of a larger tensor."""
    rng = np.random.default_rng(4)
    x0 = rng.normal(size=shape).astype(np.float32)
    x1 = rng.normal(size=[1 if r else d for d, r in zip(shape, repeated, strict=True)]).astype(np.float32)
    whole = np.zeros((*shape[:3], shape[3] + 5), np.float32)
    y = whole[..., 2 : 2 + shape[3]]
    spec = MapSpec(parse("sub(%0, %1)"), (FLOAT, MapOperand("float32", dense=not repeated[3])), FLOAT)
    steps = {f"x1_{i}": 0 if repeated[i] else x1.strides[i] for i in range(3)}
    params = {"extent_1": shape[1], "extent_2": shape[2], "count": shape[3], "chunk": shape[3], "chunks": 1, **steps}
    params |= {f"{name}_{i}": a.strides[i] for name, a in (("x0", x0), ("y", y)) for i in range(3)}
    got = run_kernel(kernel, spec, machine, {"x0": x0, "x1": x1, "y": y}, params, shape[0] * shape[1])["y"]
    np.testing.assert_array_equal(got, x0 - x1)


def test_operations_of_halves_are_those_of_the_reference(tmp_path: Path) -> None:
    """To the bit, whether they are computed in float16 or in float32: numbers of all sizes, the largest and the
    subnormal ones, infinities, NaN; of vectors and of one number a row."""
    rng = np.random.default_rng(11)
    numbers = rng.integers(0, 2**16, (40, 24), np.uint16).view(np.float16)
    numbers[0, :6] = [np.inf, -np.inf, np.nan, 65504, -65504, 6e-8]
    near = (1 + rng.integers(-8, 8, (40, 24)) / 1024).astype(np.float16)
    others = {"mixed": rng.permutation(numbers, axis=0), "near": near, "column": numbers[:, :1], "row": numbers[:1]}
    inputs = {"a": numbers, **{name: np.ascontiguousarray(other) for name, other in others.items()}}
    values = {name: Value(name, TensorType(array.shape, "float16")) for name, array in inputs.items()}
    nodes = [
        Node("map", [values["a"], values[name]], [Value(f"{fn}_{name}", TensorType((40, 24), "float16"))], {"expr": e})
        for fn, e in ((fn, call(fn, In(0), In(1))) for fn in ("add", "sub", "mul"))
        for name in others
    ]
    graph = Graph("halves", [*values.values()], [node.output for node in nodes], nodes)
    expected = run_graph(graph, inputs)
    for variant in ("fullfp16", "fullfp16_inorder", "base"):
        found = run(graph, inputs, tmp_path, DOTPROD, 1, variant)
        for name, want in expected.items():
            np.testing.assert_array_equal(found[name], want, err_msg=f"{name}, variant {variant}")
