from collections.abc import Callable

from edgec.compiler.ir.graph import Graph
from edgec.passes import absorb_qdq


def test_convolution_with_weights_per_channel_and_bias(golden: Callable[..., Graph]) -> None:
    golden(
        absorb_qdq.run,
        """
        graph @g(%x: int8[1,2,5,5] q(0.5, 3)) -> (%y) {
          const %w: int8[2,2,3,3] q(scale=[0.25, 0.5], zero=[0, 0], axis=0) = @w
          const %b: int32[2] q(scale=[0.125, 0.25], zero=[0, 0], axis=0) = @b
          %xf: float32[1,2,5,5] = map(%x) {expr=%0}
          %wf: float32[2,2,3,3] = map(%w) {expr=%0}
          %bf: float32[2] = map(%b) {expr=%0}
          %yf: float32[1,2,3,3] = conv2d(%xf, %wf, %bf) {activation=max(%0, 0.0)}
          %y: int8[1,2,3,3] q(2.0, -128) = map(%yf) {expr=%0}
        }
        """,
        """
        graph @g(%x: int8[1,2,5,5] q(0.5, 3)) -> (%y) {
          const %w: int8[2,2,3,3] q(scale=[0.25, 0.5], zero=[0, 0], axis=0) = @w
          const %b_int32: int32[2] q(scale=[0.125, 0.25], zero=[0, 0], axis=0) = @b_int32
          %y: int8[1,2,3,3] q(2.0, -128) = conv2d(%x, %w, %b_int32) {activation=max(%0, 0.0)}
        }
        """,
        cleanup=True,
    )


def test_a_float_bias_is_rounded_to_the_units_of_the_sums(golden: Callable[..., Graph]) -> None:
    golden(
        absorb_qdq.run,
        """
        graph @g(%x: int8[3,4] q(0.5, 3)) -> (%y) {
          const %w: int8[4,2] q(0.25, 0) = @w
          const %b: float32[2] = @b
          %xf: float32[3,4] = map(%x) {expr=%0}
          %wf: float32[4,2] = map(%w) {expr=%0}
          %yf: float32[3,2] = matmul(%xf, %wf, %b)
          %y: int8[3,2] q(2.0, 5) = map(%yf) {expr=%0}
        }
        """,
        """
        graph @g(%x: int8[3,4] q(0.5, 3)) -> (%y) {
          const %w: int8[4,2] q(0.25, 0) = @w
          const %b_int32: int32[2] q(0.125, 0) = @b_int32
          %y: int8[3,2] q(2.0, 5) = matmul(%x, %w, %b_int32)
        }
        """,
        cleanup=True,
    )


def test_elementwise_pool_mean_and_softmax(golden: Callable[..., Graph]) -> None:
    golden(
        absorb_qdq.run,
        """
        graph @g(%x: int8[1,2,4,4] q(0.5, 3)) -> (%y) {
          %xf: float32[1,2,4,4] = map(%x) {expr=%0}
          %af: float32[1,2,4,4] = map(%xf, %xf) {expr=add(%0, mul(%1, 2.0))}
          %a: int8[1,2,4,4] q(1.0, 0) = map(%af) {expr=%0}
          %ag: float32[1,2,4,4] = map(%a) {expr=%0}
          %pf: float32[1,2,2,2] = avg_pool2d(%ag) {kernel=(2,2), strides=(2,2)}
          %p: int8[1,2,2,2] q(0.5, 0) = map(%pf) {expr=%0}
          %pg: float32[1,2,2,2] = map(%p) {expr=%0}
          %mf: float32[1,2] = reduce(%pg) {kind="mean", axes=(2,3), keepdims=False}
          %m: int8[1,2] q(0.25, 0) = map(%mf) {expr=%0}
          %mg: float32[1,2] = map(%m) {expr=%0}
          %yf: float32[1,2] = softmax(%mg) {axis=1}
          %y: int8[1,2] q(0.00390625, -128) = map(%yf) {expr=%0}
        }
        """,
        """
        graph @g(%x: int8[1,2,4,4] q(0.5, 3)) -> (%y) {
          %a: int8[1,2,4,4] q(1.0, 0) = map(%x, %x) {expr=add(%0, mul(%1, 2.0))}
          %p: int8[1,2,2,2] q(0.5, 0) = avg_pool2d(%a) {kernel=(2,2), strides=(2,2)}
          %m: int8[1,2] q(0.25, 0) = reduce(%p) {kind="mean", axes=(2,3), keepdims=False}
          %y: int8[1,2] q(0.00390625, -128) = softmax(%m) {axis=1}
        }
        """,
        cleanup=True,
    )


def test_moves_let_integers_through_and_a_concat_takes_one_quantization(golden: Callable[..., Graph]) -> None:
    golden(
        absorb_qdq.run,
        """
        graph @g(%x: int8[1,2,4,4] q(0.5, 3), %z: int8[1,3,2,2] q(0.25, 0)) -> (%y) {
          %xf: float32[1,2,4,4] = map(%x) {expr=%0}
          %zf: float32[1,3,2,2] = map(%z) {expr=%0}
          %pf: float32[1,2,2,2] = max_pool2d(%xf) {kernel=(2,2), strides=(2,2)}
          %cf: float32[1,5,2,2] = concat(%pf, %zf) {axis=1}
          %tf: float32[1,2,2,5] = transpose(%cf) {perm=(0,2,3,1)}
          %y: int8[1,2,2,5] q(0.5, 3) = map(%tf) {expr=%0}
        }
        """,
        """
        graph @g(%x: int8[1,2,4,4] q(0.5, 3), %z: int8[1,3,2,2] q(0.25, 0)) -> (%y) {
          %pf_quantized: int8[1,2,2,2] q(0.5, 3) = max_pool2d(%x) {kernel=(2,2), strides=(2,2)}
          %zf_quantized: int8[1,3,2,2] q(0.5, 3) = map(%z) {expr=%0}
          %cf_quantized: int8[1,5,2,2] q(0.5, 3) = concat(%pf_quantized, %zf_quantized) {axis=1}
          %y: int8[1,2,2,5] q(0.5, 3) = transpose(%cf_quantized) {perm=(0,2,3,1)}
        }
        """,
        cleanup=True,
    )


def test_what_does_not_fit_stays_in_float(golden: Callable[..., Graph]) -> None:
    golden(
        absorb_qdq.run,
        """
        graph @g(%x: int8[1,2,5,5] q(0.5, 3)) -> (%y) {
          const %w: int8[2,2,3,3] q(0.25, 0) = @w
          %xf: float32[1,2,5,5] = map(%x) {expr=%0}
          %wf: float32[2,2,3,3] = map(%w) {expr=%0}
          %y: float32[1,2,3,3] = conv2d(%xf, %wf)
        }
        """,
        """
        graph @g(%x: int8[1,2,5,5] q(0.5, 3)) -> (%y) {
          const %wf: float32[2,2,3,3] = @wf
          %xf: float32[1,2,5,5] = map(%x) {expr=%0}
          %y: float32[1,2,3,3] = conv2d(%xf, %wf)
        }
        """,
        cleanup=True,
    )


def test_dequantize_then_quantize(golden: Callable[..., Graph]) -> None:
    golden(
        absorb_qdq.run,
        """
        graph @g(%x: float32[4]) -> (%y, %z) {
          %a: int8[4] q(0.5, 3) = map(%x) {expr=%0}
          %b: float32[4] = map(%a) {expr=%0}
          %c: int8[4] q(0.5, 3) = map(%b) {expr=%0}
          %d: float32[4] = map(%c) {expr=%0}
          %y: int8[4] q(0.25, 0) = map(%d) {expr=%0}
          %z: float32[4] = map(%c) {expr=%0}
        }
        """,
        """
        graph @g(%x: float32[4]) -> (%y, %z) {
          %a: int8[4] q(0.5, 3) = map(%x) {expr=%0}
          %y: int8[4] q(0.25, 0) = map(%a) {expr=%0}
          %z: float32[4] = map(%a) {expr=%0}
        }
        """,
        cleanup=True,
    )


def test_codes_that_others_read_too_are_requantized_for_a_concat(golden: Callable[..., Graph]) -> None:
    golden(
        absorb_qdq.run,
        """
        graph @g(%x: int8[1,2,2,2] q(0.5, 3), %z: int8[1,3,2,2] q(0.25, 0)) -> (%y, %s) {
          %xf: float32[1,2,2,2] = map(%x) {expr=%0}
          %zf: float32[1,3,2,2] = map(%z) {expr=%0}
          %cf: float32[1,5,2,2] = concat(%xf, %zf) {axis=1}
          %y: int8[1,5,2,2] q(0.5, 3) = map(%cf) {expr=%0}
          %sf: float32[1,3,2,2] = map(%zf) {expr=tanh(%0)}
          %s: int8[1,3,2,2] q(0.0078125, 0) = map(%sf) {expr=%0}
        }
        """,
        """
        graph @g(%x: int8[1,2,2,2] q(0.5, 3), %z: int8[1,3,2,2] q(0.25, 0)) -> (%y, %s) {
          %zf_quantized: int8[1,3,2,2] q(0.5, 3) = map(%z) {expr=%0}
          %y: int8[1,5,2,2] q(0.5, 3) = concat(%x, %zf_quantized) {axis=1}
          %s: int8[1,3,2,2] q(0.0078125, 0) = map(%z) {expr=tanh(%0)}
        }
        """,
        cleanup=True,
    )


def test_a_linear_resize_within_one_quantization(golden: Callable[..., Graph]) -> None:
    """The second one changes the quantization: it stays in float. (Between elements integers may round otherwise.)"""
    attrs = '{mode="linear", coordinates="half_pixel", rounding="round_prefer_floor", sizes=(4,4), scales=(1.0,1.0)}'
    golden(
        absorb_qdq.run,
        f"""
        graph @g(%x: int8[1,2,4,4] q(0.5, 3)) -> (%y, %z) {{
          %xf: float32[1,2,4,4] = map(%x) {{expr=%0}}
          %yf: float32[1,2,4,4] = resize(%xf) {attrs}
          %y: int8[1,2,4,4] q(0.5, 3) = map(%yf) {{expr=%0}}
          %zf: float32[1,2,4,4] = resize(%xf) {attrs}
          %z: int8[1,2,4,4] q(0.25, 3) = map(%zf) {{expr=%0}}
        }}
        """,
        f"""
        graph @g(%x: int8[1,2,4,4] q(0.5, 3)) -> (%y, %z) {{
          %xf: float32[1,2,4,4] = map(%x) {{expr=%0}}
          %y: int8[1,2,4,4] q(0.5, 3) = resize(%x) {attrs}
          %zf: float32[1,2,4,4] = resize(%xf) {attrs}
          %z: int8[1,2,4,4] q(0.25, 3) = map(%zf) {{expr=%0}}
        }}
        """,
        cleanup=True,
    )


def test_a_normalization_keeps_its_scale_and_bias(golden: Callable[..., Graph]) -> None:
    golden(
        absorb_qdq.run,
        """
        graph @g(%x: int8[2,5,8] q(0.5, 3)) -> (%y) {
          const %w: float32[8] = @w
          const %b: float32[8] = @b
          %xf: float32[2,5,8] = map(%x) {expr=%0}
          %yf: float32[2,5,8] = normalize(%xf, %w, %b) {axis=2, epsilon=1e-05}
          %y: int8[2,5,8] q(0.25, 5) = map(%yf) {expr=%0}
        }
        """,
        """
        graph @g(%x: int8[2,5,8] q(0.5, 3)) -> (%y) {
          const %w: float32[8] = @w
          const %b: float32[8] = @b
          %y: int8[2,5,8] q(0.25, 5) = normalize(%x, %w, %b) {axis=2, epsilon=1e-05}
        }
        """,
        cleanup=True,
    )
