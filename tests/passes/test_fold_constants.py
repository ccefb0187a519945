from collections.abc import Callable

import numpy as np

from edgec.compiler.ir.graph import Graph
from edgec.compiler.ir.parser import parse_graph
from edgec.passes import fold_constants


def test_folds_what_depends_on_constants_alone(golden: Callable[..., Graph]) -> None:
    a = np.array([0.1, -3.0, 1e-30, 7.5], np.float32)
    graph = golden(
        fold_constants.run,
        """
        graph @g(%x: float32[1,4]) -> (%y) {
          const %a: float32[4] = @a
          %b: float32[1,4] = reshape(%a) {shape=(1,4)}
          %c: float32[1,4] = map(%b) {expr=mul(%0, 2.0)}
          %y: float32[1,4] = map(%x, %c) {expr=add(%0, %1)}
        }
        """,
        """
        graph @g(%x: float32[1,4]) -> (%y) {
          const %c: float32[1,4] = @c
          %y: float32[1,4] = map(%x, %c) {expr=add(%0, %1)}
        }
        """,
        {"a": a},
    )
    np.testing.assert_array_equal(graph.nodes[0].inputs[1].data, [2 * a])


def test_quantizes_constants_but_leaves_dequantized_ones(golden: Callable[..., Graph]) -> None:
    golden(
        fold_constants.run,
        """
        graph @g(%x: float32[1,4]) -> (%y) {
          const %a: float32[4] = @a
          %q: int8[4] q(0.5, 0) = map(%a) {expr=%0}
          %f: float32[4] = map(%q) {expr=%0}
          %y: float32[1,4] = map(%x, %f) {expr=add(%0, %1)}
        }
        """,
        """
        graph @g(%x: float32[1,4]) -> (%y) {
          const %q: int8[4] q(0.5, 0) = @q
          %f: float32[4] = map(%q) {expr=%0}
          %y: float32[1,4] = map(%x, %f) {expr=add(%0, %1)}
        }
        """,
    )


def test_does_not_blow_small_constants_up(golden: Callable[..., Graph]) -> None:
    text = """
        graph @g(%x: float32[1024,1024]) -> (%y) {
          const %a: float32[1] = @a
          %b: float32[1024,1024] = broadcast_to(%a) {shape=(1024,1024)}
          %y: float32[1024,1024] = map(%x, %b) {expr=add(%0, %1)}
        }
        """
    golden(fold_constants.run, text, text)


def test_value_of_a_folded_constant() -> None:
    graph = parse_graph(
        """graph @g(%x: float32[2]) -> (%y) {
          const %a: float32[2] = @a
          %c: float32[2] = map(%a) {expr=mul(%0, 2.0)}
          %y: float32[2] = map(%x, %c) {expr=add(%0, %1)}
        }""",
        {"a": np.array([1.5, -2.0], np.float32)},
    )
    assert fold_constants.run(graph)
    np.testing.assert_array_equal(graph.nodes[0].inputs[1].data, np.array([3.0, -4.0], np.float32))
