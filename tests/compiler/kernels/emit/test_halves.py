"""float16: convolutions and products, from lowering to the machine, against the numpy references.

Where the core computes in float16, each product and what follows it have at most `roundings` + 3 roundings, those of
an activation (up to 6) not counted, each by 2^-11 of a partial sum, which the sum of absolute products bounds;
elsewhere they are those of float32, and only the result is rounded to float16.
"""

import re
from math import prod
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgec.compiler.codegen.kernels import compile_kernels
from edgec.compiler.ir.expr import Expr, In, call, sigmoid
from edgec.compiler.ir.expr_text import to_text
from edgec.compiler.ir.graph import Array, Graph, Node, Value, constant
from edgec.compiler.ir.types import TensorType
from edgec.compiler.kernels.convolutions import conv
from edgec.compiler.kernels.convolutions.activation import is_simple
from edgec.compiler.kernels.convolutions.conv import ConvSpec
from edgec.compiler.kernels.spec import Kernel
from edgec.compiler.ops.reference import run_graph, run_node
from edgec.compiler.quantize import use_halves
from edgec.targets.registry import find
from edgec.tests.compiler.kernels.assembly import assembly
from edgec.tests.compiler.kernels.convolutions.contractions import Case, graph_of
from edgec.tests.compiler.kernels.convolutions.test_conv import STRATEGIES, Devices, examples
from edgec.tests.compiler.kernels.convolutions.test_depthwise import depthwise
from edgec.tests.compiler.lower.running import BASE, DOTPROD, HOST, run

HALF, FLOAT = 2.0**-11, 2.0**-24
"""Half a unit in the last place of 1."""

ACTIVATION = 6
"""Roundings of an activation that is computed in float16."""

SMALLEST = 2.0**-24
"""Of float16."""

SLOPE = 1.5
"""The most that an activation of these tests multiplies an error with: hard_swish."""

few, one = settings(examples, max_examples=3), settings(examples, max_examples=3)

ALL = {**STRATEGIES, "depthwise": depthwise()}
on_ops = pytest.mark.parametrize("op", ALL)


def bounds(graph: Graph, inputs: dict[str, Array], precision: float) -> dict[str, Array]:
    """What the outputs of a graph of cases, before it is one of halves, may differ by where sums have `precision`."""
    found = {}
    for node in graph.nodes:
        x, w, *rest = (np.abs(inputs[v.name] if v.data is None else v.data) for v in node.inputs)
        attrs = {k: v for k, v in node.attrs.items() if "activation" not in k}
        bare = Node(node.op, node.inputs[:3], [Value("size", node.output.type)], attrs)
        size = run_node(bare, [x, w, *rest[:1]])[0] + (rest[1] if len(rest) > 1 else 0.0)
        least = SMALLEST if precision == HALF else 0.0
        found[node.output.name] = SLOPE * (roundings(_products(node)) + 3 + ACTIVATION) * (precision * size + least)
    return found


def roundings(products: int) -> int:
    """Of a product on its way through a sum of so many: those of its block, and one a block."""
    return min(products, 40 + products // 25)


def _products(node: Node) -> int:
    """Products of a sum."""
    x, w = (v.type.shape for v in node.inputs[:2])
    if node.op == "matmul":
        return x[-1]
    groups = node.attrs["groups"] if node.op == "conv_transpose2d" else 1
    assert isinstance(groups, int)
    return prod(w[2:]) * (w[1] if node.op == "conv2d" else w[0] // groups)


def check_cases(cases: list[Case], folder: Path, devices: Devices, threads: int = 1) -> None:
    graph, inputs = graph_of(cases, int8=False)
    allowed = {device: bounds(graph, inputs, HALF if device == DOTPROD else FLOAT) for device, _ in devices}
    use_halves(graph)
    expected = run_graph(graph, inputs)
    for device, variant in devices:
        for name, y in run(graph, inputs, folder, device, threads, variant).items():
            want = expected[name]
            bound = allowed[device][name] + 2 * HALF * np.abs(want) + SMALLEST
            assert (np.abs(y - want) <= bound).all(), f"{name} on {device}, variant {variant}"


@on_ops
@few
@given(data=st.data())
def test_host(op: str, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    cases = data.draw(st.lists(ALL[op], min_size=4, max_size=6))
    check_cases(cases, tmp_path_factory.mktemp("b"), ((HOST, None),), data.draw(st.integers(1, 4)))


@on_ops
@one
@given(data=st.data())
def test_arm64(op: str, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    cases = data.draw(st.lists(ALL[op], min_size=6, max_size=6))
    devices = ((BASE, None), (DOTPROD, None), (DOTPROD, "fullfp16_inorder"))
    check_cases(cases, tmp_path_factory.mktemp("b"), devices, 2)


@pytest.mark.parametrize("variant", [None, "fullfp16_inorder"])
@pytest.mark.parametrize("rows", [1, 9], ids=["row", "rows"])
@pytest.mark.parametrize("depth", [64, 65, 500, 4608])
def test_long_sums_keep_what_is_small(depth: int, rows: int, variant: str | None, tmp_path: Path) -> None:
    """Sums of products of one sign, which float16 would stop adding to: 0.1 is lost next to 256."""
    rng = np.random.default_rng(depth)
    x = Value("x", TensorType((rows, depth), "float32"))
    w = constant("w", rng.uniform(0.5, 1, (depth, 32)).astype(np.float32))
    node = Node("matmul", [x, w], [Value("y", TensorType((rows, 32), "float32"))], {"activation": None}, "product")
    graph = use_halves(Graph("deep", [x], [node.output], [node]))
    inputs = {"x": rng.uniform(0.05, 0.15, (rows, depth)).astype(np.float32)}
    (expected,) = run_graph(graph, inputs).values()
    (found,) = run(graph, inputs, tmp_path, DOTPROD, 1, variant).values()
    assert (np.abs(found - expected) <= (roundings(depth) + 4) * HALF * expected).all()


@pytest.mark.parametrize("variant", [None, "fullfp16_inorder"])
@pytest.mark.parametrize("activation", [call("mul", In(0), sigmoid(In(0))), call("gelu", In(0))], ids=to_text)
def test_functions_of_all_halves(activation: Expr, variant: str | None, tmp_path: Path) -> None:
    """Of sums of one product, in float16; next to nothing is left far below 0."""
    assert is_simple(activation)
    halves = np.arange(0x7C00, dtype=np.uint16).view(np.float16).astype(np.float32)
    rows = np.concatenate([-halves, halves])[:, None]
    x = Value("x", TensorType(rows.shape, "float32"))
    w = constant("w", np.ones((1, 16), np.float32))
    y = Value("y", TensorType((len(rows), 16), "float32"))
    graph = use_halves(Graph("ones", [x], [y], [Node("matmul", [x, w], [y], {"activation": activation}, "product")]))
    (expected,) = run_graph(graph, {"x": rows}).values()
    (found,) = run(graph, {"x": rows}, tmp_path, DOTPROD, 1, variant).values()
    assert (np.abs(found - expected) <= 4 * HALF * np.abs(rows) + HALF * np.abs(expected) + SMALLEST).all()
    assert np.isfinite(found).all() and (np.abs(found[rows[:, 0] < -10]) < 2e-3).all()


def test_registers_do_for_functions(tmp_path: Path) -> None:
    """Of a tile of 8 x 16, whose rows are finished one by one: it stores results and totals, and little else, and
    copies next to nothing."""
    spec = ConvSpec(
        dtype="float16", tile_rows=64, paired=True, pointwise=True, whole=True, activation=call("gelu", In(0))
    )
    compiled = compile_kernels([Kernel(conv.__name__, spec)], find("arm64-neon").for_halves(), tmp_path)
    lines = assembly(compiled[spec.symbol, "fullfp16"].code)
    stored = sum(1 + line.startswith("stp") for line in lines if re.match(r"st[rp] q", line))
    assert stored <= 16 + 16 + 6
    assert sum(line.startswith("mov v") for line in lines) < 10
