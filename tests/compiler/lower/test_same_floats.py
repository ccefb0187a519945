"""Sums of floats as programs: the same bytes on every machine, though most references add in another order."""

from pathlib import Path

import numpy as np
import pytest

import edgec.compiler.ops  # noqa: F401  (fills the op registry)
from edgec.compiler.ir.graph import Graph
from edgec.compiler.ir.parser import parse_graph
from edgec.compiler.ops.reference import run_graph
from edgec.tests.compiler.lower.running import BASE, DOTPROD, HOST, run

GRAPH = """
graph @g(%x: float32[2, 9, 11, 37], %p: float32[1, 9, 11, 22], %r: float32[3, 4])
    -> (%a, %b, %c, %d, %e, %f, %g, %h, %i, %j, %k, %l, %m, %n, %o) {
  const %s: float32[37] = @s
  const %w: float32[12, 22, 3, 3] = @w
  const %v: float32[22, 1, 3, 3] = @v
  const %u: float32[22, 6, 2, 2] = @u
  const %q: int64[3] = [0, 0, 0]
  %a: float32[2, 9, 11, 1] = reduce(%x) {kind="sum", axes=(3,)}
  %b: float32[2, 9, 11, 1] = reduce(%x) {kind="l2", axes=(3,)}
  %c: float32[2, 9, 1, 37] = reduce(%x) {kind="sum_square", axes=(2,)}
  %d: float32[2, 1, 1, 37] = reduce(%x) {kind="mean", axes=(1, 2)}
  %e: float32[1, 9, 1, 37] = reduce(%x) {kind="l1", axes=(0, 2)}
  %f: float32[2, 9, 11, 37] = normalize(%x, %s, %s) {axis=3}
  %g: float32[2, 9, 11, 37] = normalize(%x, %s) {axis=3, rms=True}
  %h: float32[2, 9, 11, 37] = softmax(%x) {axis=3}
  %i: float32[2, 9, 11, 37] = softmax(%x) {axis=2, log=True}
  %j: float32[1, 9, 11, 22] = lrn(%p) {size=5, alpha=0.3, beta=0.75, bias=1.1, layout="NHWC"}
  %k: float32[1, 20, 17, 22] = resize(%p) {mode="linear", sizes=(20, 17), scales=(2.2222223, 1.5454545), layout="NHWC"}
  %l: float32[3, 2, 2, 22] = roi_align(%p, %r, %q) {sizes=(2, 2), mode="avg", samples=2, scale=1.0, layout="NHWC"}
  %m: float32[1, 5, 6, 12] = conv2d(%p, %w) {strides=(2, 2), pads=(1, 1, 1, 1), layout="NHWC"}
  %n: float32[1, 9, 11, 22] = conv2d(%p, %v) {groups=22, pads=(1, 1, 1, 1), layout="NHWC", activation=tanh(%0)}
  %o: float32[1, 18, 22, 6] = conv_transpose2d(%p, %u) {strides=(2, 2), layout="NHWC"}
}
"""


@pytest.fixture(scope="module")
def graph() -> Graph:
    rng, shapes = np.random.default_rng(0), {"s": (37,), "w": (12, 22, 3, 3), "v": (22, 1, 3, 3), "u": (22, 6, 2, 2)}
    return parse_graph(GRAPH, {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()})


@pytest.mark.parametrize("device", [BASE, DOTPROD])
def test_bytes(graph: Graph, device: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    feeds = {v.name: rng.normal(size=v.type.shape).astype(np.float32) for v in graph.inputs}
    feeds["r"] = np.array([[0, 0, 5, 5], [1.5, 2.25, 9, 7], [3, 1, 4.5, 8]], np.float32)
    expected, here, there = run_graph(graph, feeds), *(run(graph, feeds, tmp_path, d) for d in (HOST, device))
    for name, found in there.items():
        np.testing.assert_array_equal(found.view(np.int32), here[name].view(np.int32), err_msg=name)
        bound = 1e-5 * float(np.ptp(expected[name]))
        np.testing.assert_allclose(found, expected[name], rtol=0, atol=bound, err_msg=name)


ZEROS = """
graph @g(%p: float32[1, 4, 5, 22]) -> (%a, %b, %c, %d) {
  const %w: float32[12, 22, 3, 3] = @w
  const %v: float32[22, 1, 3, 3] = @v
  const %s: float32[12] = @s
  const %t: float32[22] = @t
  %a: float32[1, 2, 3, 12] = conv2d(%p, %w, %s) {layout="NHWC", activation=max(%0, 0.0)}
  %b: float32[1, 2, 3, 22] = conv2d(%p, %v, %t) {groups=22, layout="NHWC", activation=min(max(%0, 0.0), 6.0)}
  %c: float32[1, 2, 3, 12] = conv2d(%p, %w, %s) {layout="NHWC", activation=max(mul(%0, -1.0), 0.0)}
  %d: float32[1, 2, 3, 12] = conv2d(%p, %w, %s) {layout="NHWC", activation=max(add(mul(%0, -1.0), -0.0), 0.0)}
}
"""


@pytest.mark.parametrize("device", [HOST, BASE, DOTPROD])
def test_zeros_have_the_same_sign(device: str, tmp_path: Path) -> None:
    """Whatever machines think of the larger one of two zeros: sums have no sign, products do."""
    rng = np.random.default_rng(2)
    data = {name: -rng.uniform(size=shape) for name, shape in {"w": (12, 22, 3, 3), "v": (22, 1, 3, 3)}.items()}
    data |= {"s": np.full(12, -0.0), "t": np.full(22, -0.0)}
    graph = parse_graph(ZEROS, {name: array.astype(np.float32) for name, array in data.items()})
    for name, found in run(graph, {"p": np.zeros((1, 4, 5, 22), np.float32)}, tmp_path, device).items():
        assert (np.signbit(found) == (name in "cd")).all() and not found.any(), name


FUNCTIONS = """
graph @g(%p: float32[1, 13, 12, 16]) -> (%a, %b) {{
  const %w: float32[32, 16, 1, 1] = @w
  const %v: float32[32, 16, 3, 3] = @v
  %a: float32[1, 13, 12, 32] = conv2d(%p, %w) {{layout="NHWC", activation={function}(%0)}}
  %b: float32[1, 13, 12, 32] = conv2d(%p, %v) {{pads=(1, 1, 1, 1), layout="NHWC", activation={function}(%0)}}
}}
"""


@pytest.mark.parametrize("device", [BASE, DOTPROD, "qemu:max"])
@pytest.mark.parametrize("function", ["gelu", "sigmoid", "atan", "log"])
def test_functions_of_sums(function: str, device: str, tmp_path: Path) -> None:
    """In tiles of matrices and of Winograd; the literals of log are infinities and NaN too."""
    rng = np.random.default_rng(3)
    shapes = {"w": (32, 16, 1, 1), "v": (32, 16, 3, 3)}
    data = {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    graph = parse_graph(FUNCTIONS.format(function=function), data)
    feeds = {"p": rng.normal(scale=10.0, size=(1, 13, 12, 16)).astype(np.float32)}
    feeds["p"][0, 0] = 0.0
    here, there = run(graph, feeds, tmp_path, HOST), run(graph, feeds, tmp_path, device)
    for name, found in there.items():
        np.testing.assert_array_equal(np.isnan(found), np.isnan(here[name]), err_msg=name)
        numbers = ~np.isnan(found)
        assert numbers.mean() > 0.4
        np.testing.assert_array_equal(found[numbers].view(np.int32), here[name][numbers].view(np.int32), err_msg=name)
