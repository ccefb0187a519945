from collections.abc import Callable

import pytest

from edgec.compiler.ir.graph import Graph
from edgec.passes import fuse_epilogue


def test_any_activation_of_a_float_convolution(golden: Callable[..., Graph]) -> None:
    golden(
        fuse_epilogue.run,
        """
        graph @g(%x: float32[1,4,5,5]) -> (%y) {
          const %w: float32[4,6,2,2] = @w
          %t: float32[1,6,6,6] = conv_transpose2d(%x, %w) {activation=max(%0, 0.0)}
          %y: float32[1,6,6,6] = map(%t) {expr=tanh(%0)}
        }
        """,
        """
        graph @g(%x: float32[1,4,5,5]) -> (%y) {
          const %w: float32[4,6,2,2] = @w
          %y: float32[1,6,6,6] = conv_transpose2d(%x, %w) {activation=tanh(max(%0, 0.0))}
        }
        """,
    )


def test_residual_and_what_follows_it(golden: Callable[..., Graph]) -> None:
    golden(
        fuse_epilogue.run,
        """
        graph @g(%x: float32[1,4,5,5]) -> (%y) {
          const %w: float32[4,4,1,1] = @w
          const %b: float32[4] = @b
          %t: float32[1,4,5,5] = conv2d(%x, %w, %b) {activation=max(%0, 0.0)}
          %u: float32[1,4,5,5] = map(%x, %t) {expr=max(add(%0, %1), 0.0)}
          %y: float32[1,4,5,5] = map(%u) {expr=min(%0, 6.0)}
        }
        """,
        """
        graph @g(%x: float32[1,4,5,5]) -> (%y) {
          const %w: float32[4,4,1,1] = @w
          const %b: float32[4] = @b
          %y: float32[1,4,5,5] = conv2d(%x, %w, %b, %x)
            {activation=max(%0, 0.0), residual_activation=min(max(%0, 0.0), 6.0)}
        }
        """,
    )


SCORES = """
graph @g(%x: float32[2,3,5,4], %m: float32[{mask}]) -> (%y) {{
  const %w: float32[3,4,6] = @w
  %t: float32[2,3,5,6] = matmul(%x, %w)
  %y: float32[2,3,5,6] = map(%m, %t) {{expr=add(%0, %1)}}
}}
"""


@pytest.mark.parametrize("mask", ["2,1,1,6", "1,3,5,6", "1,1,1,6"])
def test_what_is_repeated_joins_a_product(golden: Callable[..., Graph], mask: str) -> None:
    golden(
        fuse_epilogue.run,
        SCORES.format(mask=mask),
        f"""
        graph @g(%x: float32[2,3,5,4], %m: float32[{mask}]) -> (%y) {{
          const %w: float32[3,4,6] = @w
          const %w_bias: float32[6] = @w_bias
          %y: float32[2,3,5,6] = matmul(%x, %w, %w_bias, %m)
        }}
        """,
    )


@pytest.mark.parametrize("mask", ["2,1,5,1", "5,6", "6"])
def test_what_has_not_all_columns_stays(golden: Callable[..., Graph], mask: str) -> None:
    golden(fuse_epilogue.run, SCORES.format(mask=mask), SCORES.format(mask=mask))


def test_quantized_residual_keeps_the_rounding_between(golden: Callable[..., Graph]) -> None:
    golden(
        fuse_epilogue.run,
        """
        graph @g(%x: int8[1,4,5,5] q(0.1, 3)) -> (%y) {
          const %w: int8[4,4,1,1] q(scale=[0.01, 0.02, 0.03, 0.01], zero=[0, 0, 0, 0], axis=0) = @w
          %t: int8[1,4,5,5] q(0.05, -7) = conv2d(%x, %w)
          %y: int8[1,4,5,5] q(0.2, 1) = map(%t, %x) {expr=max(add(%0, %1), 0.0)}
        }
        """,
        """
        graph @g(%x: int8[1,4,5,5] q(0.1, 3)) -> (%y) {
          const %w: int8[4,4,1,1] q(scale=[0.01, 0.02, 0.03, 0.01], zero=[0, 0, 0, 0], axis=0) = @w
          const %w_bias: int32[4] q(scale=[0.001, 0.002, 0.003, 0.001], zero=[0, 0, 0, 0], axis=0) = @w_bias
          %y: int8[1,4,5,5] q(0.2, 1) = conv2d(%x, %w, %w_bias, %x)
            {conv_quant=q(0.05, -7), residual_activation=max(%0, 0.0)}
        }
        """,
    )


def test_the_later_of_two_convolutions_takes_the_sum_where_it_was(golden: Callable[..., Graph]) -> None:
    golden(
        fuse_epilogue.run,
        """
        graph @g(%x: float32[1,4,5,5]) -> (%y) {
          const %w: float32[4,4,1,1] = @w
          const %b: float32[4] = @b
          %t: float32[1,4,5,5] = conv2d(%x, %w, %b)
          %u: float32[1,4,5,5] = conv2d(%x, %w, %b)
          %v: float32[1,4,5,5] = map(%t, %x) {expr=mul(%0, %1)}
          %a: float32[1,4,5,5] = map(%v, %u) {expr=add(%0, %1)}
          %y: float32[1,4,5,5] = map(%a) {expr=exp(%0)}
        }
        """,
        """
        graph @g(%x: float32[1,4,5,5]) -> (%y) {
          const %w: float32[4,4,1,1] = @w
          const %b: float32[4] = @b
          %t: float32[1,4,5,5] = conv2d(%x, %w, %b)
          %v: float32[1,4,5,5] = map(%t, %x) {expr=mul(%0, %1)}
          %y: float32[1,4,5,5] = conv2d(%x, %w, %b, %v) {residual_activation=exp(%0)}
        }
        """,
    )


LEAVES_ALONE = {
    "a residual of another shape": """
        graph @g(%x: float32[3,4], %r: float32[6]) -> (%y) {
          const %w: float32[4,6] = @w
          %t: float32[3,6] = matmul(%x, %w)
          %y: float32[3,6] = map(%t, %r) {expr=add(%0, %1)}
        }""",
    "a function that is no clamp, quantized": """
        graph @g(%x: int8[3,4] q(0.1, 3)) -> (%y) {
          const %w: int8[4,6] q(0.01, 0) = @w
          %t: int8[3,6] q(0.1, 0) = matmul(%x, %w)
          %y: int8[3,6] q(0.1, 0) = map(%t) {expr=tanh(%0)}
        }""",
    "more than a sum": """
        graph @g(%x: float32[3,4], %r: float32[3,6]) -> (%y) {
          const %w: float32[4,6] = @w
          %t: float32[3,6] = matmul(%x, %w)
          %y: float32[3,6] = map(%t, %r) {expr=mul(add(%0, %1), %1)}
        }""",
}


@pytest.mark.parametrize("why", LEAVES_ALONE)
def test_leaves_alone(golden: Callable[..., Graph], why: str) -> None:
    golden(fuse_epilogue.run, LEAVES_ALONE[why], LEAVES_ALONE[why])


def test_sums_of_int8_products_stay_as_they_are(golden: Callable[..., Graph]) -> None:
    text = """
        graph @g(%x: int8[3,4]) -> (%y) {
          const %w: int8[4,6] = @w
          %t: int32[3,6] = matmul(%x, %w)
          %y: int32[3,6] = map(%t) {expr=mul(%0, 4)}
        }
        """
    golden(fuse_epilogue.run, text, text)
