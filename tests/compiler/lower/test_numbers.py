"""Activations and maps that differ in numbers alone: parameters of one kernel."""

from pathlib import Path

import numpy as np
import pytest

import edgec.compiler.ops  # noqa: F401  (fills the op registry)
from edgec.compiler.ir.parser import parse_graph
from edgec.compiler.lower.lower import lower
from edgec.targets.registry import find
from edgec.tests.compiler.lower.running import BASE, DOTPROD, HOST, check

GRAPH = """
graph @g(%x: float32[1, 5, 7, 16]) -> (%a, %b, %c, %d, %e, %f) {
  const %w: float32[24, 16, 1, 1] = @w
  const %v: float32[16, 1, 3, 3] = @v
  %a: float32[1, 5, 7, 24] = conv2d(%x, %w) {layout="NHWC", activation=add(mul(max(%0, 0.0), 0.7), 0.1)}
  %b: float32[1, 5, 7, 24] = conv2d(%x, %w) {layout="NHWC", activation=add(mul(max(%0, 0.0), -1.3), 2.5)}
  %c: float32[1, 3, 5, 16] = conv2d(%x, %v) {groups=16, layout="NHWC", activation=mul(0.3, sub(%0, 1.5))}
  %d: float32[1, 3, 5, 16] = conv2d(%x, %v) {groups=16, layout="NHWC", activation=mul(0.6, sub(%0, 0.5))}
  %e: float32[1, 5, 7, 16] = map(%x) {expr=tanh(add(mul(%0, 0.25), 1.5))}
  %f: float32[1, 5, 7, 16] = map(%x) {expr=tanh(add(mul(%0, 4.0), -0.5))}
}
"""


@pytest.mark.parametrize("device", [HOST, BASE, DOTPROD])
def test_one_kernel_for_all_numbers(device: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    shapes = {"w": (24, 16, 1, 1), "v": (16, 1, 3, 3)}
    graph = parse_graph(GRAPH, {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()})
    lowered = lower(graph, find("arm64-neon"))
    assert sorted(symbol.split("_")[1] for symbol in lowered.kernels if "act" in symbol or "map" in symbol) == [
        "dwconv", "f32", "gemm",
    ]  # fmt: skip
    check(graph, {"x": rng.normal(size=(1, 5, 7, 16)).astype(np.float32)}, tmp_path, device)


INTEGERS = """
graph @g(%x: float32[1, 5, 7, 16]) -> (%y) {
  const %w: float32[24, 16, 1, 1] = @w
  %y: float32[1, 5, 7, 24] = conv2d(%x, %w) {
      layout="NHWC", activation=cast<float32>(min(max(cast<int32>(mul(%0, 3.0)), -2), 5))}
}
"""


@pytest.mark.parametrize("device", [HOST, BASE])
def test_clamps_of_integers_in_an_activation(device: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    graph = parse_graph(INTEGERS, {"w": rng.normal(size=(24, 16, 1, 1)).astype(np.float32)})
    check(graph, {"x": rng.normal(size=(1, 5, 7, 16)).astype(np.float32)}, tmp_path, device)
