"""Room for scratch memory: what is in use where a node computes."""

import numpy as np

from edgec.compiler.ir.parser import parse_graph
from edgec.compiler.kernels.convolutions.gathered import scratch_bytes
from edgec.compiler.lower.lower import lower
from edgec.targets.registry import find

ROWS, WIDE, NARROW = 32, 1536, 256
GRAPH = f"""
graph @g(%x: float32[{ROWS}, {NARROW}]) -> (%y) {{
  const %v: float32[{NARROW}, {WIDE}] = @v
  const %w: int8[{WIDE}, {NARROW}] q(0.01, 0) = @w
  %h: float32[{ROWS}, {WIDE}] = matmul(%x, %v)
  %y: float32[{ROWS}, {NARROW}] = matmul(%h, %w)
}}
"""


def test_codes_of_rows_take_the_place_of_their_data() -> None:
    """Where these are multiplied: so there is room for copies of all rows."""
    rng = np.random.default_rng(0)
    v, w = rng.normal(size=(NARROW, WIDE)).astype(np.float32), rng.integers(-127, 128, (WIDE, NARROW)).astype(np.int8)
    plan = lower(parse_graph(GRAPH, {"v": v, "w": w}), find("arm64-neon")).plan
    (step,) = (step for step in plan.steps if "qs8_gemm" in step.kernel)
    assert step.scratch == scratch_bytes(ROWS // 8, WIDE, 8, 8)
    assert plan.arena_size <= 1.01 * ROWS * (4 * WIDE + WIDE)  # as the codes are made
