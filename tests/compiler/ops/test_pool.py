import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from onnx import helper


@st.composite
def pools(draw):
    """(x, attributes) of a small pool of one to three dimensions."""
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    dims = draw(st.sampled_from([1, 2, 2, 3]))
    kernel = [draw(st.integers(1, 3)) for _ in range(dims)]
    attrs = {"kernel_shape": kernel, "strides": [draw(st.integers(1, 3)) for _ in range(dims)]}
    auto_pad = draw(st.sampled_from(["NOTSET", "NOTSET", "NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"]))
    if auto_pad == "NOTSET":
        attrs["pads"] = [draw(st.integers(0, k - 1)) for k in kernel * 2]
        attrs["ceil_mode"] = draw(st.integers(0, 1))
    else:
        attrs["auto_pad"] = auto_pad
        attrs["strides"] = [min(s, k) for s, k in zip(attrs["strides"], kernel, strict=True)]
    x = rng.normal(size=(2, 3, *[draw(st.integers(4, 8)) for _ in range(dims)])).astype(np.float32)
    return x, attrs


@settings(max_examples=80, deadline=None, derandomize=True)
@given(case=pools(), dilation=st.integers(1, 2))
def test_max_pool(against_ort, case, dilation):
    x, attrs = case
    if "auto_pad" not in attrs:
        attrs["dilations"] = [dilation] * (x.ndim - 2)
        assume(all(d >= (k - 1) * dilation + 1 for d, k in zip(x.shape[2:], attrs["kernel_shape"], strict=True)))
    against_ort(helper.make_node("MaxPool", ["x"], ["y"], **attrs), {"x": x})


@settings(max_examples=80, deadline=None, derandomize=True)
@given(case=pools(), include=st.integers(0, 1))
def test_average_pool(against_ort, case, include):
    x, attrs = case
    against_ort(helper.make_node("AveragePool", ["x"], ["y"], count_include_pad=include, **attrs), {"x": x})


@pytest.mark.parametrize("op", ["GlobalAveragePool", "GlobalMaxPool"])
@pytest.mark.parametrize("shape", [(2, 3, 5, 7), (2, 3, 6), (1, 2, 3, 4, 2)])
def test_global_pools(against_ort, rng, op, shape):
    graph = against_ort(helper.make_node(op, ["x"], ["y"]), {"x": rng.normal(size=shape).astype(np.float32)})
    assert len(graph.nodes) == 1


def test_max_pool_of_int8(against_ort, rng):
    x = rng.integers(-128, 128, (1, 2, 5, 5)).astype(np.int8)
    node = helper.make_node("MaxPool", ["x"], ["y"], kernel_shape=[3, 3], pads=[1, 1, 1, 1])
    against_ort(node, {"x": x}, outputs={"y": "int8"})


@settings(max_examples=40, deadline=None, derandomize=True)
@given(case=pools(), order=st.integers(0, 1))
def test_where_maxima_are(against_ort, case, order):
    x, attrs = case
    x = np.round(x * 2)  # equal maxima: the first counts
    node = helper.make_node("MaxPool", ["x"], ["y", "i"], storage_order=order, **attrs)
    against_ort(node, {"x": x}, outputs={"y": "float32", "i": "int64"})


@settings(max_examples=40, deadline=None, derandomize=True)
@given(case=pools(), dilation=st.integers(1, 2), include=st.integers(0, 1))
def test_dilated_average_pool(against_ort, case, dilation, include):
    x, attrs = case
    assume("auto_pad" not in attrs and not attrs["ceil_mode"])
    attrs["dilations"] = [dilation] * (x.ndim - 2)
    assume(all(d >= (k - 1) * dilation + 1 for d, k in zip(x.shape[2:], attrs["kernel_shape"], strict=True)))
    node = helper.make_node("AveragePool", ["x"], ["y"], count_include_pad=include, **attrs)
    against_ort(node, {"x": x}, opset=19)


@pytest.mark.parametrize("p", [1, 2, 3])
def test_lp_pools(against_ort, rng, p):
    x = rng.normal(size=(2, 3, 7, 8)).astype(np.float32)
    node = helper.make_node("LpPool", ["x"], ["y"], p=p, kernel_shape=[3, 2], strides=[2, 1], pads=[1, 0, 1, 1])
    against_ort(node, {"x": x})
    against_ort(helper.make_node("GlobalLpPool", ["x"], ["y"], p=p), {"x": x})


def test_window_larger_than_the_plane(import_error):
    node = helper.make_node("AveragePool", ["x"], ["y"], name="p", kernel_shape=[9, 2])
    assert "larger than the padded" in import_error(node, {"x": np.zeros((1, 1, 4, 4), np.float32)})
