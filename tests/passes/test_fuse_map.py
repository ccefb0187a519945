from collections.abc import Callable

import pytest

from edgec.compiler.ir.graph import Graph
from edgec.passes import fuse_map


def test_addition_and_its_activation(golden: Callable[..., Graph]) -> None:
    golden(
        fuse_map.run,
        """
        graph @g(%x: float32[2,3], %z: float32[2,3]) -> (%y) {
          %a: float32[2,3] = map(%x, %z) {expr=add(%0, %1)}
          %b: float32[2,3] = map(%a) {expr=max(%0, 0.0)}
          %y: float32[2,3] = map(%z, %b) {expr=sub(%0, %1)}
        }
        """,
        """
        graph @g(%x: float32[2,3], %z: float32[2,3]) -> (%y) {
          %y: float32[2,3] = map(%z, %x) {expr=sub(%0, max(add(%1, %0), 0.0))}
        }
        """,
    )


LEAVES_ALONE = {
    "a small operand would be computed again for each element": """
        graph @g(%x: float32[2,3], %z: float32[3]) -> (%y) {
          %a: float32[3] = map(%z) {expr=exp(%0)}
          %y: float32[2,3] = map(%x, %a) {expr=mul(%0, %1)}
        }""",
    "several readers": """
        graph @g(%x: float32[2,3], %z: float32[2,1]) -> (%y, %v) {
          %a: float32[2,3] = map(%x) {expr=exp(%0)}
          %y: float32[2,3] = map(%a, %z) {expr=mul(%0, %1)}
          %v: float32[2,3] = map(%a, %z) {expr=add(%0, %1)}
        }""",
    "a rounding to int8 in between": """
        graph @g(%x: int8[2,3] q(0.1, 3)) -> (%y) {
          %a: int8[2,3] q(0.2, 0) = map(%x) {expr=exp(%0)}
          %y: int8[2,3] q(0.1, 0) = map(%a) {expr=neg(%0)}
        }""",
    "a literal would lose the shape": """
        graph @g(%x: float32[3]) -> (%y) {
          const %c: float32[1,1] = @c
          %y: float32[1,3] = map(%x, %c) {expr=add(%0, %1)}
        }""",
}


@pytest.mark.parametrize("why", LEAVES_ALONE)
def test_leaves_alone(golden: Callable[..., Graph], why: str) -> None:
    golden(fuse_map.run, LEAVES_ALONE[why], LEAVES_ALONE[why])
