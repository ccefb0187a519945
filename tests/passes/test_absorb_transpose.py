from collections.abc import Callable

from edgec.compiler.ir.graph import Graph
from edgec.passes import absorb_transpose


def test_products_read_what_is_transposed(golden: Callable[..., Graph]) -> None:
    golden(
        absorb_transpose.run,
        """
        graph @g(%q: float32[2,4,5,3], %k: float32[2,6,4,3]) -> (%s, %t) {
          %t: float32[2,4,3,6] = transpose(%k) {perm=(0,2,3,1)}
          %s: float32[2,4,5,6] = matmul(%q, %t)
        }
        """,
        """
        graph @g(%q: float32[2,4,5,3], %k: float32[2,6,4,3]) -> (%s, %t) {
          %t: float32[2,4,3,6] = transpose(%k) {perm=(0,2,3,1)}
          %s: float32[2,4,5,6] = matmul(%q, %k) {w_perm=(0,2,3,1)}
        }
        """,
    )


def test_rows_may_lie_anywhere(golden: Callable[..., Graph]) -> None:
    golden(
        absorb_transpose.run,
        """
        graph @g(%q: float32[2,5,4,3], %k: float32[2,4,3,6]) -> (%s, %t) {
          %t: float32[2,4,5,3] = transpose(%q) {perm=(0,2,1,3)}
          %s: float32[2,4,5,6] = matmul(%t, %k)
        }
        """,
        """
        graph @g(%q: float32[2,5,4,3], %k: float32[2,4,3,6]) -> (%s, %t) {
          %t: float32[2,4,5,3] = transpose(%q) {perm=(0,2,1,3)}
          %s: float32[2,4,5,6] = matmul(%q, %k) {x_perm=(0,2,1,3)}
        }
        """,
    )


def test_transposed_matrices_stay(golden: Callable[..., Graph]) -> None:
    text = """
        graph @g(%q: float32[3,5], %k: float32[3,6]) -> (%s) {
          %t: float32[5,3] = transpose(%q) {perm=(1,0)}
          %s: float32[5,6] = matmul(%t, %k)
        }
        """
    golden(absorb_transpose.run, text, text)
