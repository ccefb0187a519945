import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper


@st.composite
def convolutions(draw, transposed=False):
    """(x, w, bias, attributes) of a small convolution of one to three dimensions."""
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    dims, groups = draw(st.sampled_from([1, 2, 2, 3])), draw(st.sampled_from([1, 1, 2, 3]))
    per_group, out_per_group = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    kernel = [draw(st.integers(1, 3)) for _ in range(dims)]
    plane = [draw(st.integers(5, 9)) for _ in range(dims)]
    attrs = {
        "strides": [draw(st.integers(1, 3)) for _ in range(dims)],
        "dilations": [draw(st.integers(1, 2)) for _ in range(dims)],
        "group": groups,
    }
    auto_pad = draw(st.sampled_from(["NOTSET", "NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"]))
    if auto_pad == "NOTSET":
        attrs["pads"] = [draw(st.integers(0, k - 1)) for k in kernel * 2]
    else:
        attrs["auto_pad"] = auto_pad
    if "SAME" in auto_pad:
        attrs["dilations"] = [1] * dims  # ONNX Runtime has no other
    if transposed and "SAME" in auto_pad:
        attrs["strides"] = [min(s, k) for s, k in zip(attrs["strides"], kernel, strict=True)]
    if transposed and auto_pad == "NOTSET":
        attrs["output_padding"] = [draw(st.integers(0, s - 1)) for s in attrs["strides"]]
    shape = (groups * per_group, out_per_group) if transposed else (groups * out_per_group, per_group)
    x = rng.normal(size=(draw(st.integers(1, 2)), groups * per_group, *plane)).astype(np.float32)
    w = rng.normal(size=(*shape, *kernel)).astype(np.float32)
    bias = rng.normal(size=groups * out_per_group).astype(np.float32) if draw(st.booleans()) else None
    return x, w, bias, attrs


def constants_of(w, bias):
    return {"w": w} if bias is None else {"w": w, "b": bias}


@settings(max_examples=60, deadline=None, derandomize=True)
@given(case=convolutions())
def test_conv(against_ort, case):
    x, w, bias, attrs = case
    constants = constants_of(w, bias)
    graph = against_ort(helper.make_node("Conv", ["x", *constants], ["y"], **attrs), {"x": x}, constants)
    assert sum(node.op == "conv2d" for node in graph.nodes) == 1


@settings(max_examples=60, deadline=None, derandomize=True)
@given(case=convolutions(transposed=True))
def test_conv_transpose(against_ort, case):
    x, w, bias, attrs = case
    constants = constants_of(w, bias)
    against_ort(
        helper.make_node("ConvTranspose", ["x", *constants], ["y"], **attrs), {"x": x}, constants, tolerance=2e-5
    )


def test_conv_transpose_output_shape(against_ort, rng):
    x, w = rng.normal(size=(1, 2, 4, 5)).astype(np.float32), rng.normal(size=(2, 3, 3, 3)).astype(np.float32)
    node = helper.make_node("ConvTranspose", ["x", "w"], ["y"], strides=[2, 2], output_shape=[8, 10])
    against_ort(node, {"x": x}, {"w": w})


def test_conv_keeps_the_names_of_the_model(against_ort, rng):
    x, w = rng.normal(size=(1, 2, 4, 4)).astype(np.float32), rng.normal(size=(3, 2, 1, 1)).astype(np.float32)
    graph = against_ort(helper.make_node("Conv", ["x", "w"], ["y"], name="/stem/Conv"), {"x": x}, {"w": w})
    (conv,) = graph.nodes
    assert (conv.name, conv.output.name, conv.inputs[1].name) == ("/stem/Conv", "y", "w")


@pytest.mark.parametrize(
    ("x", "w", "attrs", "message"),
    [
        ((1, 3, 8, 8), (4, 2, 3, 3), {}, "weights .* do not fit an input of 3 channels"),
        ((1, 2, 4, 4), (4, 2, 5, 5), {}, "window .* is larger than the padded"),
        ((1, 2, 4, 4), (4, 2, 3, 3), {"kernel_shape": [1, 1]}, "kernel_shape .* contradicts"),
        ((1, 2, 4, 4), (4, 2, 3, 3), {"strides": [0, 1]}, "must be positive"),
        ((1, 2, 4, 4), (4, 2, 3, 3), {"pads": [1]}, "'pads' has 1 entries, but must have 4"),
        ((1, 2, 4, 4, 4, 4), (4, 2, 3, 3, 3, 3), {}, "1-d, 2-d and 3-d convolutions are supported"),
        ((1, 2, 4, 4), (4, 2, 3, 3), {"pads": [2**40] * 4}, "padded plane"),
    ],
)
def test_malformed_conv(import_error, x, w, attrs, message):
    node = helper.make_node("Conv", ["x", "w"], ["y"], name="c", **attrs)
    assert re.search(message, import_error(node, {"x": np.zeros(x, np.float32)}, {"w": np.zeros(w, np.float32)}))
