"""Softmax, normalizations and sums of rows of floats as programs: the reference's bytes on every machine."""

from pathlib import Path

import numpy as np
import pytest

import edgec.compiler.ops  # noqa: F401  (fills the op registry)
from edgec.compiler.ir.parser import parse_graph
from edgec.compiler.lower.lower import lower
from edgec.compiler.ops.reference import run_graph
from edgec.targets.arm64 import ARM64_NEON
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


HALVES = """
graph @g(%s: float16[7, 65], %l: float16[3, 520]) -> (%a, %b, %c, %d, %e, %f) {
  const %g: float32[65] = @g
  const %h: float32[520] = @h
  %a: float16[7, 65] = softmax(%s) {axis=1}
  %b: float16[7, 65] = normalize(%s, %g, %g) {axis=1}
  %c: float16[7, 65] = normalize(%s, %g) {axis=1, rms=True}
  %d: float16[3, 520] = softmax(%l) {axis=1}
  %e: float16[3, 520] = normalize(%l, %h, %h) {axis=1}
  %f: float16[3, 520] = normalize(%l) {axis=1, rms=True}
}
"""
"""Rows that are short and some that are not."""


@pytest.mark.parametrize("variant", ["fullfp16", "fullfp16_inorder", "base"])
def test_bytes_of_halves(variant: str, tmp_path: Path) -> None:
    """Also of rows with the largest numbers, infinities and NaN, and of results beyond the largest."""
    rng = np.random.default_rng(1)
    graph = parse_graph(HALVES, {n: (3e4 * rng.normal(size=k)).astype(np.float32) for n, k in (("g", 65), ("h", 520))})
    feeds = {v.name: (5 * rng.normal(size=v.type.shape)).astype(np.float16) for v in graph.inputs}
    feeds["s"][:4, 2] = np.inf, -np.inf, np.nan, 65504
    feeds["s"][4] = -65504
    found = run(graph, feeds, tmp_path, DOTPROD, variant=variant)
    with np.errstate(invalid="ignore"):
        expected = run_graph(graph, feeds)
    for name, want in expected.items():
        np.testing.assert_array_equal(found[name], want, err_msg=name)


def test_what_is_computed_of_short_rows_of_halves_is_kept() -> None:
    graph = parse_graph(HALVES, {"g": np.ones(65, np.float32), "h": np.ones(520, np.float32)})
    kernels = [step.kernel for step in lower(graph, ARM64_NEON.for_halves()).plan.steps]
    assert [name for name in kernels if "short" in name] == [
        "f16_softmax_short",
        "f16_norm_sb_short",
        "f16_rms_s_short",
    ]
