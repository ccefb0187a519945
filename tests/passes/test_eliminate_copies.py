from collections.abc import Callable

from edgec.compiler.ir.graph import Graph
from edgec.passes import eliminate_copies


def test_concat_of_concat(golden: Callable[..., Graph]) -> None:
    golden(
        eliminate_copies.run,
        """
        graph @g(%x: float32[1,2], %z: float32[1,3]) -> (%y) {
          %a: float32[1,5] = concat(%x, %z) {axis=1}
          %b: float32[1,4] = concat(%x, %x) {axis=1}
          %y: float32[1,9] = concat(%a, %b) {axis=1}
        }
        """,
        """
        graph @g(%x: float32[1,2], %z: float32[1,3]) -> (%y) {
          %y: float32[1,9] = concat(%x, %z, %x, %x) {axis=1}
        }
        """,
    )


def test_slice_of_one_operand_of_a_concat(golden: Callable[..., Graph]) -> None:
    golden(
        eliminate_copies.run,
        """
        graph @g(%x: float32[1,2], %z: float32[1,4]) -> (%y, %v) {
          %a: float32[1,6] = concat(%x, %z) {axis=1}
          %y: float32[1,2] = slice(%a) {starts=(0,5), steps=(1,-2)}
          %v: float32[1,2] = slice(%a) {starts=(0,1), steps=(1,1)}
        }
        """,
        """
        graph @g(%x: float32[1,2], %z: float32[1,4]) -> (%y, %v) {
          %a: float32[1,6] = concat(%x, %z) {axis=1}
          %y: float32[1,2] = slice(%z) {starts=(0,3), steps=(1,-2)}
          %v: float32[1,2] = slice(%a) {starts=(0,1), steps=(1,1)}
        }
        """,
    )


def test_a_tensor_cut_in_pieces_and_put_together_again(golden: Callable[..., Graph]) -> None:
    golden(
        eliminate_copies.run,
        """
        graph @g(%x: float32[1,5]) -> (%y) {
          %a: float32[1,2] = slice(%x) {starts=(0,0), steps=(1,1)}
          %b: float32[1,3] = slice(%x) {starts=(0,2), steps=(1,1)}
          %c: float32[1,5] = concat(%a, %b) {axis=1}
          %d: float32[1,5] = concat(%b, %a) {axis=1}
          %y: float32[1,5] = map(%c, %d) {expr=sub(%0, %1)}
        }
        """,
        """
        graph @g(%x: float32[1,5]) -> (%y) {
          %a: float32[1,2] = slice(%x) {starts=(0,0), steps=(1,1)}
          %b: float32[1,3] = slice(%x) {starts=(0,2), steps=(1,1)}
          %d: float32[1,5] = concat(%b, %a) {axis=1}
          %y: float32[1,5] = map(%x, %d) {expr=sub(%0, %1)}
        }
        """,
    )


def test_a_map_broadcasts_by_itself(golden: Callable[..., Graph]) -> None:
    golden(
        eliminate_copies.run,
        """
        graph @g(%x: float32[3,4], %z: float32[1,4]) -> (%y, %v) {
          %a: float32[3,4] = broadcast_to(%z) {shape=(3,4)}
          %y: float32[3,4] = map(%x, %a) {expr=mul(%0, %1)}
          %v: float32[3,4] = map(%a) {expr=neg(%0)}
        }
        """,
        """
        graph @g(%x: float32[3,4], %z: float32[1,4]) -> (%y, %v) {
          %a: float32[3,4] = broadcast_to(%z) {shape=(3,4)}
          %y: float32[3,4] = map(%x, %z) {expr=mul(%0, %1)}
          %v: float32[3,4] = map(%a) {expr=neg(%0)}
        }
        """,
    )
