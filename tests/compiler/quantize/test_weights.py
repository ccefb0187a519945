"""Error bounds of integer weights and biases, for any weights."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from edgec.compiler.quantize.histogram import Range
from edgec.compiler.quantize.scales import range_to_quant
from edgec.compiler.quantize.weights import MAX_BIAS, quantize_bias, quantize_weights

finite = st.floats(-1e4, 1e4, width=32)
weights = hnp.arrays(
    np.float32, st.tuples(st.integers(1, 5), st.integers(1, 4), st.just(2), st.just(1)), elements=finite
)


@given(weights, st.data(), st.floats(1e-6, 10.0))
def test_per_channel_weights_and_bias(w, data, input_scale):
    bias = data.draw(hnp.arrays(np.float32, w.shape[0], elements=finite))
    q, quant = quantize_weights(w, 0, input_scale, bias)
    scale, zero_point = quant.broadcast(w.ndim)
    assert q.dtype == np.int8 and abs(q.astype(int)).max() <= 127 and not zero_point.any()
    assert (abs(q * scale.astype(np.float64) - w) <= scale * 0.5000001).all()
    b = quantize_bias(bias, input_scale, quant)
    step = input_scale * np.array(quant.scale)
    assert b.dtype == np.int32 and abs(b.astype(np.int64)).max() <= MAX_BIAS
    assert (abs(b * step - bias) <= step * 0.5000001).all()


def test_absurd_biases_keep_scales_finite():
    w, bias = np.zeros((2, 1, 1, 1), np.float32), np.array([3e38, -1.0], np.float32)
    _, quant = quantize_weights(w, 0, 1e-20, bias)
    assert np.isfinite(np.array(quant.scale, np.float32)).all()
    assert abs(quantize_bias(bias, 1e-20, quant).astype(np.int64)).max() <= MAX_BIAS


@given(weights)
def test_without_bias_the_largest_weight_of_a_channel_is_127(w):
    q, quant = quantize_weights(w, 0, 1.0, None)
    largest = abs(w).max(axis=(1, 2, 3))
    normal = largest > 1e-30
    assert (abs(q.astype(int)).max(axis=(1, 2, 3))[normal] == 127).all()
    assert all(s == np.float32(s) for s in quant.scale)


@given(weights)
def test_one_scale_for_all(w):
    q, quant = quantize_weights(w, None, 1.0, None)
    assert quant.axis is None
    assert (abs(q * np.float64(quant.scale[0]) - w) <= quant.scale[0] * 0.5000001).all()


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6))
def test_a_range_keeps_zero_exact_and_clips_at_most_one_step(a, b):
    r = Range(min(a, b), max(a, b))
    quant = range_to_quant(r)
    (scale,), (zero_point,) = quant.scale, quant.zero_point
    assert -128 <= zero_point <= 127
    assert (-128 - zero_point) * scale <= r.lo + scale and (127 - zero_point) * scale >= r.hi - scale


def test_relu_uses_all_codes():
    assert range_to_quant(Range(0.0, 6.0)).zero_point == (-128,)
    assert range_to_quant(Range(0.5, 6.0)).zero_point == (-128,)
    assert range_to_quant(Range(-2.0, -1.0)).zero_point == (127,)
    assert range_to_quant(Range(0.0, 0.0)).scale == (1.0,)


def test_scales_are_no_less_than_asked_for():
    w = np.array([1e-6, 0.0, 12.7], np.float32).reshape(3, 1, 1, 1)
    q, quant = quantize_weights(w, 0, 1.0, None, least=1e-3)
    assert q.ravel().tolist() == [0, 0, 127]
    assert np.allclose(quant.scale, [1e-3, 1e-3, 0.1])
