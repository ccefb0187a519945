from collections.abc import Callable

import numpy as np

from edgec.compiler.ir.graph import Graph
from edgec.passes import cse


def test_merges_equal_constants_and_equal_nodes(golden: Callable[..., Graph]) -> None:
    same = np.array([1.0, 2.0, 3.0, 4.0], np.float32)
    golden(
        cse.run,
        """
        graph @g(%x: float32[4]) -> (%y) {
          const %a: float32[4] = @a
          const %b: float32[4] = @b
          %p: float32[4] = map(%x, %a) {expr=add(%0, %1)}
          %q: float32[4] = map(%x, %b) {expr=add(%0, %1)}
          %y: float32[4] = map(%p, %q) {expr=mul(%0, %1)}
        }
        """,
        """
        graph @g(%x: float32[4]) -> (%y) {
          const %a: float32[4] = @a
          %p: float32[4] = map(%x, %a) {expr=add(%0, %1)}
          %y: float32[4] = map(%p, %p) {expr=mul(%0, %1)}
        }
        """,
        {"a": same, "b": same.copy()},
    )


def test_outputs_keep_their_names(golden: Callable[..., Graph]) -> None:
    golden(
        cse.run,
        """
        graph @g(%x: float32[4]) -> (%y, %z) {
          %t: float32[4] = map(%x) {expr=neg(%0)}
          %y: float32[4] = map(%x) {expr=neg(%0)}
          %z: float32[4] = map(%t) {expr=neg(%0)}
        }
        """,
        """
        graph @g(%x: float32[4]) -> (%y, %z) {
          %y: float32[4] = map(%x) {expr=neg(%0)}
          %z: float32[4] = map(%y) {expr=neg(%0)}
        }
        """,
    )


def test_tells_literals_apart_that_compare_equal(golden: Callable[..., Graph]) -> None:
    text = """
        graph @g(%x: float32[4]) -> (%y, %z) {
          %y: float32[4] = map(%x) {expr=div(1.0, mul(%0, 0.0))}
          %z: float32[4] = map(%x) {expr=div(1.0, mul(%0, -0.0))}
        }
        """
    golden(cse.run, text, text)
