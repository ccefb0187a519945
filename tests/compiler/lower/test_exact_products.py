"""Products of float32 matrices as programs: the reference's bytes on every machine, with what follows the sums."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

import edgec.compiler.ops  # noqa: F401  (fills the op registry)
from edgec.compiler.ir.graph import Array, Graph, Node, Value
from edgec.compiler.ir.parser import parse_graph
from edgec.compiler.ir.registry import lookup
from edgec.compiler.ir.types import TensorType
from edgec.compiler.ops.reference import run_graph
from edgec.tests.compiler.lower.running import BASE, DOTPROD, HOST, RISCV, run

PRODUCTS = [
    ((1, 50), (50, 40)),
    ((1, 3), (3, 40)),
    ((13, 50), (50, 40)),
    ((13, 50), (50, 1)),
    ((5, 1, 31), (31, 24)),
    ((5, 1, 31), (5, 31, 24)),
    ((3, 4, 1, 31), (4, 31, 24)),
    ((2, 3, 9, 32), (1, 3, 32, 17)),
    ((43, 772), (772, 32)),
    ((12, 1284), (1284, 48)),
    ((17, 1540), (1540, 24)),
]
"""A row, rows, and batches of both: of one matrix for all, or of several; long rows, which are multiplied in parts."""


@pytest.mark.parametrize("device", [HOST, BASE, DOTPROD, RISCV])
def test_bytes(device: str, tmp_path: Path) -> None:
    inputs: list[Value] = []
    nodes: list[Node] = []
    for number, shapes in enumerate(PRODUCTS):
        pair = [Value(f"{name}{number}", TensorType(s, "float32")) for name, s in zip("xw", shapes, strict=True)]
        node = Node("matmul", pair, [Value(f"y{number}", pair[0].type)], {}, f"n{number}")
        (node.output.type,) = lookup("matmul").infer(node)
        inputs += pair
        nodes.append(node)
    check(Graph("g", inputs, [n.output for n in nodes], nodes), device, tmp_path)


@pytest.mark.parametrize("device", [HOST, BASE, DOTPROD, RISCV])
def test_bytes_of_an_epilogue(device: str, tmp_path: Path) -> None:
    text = """
graph @g(%x: float32[9, 33], %w: float32[33, 20], %r: float32[9, 20]) -> (%y) {
  const %b: float32[20] = @b
  %y: float32[9, 20] = matmul(%x, %w, %b, %r) {activation=mul(tanh(%0), 1.7), residual_activation=exp(mul(%0, 0.3))}
}
"""
    check(parse_graph(text, {"b": np.linspace(-1, 1, 20, dtype=np.float32)}), device, tmp_path)


@pytest.mark.parametrize("device", [HOST, BASE, DOTPROD])
def test_bytes_of_repeated_residuals(device: str, tmp_path: Path) -> None:
    """One for all rows, one for all matrices of a batch, and one of fewer columns than a block has."""
    text = """
graph @g(%x: float32[2,3,9,33], %w: float32[2,3,33,20], %v: float32[2,3,33,3], %r: float32[2,1,1,20],
         %s: float32[1,3,9,20], %t: float32[1,1,9,3]) -> (%y, %z, %u) {
  const %b: float32[20] = @b
  const %c: float32[3] = @c
  %y: float32[2,3,9,20] = matmul(%x, %w, %b, %r) {activation=mul(%0, 0.3)}
  %z: float32[2,3,9,20] = matmul(%x, %w, %b, %s) {residual_activation=tanh(%0)}
  %u: float32[2,3,9,3] = matmul(%x, %v, %c, %t)
}
"""
    data = {"b": np.linspace(-1, 1, 20, dtype=np.float32), "c": np.ones(3, np.float32)}
    check(parse_graph(text, data), device, tmp_path)


@pytest.mark.parametrize("device", [HOST, BASE, DOTPROD])
def test_bytes_of_zeros(device: str, tmp_path: Path) -> None:
    """A sum of zeros has no sign, whatever those of its products and of the bias are."""
    text = """
graph @g(%x: float32[9, 32], %w: float32[32, 16]) -> (%y, %z) {
  const %b: float32[16] = @b
  %y: float32[9, 16] = matmul(%x, %w, %b)
  %z: float32[9, 16] = matmul(%x, %w)
}
"""
    graph = parse_graph(text, {"b": np.array([0.0, -0.0] * 8, np.float32)})
    x = np.where(np.random.default_rng(0).random((9, 32)) < 0.5, np.float32(0.0), np.float32(-0.0))
    x[4] = 0.0
    w = np.tile(np.array([-1.0, 1.0, -1.0, -1.0], np.float32), (32, 4))
    same(run(graph, {"x": x, "w": w}, tmp_path, device), run_graph(graph, {"x": x, "w": w}))


@pytest.mark.parametrize("device", [HOST, BASE, DOTPROD])
def test_bytes_of_rows_in_another_order(device: str, tmp_path: Path) -> None:
    text = """
graph @g(%x: float32[2, 5, 4, 33], %w: float32[4, 33, 20], %v: float32[2, 4, 33, 1]) -> (%y, %z) {
  %y: float32[2, 4, 5, 20] = matmul(%x, %w) {x_perm=(0, 2, 1, 3)}
  %z: float32[2, 4, 5, 1] = matmul(%x, %v) {x_perm=(0, 2, 1, 3)}
}
"""
    check(parse_graph(text, {}), device, tmp_path)


def check(graph: Graph, device: str, folder: Path) -> None:
    rng = np.random.default_rng(0)
    feeds = {v.name: rng.normal(size=v.type.shape).astype(np.float32) for v in graph.inputs}
    same(run(graph, feeds, folder, device), run_graph(graph, feeds))


def same(found: Mapping[str, Array], want: Mapping[str, Array]) -> None:
    for name, expected in want.items():
        np.testing.assert_array_equal(found[name].view(np.int32), expected.view(np.int32), err_msg=name)
