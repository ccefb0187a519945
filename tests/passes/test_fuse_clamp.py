from collections.abc import Callable

import pytest

from edgec.compiler.ir.graph import Graph
from edgec.passes import fuse_clamp


def test_clamps_join_the_epilogue(golden: Callable[..., Graph]) -> None:
    golden(
        fuse_clamp.run,
        """
        graph @g(%x: float32[1,4,5,5], %m: float32[3,4]) -> (%y, %z) {
          const %w: float32[6,4,3,3] = @w
          const %v: float32[4,6] = @v
          %t: float32[1,6,3,3] = conv2d(%x, %w)
          %u: float32[1,6,3,3] = map(%t) {expr=max(%0, 0.0)}
          %y: float32[1,6,3,3] = map(%u) {expr=min(%0, 6.0)}
          %s: float32[3,6] = matmul(%m, %v)
          %z: float32[3,6] = map(%s) {expr=min(max(%0, -1.0), 1.0)}
        }
        """,
        """
        graph @g(%x: float32[1,4,5,5], %m: float32[3,4]) -> (%y, %z) {
          const %w: float32[6,4,3,3] = @w
          const %v: float32[4,6] = @v
          %y: float32[1,6,3,3] = conv2d(%x, %w) {activation=min(max(%0, 0.0), 6.0)}
          %z: float32[3,6] = matmul(%m, %v) {activation=min(max(%0, -1.0), 1.0)}
        }
        """,
    )


def test_quantized_when_nothing_is_rounded_in_between(golden: Callable[..., Graph]) -> None:
    golden(
        fuse_clamp.run,
        """
        graph @g(%x: int8[1,4,5,5] q(0.1, 3)) -> (%y) {
          const %w: int8[6,4,3,3] q(0.01, 0) = @w
          %t: int8[1,6,3,3] q(0.05, -7) = conv2d(%x, %w)
          %y: int8[1,6,3,3] q(0.05, -7) = map(%t) {expr=max(%0, 0.0)}
        }
        """,
        """
        graph @g(%x: int8[1,4,5,5] q(0.1, 3)) -> (%y) {
          const %w: int8[6,4,3,3] q(0.01, 0) = @w
          %y: int8[1,6,3,3] q(0.05, -7) = conv2d(%x, %w) {activation=max(%0, 0.0)}
        }
        """,
    )


LEAVES_ALONE = {
    "not a clamp": """
        graph @g(%x: float32[3,4]) -> (%y) {
          const %w: float32[4,6] = @w
          %t: float32[3,6] = matmul(%x, %w)
          %y: float32[3,6] = map(%t) {expr=tanh(%0)}
        }""",
    "two roundings": """
        graph @g(%x: int8[3,4] q(0.1, 3)) -> (%y) {
          const %w: int8[4,6] q(0.01, 0) = @w
          %t: int8[3,6] q(0.1, 0) = matmul(%x, %w)
          %y: int8[3,6] q(0.05, -128) = map(%t) {expr=max(%0, 0.0)}
        }""",
    "sums of int8 products": """
        graph @g(%x: int8[3,4]) -> (%y) {
          const %w: int8[4,6] = @w
          %t: int32[3,6] = matmul(%x, %w)
          %y: int32[3,6] = map(%t) {expr=max(%0, 0)}
        }""",
    "the graph gives the value out": """
        graph @g(%x: float32[3,4]) -> (%y, %t) {
          const %w: float32[4,6] = @w
          %t: float32[3,6] = matmul(%x, %w)
          %y: float32[3,6] = map(%t) {expr=max(%0, 0.0)}
        }""",
}


@pytest.mark.parametrize("why", LEAVES_ALONE)
def test_leaves_alone(golden: Callable[..., Graph], why: str) -> None:
    golden(fuse_clamp.run, LEAVES_ALONE[why], LEAVES_ALONE[why])
