"""Maps with elementary functions as programs: the reference's bytes on every machine."""

from pathlib import Path

import numpy as np
import pytest

import edgec.compiler.ops  # noqa: F401  (fills the op registry)
from edgec.compiler.ir.parser import parse_graph
from edgec.compiler.ops.reference import run_graph
from edgec.tests.compiler.lower.running import BASE, DOTPROD, HOST, RISCV, run

GATES = """
graph @g(%x: int8[2000] q(0.031, 5), %y: int8[2000] q(0.017, -9), %f: float32[2000]) -> (%a, %b, %c, %d) {
  %a: int8[2000] q(0.011, 3) = map(%x, %y) {expr=mul(div(1.0, add(exp(neg(%0)), 1.0)), %1)}
  %b: int8[2000] q(0.02, -3) = map(%x, %f) {expr=add(tanh(%0), erf(%1))}
  %c: int8[2000] q(0.4, 0) = map(%x, %y) {expr=pow(abs(%0), mul(%1, 2.0))}
  %d: int8[2000] q(0.06, 1) = map(%f) {expr=mul(sin(%0), log(add(exp(%0), 1.0)))}
}
"""

MANY = """
graph @g(%x: int8[2000] q(0.031, 5), %y: float32[2000], %p: float32[1], %q: float32[1], %r: float32[1], %s: float32[1]) -> (%z) {
  %z: float32[2000] = map(%x, %y, %p, %q, %r, %s) {expr=add(mul(tanh(add(mul(mul(%0, %2), %3), %4)), %5), %1)}
}
"""  # noqa: E501
"""More inputs than a kernel takes: the last piece has no quantized operand."""

REAL = """
graph @g(%x: float32[2000], %y: float32[2000]) -> (%a, %b, %c) {
  %a: float32[2000] = map(%x, %y) {expr=add(mul(%0, %1), %0)}
  %b: float32[2000] = map(%x, %y) {expr=sub(mul(div(1.0, add(exp(neg(%0)), 1.0)), %1), tanh(%1))}
  %c: float32[2000] = map(%x) {expr=add(mul(where(lt(%0, 0.0), mul(sub(exp(%0), 1.0), 1.3), %0), 1.7), erf(%0))}
}
"""
"""Without quantized operands."""


@pytest.mark.parametrize("device", [HOST, BASE, DOTPROD, RISCV])
@pytest.mark.parametrize("text", [GATES, MANY, REAL], ids=["gates", "many", "real"])
def test_bytes(text: str, device: str, tmp_path: Path) -> None:
    rng, graph = np.random.default_rng(0), parse_graph(text)
    feeds = {
        v.name: rng.integers(-128, 128, v.type.shape).astype(np.int8)
        if v.type.quant
        else rng.normal(0, 2, v.type.shape).astype(np.float32)
        for v in graph.inputs
    }
    found = run(graph, feeds, tmp_path, device)
    for name, expected in run_graph(graph, feeds).items():
        np.testing.assert_array_equal(found[name].view(np.int8), expected.view(np.int8))
