"""Products of float32 rows and int8 weights as programs: the reference's bytes on every machine."""

from pathlib import Path

import numpy as np
import pytest

import edgec.compiler.ops  # noqa: F401  (fills the op registry)
from edgec.compiler.ir.expr import Expr, In, call, relu
from edgec.compiler.ir.graph import Attr, Graph, Node, Value, constant
from edgec.compiler.ir.registry import lookup
from edgec.compiler.ir.types import Quant, TensorType
from edgec.compiler.lower.lower import lower
from edgec.compiler.ops.reference import run_graph
from edgec.targets.registry import find
from edgec.tests.compiler.lower.running import BASE, DOTPROD, HOST, IN_ORDER, MATRIX, run

CASES: list[tuple[tuple[int, ...], tuple[int, ...], Expr | None, bool]] = [
    ((1, 50), (50, 40), None, False),
    ((13, 64), (64, 40), relu(In(0)), True),
    ((41, 19), (19, 3), None, True),
    ((2, 9, 3), (3, 17), call("tanh", In(0)), False),
    ((2, 1, 5, 33), (3, 33, 24), None, True),
    ((37, 128), (128, 64), call("erf", In(0)), True),
    ((9, 64), (64, 48), call("atan", call("exp", call("sin", In(0)))), True),
]
"""Data, weights, activation, and whether there is a bias and a residual."""


def graph_of(cases: list[tuple[tuple[int, ...], tuple[int, ...], Expr | None, bool]]) -> Graph:
    rng, graph = np.random.default_rng(1), Graph("g", [], [])
    for number, (x, w, activation, residual) in enumerate(cases):
        data = Value(f"x{number}", TensorType(x, "float32"))
        scales = tuple(float(s) for s in rng.uniform(0.001, 0.1, w[-1]).astype(np.float32))
        weights = rng.integers(-127, 128, w).astype(np.int8)
        inputs = [data, constant(f"w{number}", weights, Quant(scales, (0,) * w[-1], len(w) - 1))]
        if residual:
            batch = np.broadcast_shapes(x[:-2], w[:-2])
            bias = constant(f"b{number}", rng.normal(size=w[-1]).astype(np.float32))
            inputs += [bias, Value(f"r{number}", TensorType((*batch, x[-2], w[-1]), "float32"))]
        attrs: dict[str, Attr] = {} if activation is None else {"activation": activation}
        node = Node("matmul", inputs, [Value(f"y{number}", data.type)], attrs, f"n{number}")
        (node.output.type,) = lookup("matmul").infer(node)
        graph.inputs += [v for v in inputs if not v.is_const]
        graph.outputs.append(node.output)
        graph.nodes.append(node)
    return graph


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(
    ("device", "variant"), [(HOST, None), (BASE, None), (DOTPROD, None), (DOTPROD, IN_ORDER), (MATRIX, None)]
)
def test_bytes(device: str, variant: str | None, threads: int, tmp_path: Path) -> None:
    graph = graph_of(CASES)
    rng = np.random.default_rng(0)
    feeds = {v.name: rng.normal(size=v.type.shape).astype(np.float32) for v in graph.inputs}
    feeds["x1"] *= np.logspace(-30, 30, 13, dtype=np.float32)[:, None]  # rows of very different sizes
    check(graph, feeds, device, threads, tmp_path, variant)


@pytest.mark.parametrize("device", [HOST, BASE, DOTPROD])
def test_rows_that_have_no_codes(device: str, tmp_path: Path) -> None:
    graph = graph_of(CASES[1:3])
    feeds = {v.name: np.ones(v.type.shape, np.float32) for v in graph.inputs}
    for name in ("x0", "x1"):
        feeds[name][0] = 0.0
        feeds[name][1] = 2.0**-101
        feeds[name][2, 1] = np.inf
        feeds[name][3, 2] = np.nan
        feeds[name][4, 0] = np.finfo(np.float32).max
        feeds[name][5, 0] = np.finfo(np.float32).smallest_subnormal
    check(graph, feeds, device, 1, tmp_path)


@pytest.mark.parametrize("device", [BASE, DOTPROD, MATRIX])
@pytest.mark.parametrize(("more", "form"), [(6, "offset"), (7, "float")])
def test_sums_that_are_floats_as_they_are(more: int, form: str, device: str, tmp_path: Path) -> None:
    """As long as they stay below 2^22: 127 * (260 * 127 + 6) does."""
    graph = graph_of([((16, 264), (264, 16), None, False)])
    weights = np.zeros((264, 16), np.int8)
    weights[:260], weights[260] = 127, more
    weights[:, 1::2] *= -1
    value = graph.nodes[0].inputs[1]
    graph.nodes[0].inputs[1] = constant("w", weights, value.type.quant)
    assert f"scaled_{form}" in lower(graph, find("arm64-neon")).plan.steps[-1].kernel
    signs = np.where(np.arange(16) % 3, np.float32(1), np.float32(-1))
    check(graph, {"x0": np.ones((16, 264), np.float32) * signs[:, None]}, device, 1, tmp_path)


@pytest.mark.parametrize("device", [HOST, BASE, DOTPROD])
def test_rows_in_another_order(device: str, tmp_path: Path) -> None:
    graph = graph_of([((3, 4, 7, 33), (33, 24), None, False)])
    for node in graph.nodes:
        node.attrs["x_perm"] = (0, 2, 1, 3)
        (node.output.type,) = lookup("matmul").infer(node)
    rng = np.random.default_rng(0)
    check(
        graph, {v.name: rng.normal(size=v.type.shape).astype(np.float32) for v in graph.inputs}, device, 1, tmp_path
    )  # fmt: skip


def check(
    graph: Graph, feeds: dict[str, np.ndarray], device: str, threads: int, folder: Path, variant: str | None = None
) -> None:
    found = run(graph, feeds, folder, device, threads, variant)
    for name, expected in run_graph(graph, feeds).items():
        np.testing.assert_array_equal(np.isnan(found[name]), np.isnan(expected), err_msg=name)
        same = np.where(np.isnan(expected), np.float32(0), found[name]).view(np.int32)
        np.testing.assert_array_equal(same, np.where(np.isnan(expected), np.float32(0), expected).view(np.int32))


def test_a_product_is_close_to_that_of_floats() -> None:
    """Errors of an element are at most half a step of the row's and the column's codes times what they meet."""
    rng = np.random.default_rng(3)
    x, w = (rng.normal(size=shape).astype(np.float32) for shape in ((8, 256), (256, 16)))
    scales = (np.abs(w).max(0) / np.float32(127)).astype(np.float32)
    codes = np.rint(w / scales).astype(np.int8)
    data = Value("x", TensorType(x.shape, "float32"))
    weights = constant("w", codes, Quant(tuple(map(float, scales)), (0,) * 16, 1))
    node = Node("matmul", [data, weights], [Value("y", TensorType((8, 16), "float32"))], {}, "n")
    graph = Graph("g", [data], [node.output], [node])
    exact = x.astype(np.float64) @ (codes * scales.astype(np.float64))
    step = np.abs(x).max(1, keepdims=True) / 127
    bound = step / 2 * np.abs(codes * scales).sum(0) * 1.0001
    assert (np.abs(run_graph(graph, {"x": x})["y"] - exact) <= bound).all()
