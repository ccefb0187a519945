from collections.abc import Callable

from edgec.compiler.ir.graph import Graph
from edgec.passes import simplify


def test_operations_that_change_nothing(golden: Callable[..., Graph]) -> None:
    golden(
        simplify.run,
        """
        graph @g(%x: float32[1,4,5,5]) -> (%y) {
          %a: float32[1,4,5,5] = map(%x) {expr=%0}
          %b: float32[1,4,5,5] = reshape(%a) {shape=(1,4,5,5)}
          %c: float32[1,4,5,5] = transpose(%b) {perm=(0,1,2,3)}
          %d: float32[1,4,5,5] = slice(%c) {starts=(0,0,0,0), steps=(1,1,1,1)}
          %e: float32[1,4,5,5] = pad(%d) {pads=(0,0,0,0,0,0,0,0)}
          %f: float32[1,4,5,5] = concat(%e) {axis=1}
          %h: float32[1,4,5,5] = avg_pool2d(%f) {kernel=(1,1)}
          %i: float32[1,4,5,5] = max_pool2d(%h) {kernel=(1,1)}
          %j: float32[1,4,5,5] = broadcast_to(%i) {shape=(1,4,5,5)}
          %y: float32[1,4,5,5] = map(%j) {expr=neg(%0)}
        }
        """,
        """
        graph @g(%x: float32[1,4,5,5]) -> (%y) {
          %y: float32[1,4,5,5] = map(%x) {expr=neg(%0)}
        }
        """,
    )


def test_a_subsampling_pool_and_a_reversing_slice_do_change_something(golden: Callable[..., Graph]) -> None:
    text = """
        graph @g(%x: float32[1,4,5,5]) -> (%y) {
          %a: float32[1,4,5,5] = slice(%x) {starts=(0,3,0,0), steps=(1,-1,1,1)}
          %y: float32[1,4,3,3] = max_pool2d(%a) {kernel=(1,1), strides=(2,2)}
        }
        """
    golden(simplify.run, text, text)


def test_chains_become_one(golden: Callable[..., Graph]) -> None:
    golden(
        simplify.run,
        """
        graph @g(%x: float32[2,3,4]) -> (%y, %z, %v) {
          %a: float32[6,4] = reshape(%x) {shape=(6,4)}
          %y: float32[24] = reshape(%a) {shape=(24)}
          %b: float32[4,2,3] = transpose(%x) {perm=(2,0,1)}
          %z: float32[3,2,4] = transpose(%b) {perm=(2,1,0)}
          %c: float32[2,3,2] = slice(%x) {starts=(0,0,3), steps=(1,1,-2)}
          %v: float32[2,2,1] = slice(%c) {starts=(0,1,1), steps=(1,1,1)}
        }
        """,
        """
        graph @g(%x: float32[2,3,4]) -> (%y, %z, %v) {
          %y: float32[24] = reshape(%x) {shape=(24)}
          %z: float32[3,2,4] = transpose(%x) {perm=(1,0,2)}
          %v: float32[2,2,1] = slice(%x) {starts=(0,1,1), steps=(1,1,-2)}
        }
        """,
        cleanup=True,
    )


def test_what_moves_no_element_is_a_reshape(golden: Callable[..., Graph]) -> None:
    golden(
        simplify.run,
        """
        graph @g(%x: float32[2,1,4]) -> (%y, %z) {
          %y: float32[1,2,4] = transpose(%x) {perm=(1,0,2)}
          %z: float32[2,4] = reduce(%x) {kind="max", axes=(1), keepdims=False}
        }
        """,
        """
        graph @g(%x: float32[2,1,4]) -> (%y, %z) {
          %y: float32[1,2,4] = reshape(%x) {shape=(1,2,4)}
          %z: float32[2,4] = reshape(%x) {shape=(2,4)}
        }
        """,
    )


def test_an_output_keeps_its_name_and_an_input_is_copied_to_it(golden: Callable[..., Graph]) -> None:
    golden(
        simplify.run,
        """
        graph @g(%x: float32[4]) -> (%y, %z) {
          %t: float32[4] = map(%x) {expr=neg(%0)}
          %y: float32[4] = reshape(%t) {shape=(4)}
          %z: float32[4] = reshape(%x) {shape=(4)}
        }
        """,
        """
        graph @g(%x: float32[4]) -> (%y, %z) {
          %y: float32[4] = map(%x) {expr=neg(%0)}
          %z: float32[4] = reshape(%x) {shape=(4)}
        }
        """,
    )
