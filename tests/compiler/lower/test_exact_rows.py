"""Softmax, normalizations and sums of rows of floats as programs: the reference's bytes on every machine."""

from pathlib import Path

import numpy as np
import pytest

import edgec.compiler.ops  # noqa: F401  (fills the op registry)
from edgec.compiler.ir.parser import parse_graph
from edgec.compiler.ops.reference import run_graph
from edgec.tests.compiler.lower.running import BASE, DOTPROD, HOST, run

GRAPH = """
graph @g(%x: float32[2, 9, 11, 37], %w: float64[5, 21]) -> (%a, %b, %c, %d, %e, %f, %g, %h, %i, %j, %k, %l) {
  const %s: float32[37] = @s
  %a: float32[2, 9, 11, 37] = normalize(%x, %s, %s) {axis=3}
  %b: float32[2, 9, 11, 37] = normalize(%x, %s) {axis=3, rms=True}
  %c: float32[2, 9, 11, 37] = normalize(%x) {axis=1}
  %d: float32[2, 9, 11, 37] = softmax(%x) {axis=3}
  %e: float32[2, 9, 11, 37] = softmax(%x) {axis=1}
  %f: float32[2, 9, 11, 37] = softmax(%x) {axis=2, log=True}
  %h: float32[2, 9, 11, 1] = reduce(%x) {kind="sum", axes=(3,)}
  %i: float32[2, 9, 11] = reduce(%x) {kind="mean", axes=(3,), keepdims=False}
  %j: float32[2, 9, 11, 1] = reduce(%x) {kind="l1", axes=(3,)}
  %k: float32[2, 9, 11, 1] = reduce(%x) {kind="l2", axes=(3,)}
  %l: float64[5, 1] = reduce(%w) {kind="sum_square", axes=(1,)}
  %g: float64[5, 21] = normalize(%w) {axis=1, epsilon=1e-9}
}
"""


@pytest.mark.parametrize("device", [HOST, BASE, DOTPROD])
def test_bytes(device: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    graph = parse_graph(GRAPH, {"s": rng.normal(size=37).astype(np.float32)})
    feeds = {v.name: (20 * rng.normal(size=v.type.shape)).astype(v.type.dtype) for v in graph.inputs}
    feeds["x"][0, 0, 0] = 90 * np.sign(feeds["x"][0, 0, 0])  # powers of e that are no normal numbers
    found = run(graph, feeds, tmp_path, device)
    for name, expected in run_graph(graph, feeds).items():
        assert found[name].tobytes() == expected.tobytes(), name
