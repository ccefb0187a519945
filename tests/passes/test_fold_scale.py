from collections.abc import Callable

import pytest

from edgec.compiler.ir.graph import Graph
from edgec.passes import fold_scale

CONV = """
graph @g(%x: float32[1,4,5,5]) -> (%y) {
  const %w: float32[6,2,3,3] = @w
  const %s: float32[6,1,1] = @s
  const %d: float32[1,6,1,1] = @d
  const %k: float32[1,6,1,1] = @k
  %t: float32[1,6,3,3] = conv2d(%x, %w) {groups=2}
  %u: float32[1,6,3,3] = map(%t, %s, %d) {expr=add(mul(%0, %1), %2)}
  %v: float32[1,6,3,3] = map(%u, %k) {expr=mul(%1, %0)}
  %y: float32[1,6,3,3] = map(%v, %d) {expr=sub(%0, %1)}
}
"""


def test_batch_norm_and_more_scales_after_a_convolution(golden: Callable[..., Graph]) -> None:
    golden(
        fold_scale.run,
        CONV,
        """
        graph @g(%x: float32[1,4,5,5]) -> (%y) {
          const %w: float32[6,2,3,3] = @w
          const %w_bias: float32[6] = @w_bias
          %y: float32[1,6,3,3] = conv2d(%x, %w, %w_bias) {groups=2}
        }
        """,
    )


def test_transposed_convolution_and_matmul(golden: Callable[..., Graph]) -> None:
    golden(
        fold_scale.run,
        """
        graph @g(%x: float32[1,4,5,5], %m: float32[3,4]) -> (%y, %z) {
          const %w: float32[4,3,2,2] = @w
          const %s: float32[6,1,1] = @s
          const %v: float32[4,6] = @v
          const %b: float32[6] = @b
          const %c: float32[6] = @c
          %t: float32[1,6,10,10] = conv_transpose2d(%x, %w) {strides=(2,2), groups=2}
          %y: float32[1,6,10,10] = map(%t, %s) {expr=mul(%0, %1)}
          %u: float32[3,6] = matmul(%m, %v, %b)
          %z: float32[3,6] = map(%u, %c) {expr=add(%0, %1)}
        }
        """,
        """
        graph @g(%x: float32[1,4,5,5], %m: float32[3,4]) -> (%y, %z) {
          const %w: float32[4,3,2,2] = @w
          const %w_bias: float32[6] = @w_bias
          const %v: float32[4,6] = @v
          const %b: float32[6] = @b
          %y: float32[1,6,10,10] = conv_transpose2d(%x, %w, %w_bias) {strides=(2,2), groups=2}
          %z: float32[3,6] = matmul(%m, %v, %b)
        }
        """,
    )


def test_before_a_convolution_without_padding(golden: Callable[..., Graph]) -> None:
    golden(
        fold_scale.run,
        """
        graph @g(%x: float32[1,4,5,5]) -> (%y) {
          const %w: float32[6,2,3,3] = @w
          const %s: float32[4,1,1] = @s
          %t: float32[1,4,5,5] = map(%x, %s) {expr=mul(sub(%0, 0.5), %1)}
          %y: float32[1,6,3,3] = conv2d(%t, %w) {groups=2}
        }
        """,
        """
        graph @g(%x: float32[1,4,5,5]) -> (%y) {
          const %w: float32[6,2,3,3] = @w
          const %w_bias: float32[6] = @w_bias
          %y: float32[1,6,3,3] = conv2d(%x, %w, %w_bias) {groups=2}
        }
        """,
    )


def test_a_pure_scale_passes_through_zero_padding(golden: Callable[..., Graph]) -> None:
    golden(
        fold_scale.run,
        """
        graph @g(%x: float32[1,4,5,5]) -> (%y) {
          const %w: float32[6,4,3,3] = @w
          %t: float32[1,4,5,5] = map(%x) {expr=div(%0, 255.0)}
          %y: float32[1,6,5,5] = conv2d(%t, %w) {pads=(1,1,1,1)}
        }
        """,
        """
        graph @g(%x: float32[1,4,5,5]) -> (%y) {
          const %w: float32[6,4,3,3] = @w
          const %w_bias: float32[6] = @w_bias
          %y: float32[1,6,5,5] = conv2d(%x, %w, %w_bias) {pads=(1,1,1,1)}
        }
        """,
    )


def test_chains_before_an_activation_become_one(golden: Callable[..., Graph]) -> None:
    golden(
        fold_scale.run,
        """
        graph @g(%x: float32[1,4,5,5]) -> (%y) {
          const %s: float32[4,1,1] = @s
          const %d: float32[4,1,1] = @d
          %a: float32[1,4,5,5] = map(%x, %s, %d) {expr=add(mul(%0, %1), %2)}
          %b: float32[1,4,5,5] = map(%a) {expr=neg(%0)}
          %c: float32[1,4,5,5] = map(%b, %d) {expr=mul(%0, %1)}
          %y: float32[1,4,5,5] = map(%c) {expr=max(%0, 0.0)}
        }
        """,
        """
        graph @g(%x: float32[1,4,5,5]) -> (%y) {
          const %c_scale: float32[1,4,1,1] = @c_scale
          const %c_shift: float32[1,4,1,1] = @c_shift
          %c: float32[1,4,5,5] = map(%x, %c_scale, %c_shift) {expr=add(mul(%0, %1), %2)}
          %y: float32[1,4,5,5] = map(%c) {expr=max(%0, 0.0)}
        }
        """,
    )


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(
            """
            %t: float32[1,4,5,5] = map(%x) {expr=sub(%0, 0.5)}
            %y: float32[1,4,5,5] = conv2d(%t, %w) {pads=(1,1,1,1)}
            """,
            id="shift before zero padding",
        ),
        pytest.param(
            """
            %t: float32[1,4,3,3] = conv2d(%x, %w) {activation=max(%0, 0.0)}
            %y: float32[1,4,3,3] = map(%t) {expr=mul(%0, 2.0)}
            """,
            id="after an activation",
        ),
        pytest.param(
            """
            %t: float32[1,4,3,3] = conv2d(%x, %w)
            %u: float32[1,4,3,3] = map(%t) {expr=add(%0, 1.0)}
            %y: float32[1,4,3,3] = map(%t, %u) {expr=mul(%0, %1)}
            """,
            id="several readers",
        ),
        pytest.param(
            """
            %t: float32[1,4,3,3] = conv2d(%x, %w)
            %y: float32[1,4,3,3] = map(%t, %p) {expr=add(%0, %1)}
            """,
            id="a constant that varies over the plane",
        ),
    ],
)
def test_leaves_alone(golden: Callable[..., Graph], body: str) -> None:
    text = (
        "graph @g(%x: float32[1,4,5,5]) -> (%y) {\n"
        "const %w: float32[4,4,3,3] = @w\n" + ("const %p: float32[3,3] = @p\n" if "%p" in body else "") + body + "\n}"
    )
    golden(fold_scale.run, text, text)
