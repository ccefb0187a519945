from collections.abc import Callable

from edgec.compiler.ir.graph import Graph
from edgec.passes import dce


def test_removes_chains_that_nobody_reads(golden: Callable[..., Graph]) -> None:
    golden(
        dce.run,
        """
        graph @g(%x: float32[4]) -> (%y) {
          %a: float32[4] = map(%x) {expr=neg(%0)}
          %b: float32[4] = map(%a) {expr=abs(%0)}
          %y: float32[4] = map(%x) {expr=exp(%0)}
        }
        """,
        """
        graph @g(%x: float32[4]) -> (%y) {
          %y: float32[4] = map(%x) {expr=exp(%0)}
        }
        """,
    )
