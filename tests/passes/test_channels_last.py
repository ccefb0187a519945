from collections.abc import Callable

from edgec.compiler.ir.graph import Graph
from edgec.passes import channels_last


def test_transposes_remain_at_the_borders_alone(golden: Callable[..., Graph]) -> None:
    golden(
        channels_last.run,
        """
        graph @g(%x: float32[1,4,6,6]) -> (%y) {
          const %w: float32[4,4,3,3] = @w
          const %b: float32[4] = @b
          const %s: float32[4,1,1] = @s
          %t: float32[1,4,6,6] = conv2d(%x, %w, %b) {pads=(1,1,1,1)}
          %u: float32[1,4,6,6] = map(%t, %s) {expr=mul(%0, exp(%1))}
          %c: float32[1,8,6,6] = concat(%u, %t) {axis=1}
          %d: float32[1,3,6,6] = slice(%c) {starts=(0,2,0,0), steps=(1,2,1,1)}
          %p: float32[1,3,8,8] = pad(%d) {pads=(0,0,1,1,0,0,1,1)}
          %y: float32[1,3,4,4] = max_pool2d(%p) {kernel=(2,2), strides=(2,2)}
        }
        """,
        """
        graph @g(%x: float32[1,4,6,6]) -> (%y) {
          const %w: float32[4,4,3,3] = @w
          const %b: float32[4] = @b
          const %s: float32[1,1,1,4] = @s
          %x_permuted: float32[1,6,6,4] = transpose(%x) {perm=(0,2,3,1)}
          %t: float32[1,6,6,4] = conv2d(%x_permuted, %w, %b) {pads=(1,1,1,1), layout="NHWC"}
          %u: float32[1,6,6,4] = map(%t, %s) {expr=mul(%0, exp(%1))}
          %c: float32[1,6,6,8] = concat(%u, %t) {axis=3}
          %d: float32[1,6,6,3] = slice(%c) {starts=(0,0,0,2), steps=(1,1,1,2)}
          %p: float32[1,8,8,3] = pad(%d) {pads=(0,1,1,0,0,1,1,0)}
          %y_permuted: float32[1,4,4,3] = max_pool2d(%p) {kernel=(2,2), strides=(2,2), layout="NHWC"}
          %y: float32[1,3,4,4] = transpose(%y_permuted) {perm=(0,3,1,2)}
        }
        """,
    )


def test_flattening_after_global_pooling_costs_nothing(golden: Callable[..., Graph]) -> None:
    golden(
        channels_last.run,
        """
        graph @g(%x: float32[2,4,6,6]) -> (%y) {
          const %w: float32[4,3] = @w
          %p: float32[2,4,1,1] = avg_pool2d(%x) {kernel=(6,6)}
          %f: float32[2,4] = reshape(%p) {shape=(2,4)}
          %y: float32[2,3] = matmul(%f, %w)
        }
        """,
        """
        graph @g(%x: float32[2,4,6,6]) -> (%y) {
          const %w: float32[4,3] = @w
          %x_permuted: float32[2,6,6,4] = transpose(%x) {perm=(0,2,3,1)}
          %p: float32[2,1,1,4] = avg_pool2d(%x_permuted) {kernel=(6,6), layout="NHWC"}
          %f: float32[2,4] = reshape(%p) {shape=(2,4)}
          %y: float32[2,3] = matmul(%f, %w)
        }
        """,
    )


def test_flattening_a_plane_brings_the_dimensions_in_the_models_order(golden: Callable[..., Graph]) -> None:
    golden(
        channels_last.run,
        """
        graph @g(%x: float32[2,4,6,6]) -> (%y) {
          %p: float32[2,4,3,3] = max_pool2d(%x) {kernel=(2,2), strides=(2,2)}
          %y: float32[2,36] = reshape(%p) {shape=(2,36)}
        }
        """,
        """
        graph @g(%x: float32[2,4,6,6]) -> (%y) {
          %x_permuted: float32[2,6,6,4] = transpose(%x) {perm=(0,2,3,1)}
          %p: float32[2,3,3,4] = max_pool2d(%x_permuted) {kernel=(2,2), strides=(2,2), layout="NHWC"}
          %p_permuted: float32[2,4,3,3] = transpose(%p) {perm=(0,3,1,2)}
          %y: float32[2,36] = reshape(%p_permuted) {shape=(2,36)}
        }
        """,
    )


def test_channel_shuffle_stays_in_the_last_dimensions(golden: Callable[..., Graph]) -> None:
    golden(
        channels_last.run,
        """
        graph @g(%x: float32[1,6,4,4]) -> (%y) {
          %p: float32[1,6,2,2] = max_pool2d(%x) {kernel=(2,2), strides=(2,2)}
          %a: float32[1,3,2,2,2] = reshape(%p) {shape=(1,3,2,2,2)}
          %b: float32[1,2,3,2,2] = transpose(%a) {perm=(0,2,1,3,4)}
          %c: float32[1,6,2,2] = reshape(%b) {shape=(1,6,2,2)}
          %y: float32[1,6,1,1] = max_pool2d(%c) {kernel=(2,2)}
        }
        """,
        """
        graph @g(%x: float32[1,6,4,4]) -> (%y) {
          %x_permuted: float32[1,4,4,6] = transpose(%x) {perm=(0,2,3,1)}
          %p: float32[1,2,2,6] = max_pool2d(%x_permuted) {kernel=(2,2), strides=(2,2), layout="NHWC"}
          %a: float32[1,2,2,3,2] = reshape(%p) {shape=(1,2,2,3,2)}
          %b_permuted: float32[1,2,2,2,3] = transpose(%a) {perm=(0,1,2,4,3)}
          %c: float32[1,2,2,6] = reshape(%b_permuted) {shape=(1,2,2,6)}
          %y_permuted: float32[1,1,1,6] = max_pool2d(%c) {kernel=(2,2), layout="NHWC"}
          %y: float32[1,6,1,1] = transpose(%y_permuted) {perm=(0,3,1,2)}
        }
        """,
    )


def test_axes_are_those_of_the_stored_order(golden: Callable[..., Graph]) -> None:
    golden(
        channels_last.run,
        """
        graph @g(%x: float32[2,4,6,6]) -> (%y, %z) {
          %p: float32[2,4,3,3] = max_pool2d(%x) {kernel=(2,2), strides=(2,2)}
          %s: float32[2,4,3,3] = softmax(%p) {axis=1}
          %y: float32[2,4] = reduce(%s) {kind="mean", axes=(2,3), keepdims=False}
          %z: float32[2,3,3] = reduce(%p) {kind="max", axes=(1), keepdims=False}
        }
        """,
        """
        graph @g(%x: float32[2,4,6,6]) -> (%y, %z) {
          %x_permuted: float32[2,6,6,4] = transpose(%x) {perm=(0,2,3,1)}
          %p: float32[2,3,3,4] = max_pool2d(%x_permuted) {kernel=(2,2), strides=(2,2), layout="NHWC"}
          %s: float32[2,3,3,4] = softmax(%p) {axis=3}
          %y: float32[2,4] = reduce(%s) {kind="mean", axes=(1,2), keepdims=False}
          %z: float32[2,3,3] = reduce(%p) {kind="max", axes=(3), keepdims=False}
        }
        """,
    )


def test_a_graph_that_is_nhwc_already_keeps_no_transpose(golden: Callable[..., Graph]) -> None:
    golden(
        channels_last.run,
        """
        graph @g(%x: float32[1,6,6,4]) -> (%y) {
          %a: float32[1,4,6,6] = transpose(%x) {perm=(0,3,1,2)}
          %p: float32[1,4,3,3] = max_pool2d(%a) {kernel=(2,2), strides=(2,2)}
          %b: float32[1,3,3,4] = transpose(%p) {perm=(0,2,3,1)}
          %y: float32[1,3,3,4] = map(%b) {expr=neg(%0)}
        }
        """,
        """
        graph @g(%x: float32[1,6,6,4]) -> (%y) {
          %p: float32[1,3,3,4] = max_pool2d(%x) {kernel=(2,2), strides=(2,2), layout="NHWC"}
          %y: float32[1,3,3,4] = map(%p) {expr=neg(%0)}
        }
        """,
    )


def test_computed_weights_keep_their_order(golden: Callable[..., Graph]) -> None:
    golden(
        channels_last.run,
        """
        graph @g(%x: float32[1,4,6,6], %k: float32[3,3,4,4]) -> (%y) {
          %w: float32[4,4,3,3] = transpose(%k) {perm=(3,2,0,1)}
          %y: float32[1,4,4,4] = conv2d(%x, %w)
        }
        """,
        """
        graph @g(%x: float32[1,4,6,6], %k: float32[3,3,4,4]) -> (%y) {
          %x_permuted: float32[1,6,6,4] = transpose(%x) {perm=(0,2,3,1)}
          %w: float32[4,4,3,3] = transpose(%k) {perm=(3,2,0,1)}
          %y_permuted: float32[1,4,4,4] = conv2d(%x_permuted, %w) {layout="NHWC"}
          %y: float32[1,4,4,4] = transpose(%y_permuted) {perm=(0,3,1,2)}
        }
        """,
    )
