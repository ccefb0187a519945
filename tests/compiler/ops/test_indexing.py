"""Ops that index, select, sort and sample, against ONNX Runtime."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper

DTYPES = ["float32", "int8", "uint8", "int32", "int64", "bool"]


def floats(rng, *shape):
    return rng.normal(size=shape).astype(np.float32)


def ints(*values):
    return np.array(values, np.int64)


def elements(rng, dtype, *shape):
    return rng.integers(0, 2 if dtype == "bool" else 100, shape).astype(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_gather_elements(against_ort, rng, dtype, axis):
    inputs = {"x": elements(rng, dtype, 3, 4, 3), "i": rng.integers(-3, 3, (2, 3, 3))}
    against_ort(helper.make_node("GatherElements", ["x", "i"], ["y"], axis=axis), inputs, outputs={"y": dtype})


@pytest.mark.parametrize(("batch", "depth"), [(0, 1), (0, 3), (1, 1), (1, 2), (2, 1)])
def test_gather_nd(against_ort, rng, batch, depth):
    inputs = {"x": floats(rng, 3, 3, 4, 2), "i": rng.integers(-2, 2, (3, 3, 2, depth))}
    against_ort(helper.make_node("GatherND", ["x", "i"], ["y"], batch_dims=batch), inputs)


@pytest.mark.parametrize("dtype", ["float32", "int32", "int64"])
@pytest.mark.parametrize("reduction", ["none", "add", "mul", "min", "max"])
@pytest.mark.parametrize("axis", [0, 2])
def test_scatter_elements(against_ort, rng, dtype, reduction, axis):
    """Duplicate indices are the rule; without a reduction ONNX leaves them open, so there are none then."""
    indices = np.argsort(rng.random((3, 4, 5)), axis) if reduction == "none" else rng.integers(-3, 3, (3, 4, 5))
    inputs = {"x": elements(rng, dtype, 3, 4, 5), "i": indices, "u": elements(rng, dtype, 3, 4, 5)}
    node = helper.make_node("ScatterElements", ["x", "i", "u"], ["y"], axis=axis, reduction=reduction)
    against_ort(node, inputs, outputs={"y": dtype}, opset=18)


@pytest.mark.parametrize("reduction", ["none", "add", "mul", "min", "max"])
@pytest.mark.parametrize("depth", [1, 2, 3])
def test_scatter_nd(against_ort, rng, reduction, depth):
    count = 3 if reduction == "none" else 7
    rows = rng.permutation(4)[:count] if reduction == "none" else rng.integers(-4, 4, count)
    indices = np.concatenate([rows[:, None], rng.integers(0, 3, (count, depth - 1))], 1).astype(np.int64)
    inputs = {"x": floats(rng, 4, 3, 5), "i": indices, "u": floats(rng, count, *(4, 3, 5)[depth:])}
    against_ort(helper.make_node("ScatterND", ["x", "i", "u"], ["y"], reduction=reduction), inputs, opset=18)


@pytest.mark.parametrize("dtype", ["float32", "int8", "int32", "int64"])
@pytest.mark.parametrize("largest", [0, 1])
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_top_k(against_ort, rng, dtype, largest, axis):
    node = helper.make_node("TopK", ["x", "k"], ["v", "i"], axis=axis, largest=largest)
    x = {"x": rng.integers(-3, 4, (6, 7, 5)).astype(dtype)}
    against_ort(node, x, {"k": ints(4)}, {"v": dtype, "i": "int64"})


@pytest.mark.parametrize("op", ["ArgMax", "ArgMin"])
@pytest.mark.parametrize("last", [0, 1])
def test_arg(against_ort, rng, op, last):
    for axis, keepdims, dtype in ((0, 1, "float32"), (-1, 0, "int32"), (1, 0, "float32")):
        node = helper.make_node(op, ["x"], ["y"], axis=axis, keepdims=keepdims, select_last_index=last)
        against_ort(node, {"x": rng.integers(0, 3, (3, 4, 5)).astype(dtype)}, outputs={"y": "int64"})


@pytest.mark.parametrize("dtype", ["float32", "int32", "int64"])
def test_cum_sum(against_ort, rng, dtype):
    for axis, exclusive, reverse in ((0, 0, 0), (1, 1, 0), (-1, 0, 1), (1, 1, 1)):
        node = helper.make_node("CumSum", ["x", "a"], ["y"], exclusive=exclusive, reverse=reverse)
        against_ort(node, {"x": elements(rng, dtype, 3, 4, 5)}, {"a": ints(axis)}, {"y": dtype})


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_one_hot(against_ort, rng, axis):
    inputs = {"i": rng.integers(-6, 6, (2, 3)), "v": np.array([-1, 2], np.float32)}
    against_ort(helper.make_node("OneHot", ["i", "d", "v"], ["y"], axis=axis), inputs, {"d": ints(4)})


def test_hardmax(against_ort, rng):
    x = {"x": rng.integers(0, 3, (3, 4, 5)).astype(np.float32)}
    for axis in (0, 1, -1):
        against_ort(helper.make_node("Hardmax", ["x"], ["y"], axis=axis), x)
        against_ort(helper.make_node("Hardmax", ["x"], ["y"], axis=axis), x, opset=11)


@pytest.mark.parametrize("upper", [0, 1])
@pytest.mark.parametrize("constant", [True, False])
def test_trilu(against_ort, rng, upper, constant):
    x, k = {"x": floats(rng, 2, 4, 5)}, {"k": np.array(-1 if upper else 1)}
    node = helper.make_node("Trilu", ["x", "k"], ["y"], upper=upper)
    against_ort(node, *((x, k) if constant else (x | k, {})))


@pytest.mark.parametrize("time", [0, 1])
def test_reverse_sequence(against_ort, rng, time):
    inputs = {"x": floats(rng, 4, 4, 3), "n": ints(1, 4, 0, 3)}
    inputs["n"] = np.maximum(inputs["n"], 1)
    node = helper.make_node("ReverseSequence", ["x", "n"], ["y"], time_axis=time, batch_axis=1 - time)
    against_ort(node, inputs)


@pytest.mark.parametrize("mode", ["wrap", "reflect"])
@pytest.mark.parametrize("pads", [(0, 2, 1, 3), (2, 3, 0, 0), (-1, 1, 2, -1)])
def test_pads_of_all_of_the_tensor(against_ort, rng, mode, pads):
    node = helper.make_node("Pad", ["x", "p"], ["y"], mode=mode)
    against_ort(node, {"x": floats(rng, 4, 4)}, {"p": ints(*pads)}, opset=19)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(data=st.data())
def test_grid_sample(against_ort, data):
    """Some positions lie far outside, some exactly on pixels and borders."""
    mode = data.draw(st.sampled_from(["bilinear", "nearest", "bicubic"]))
    padding = data.draw(st.sampled_from(["zeros", "border", "reflection"]))
    aligned = data.draw(st.integers(0, 1))
    plane = [data.draw(st.integers(1 + (mode == "bicubic"), 6)) for _ in range(2)]
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    grid = rng.uniform(-3, 3, (2, 3, 4, 2)).astype(np.float32)
    grid[0, 0, :2] = np.array([[-1, 1], [0, 0.5]])
    node = helper.make_node("GridSample", ["x", "g"], ["y"], mode=mode, padding_mode=padding, align_corners=aligned)
    against_ort(node, {"x": floats(rng, 2, 3, *plane), "g": grid}, opset=16, tolerance=1e-4)


@pytest.mark.parametrize("mode", ["avg", "max"])
@pytest.mark.parametrize("coordinates", ["half_pixel", "output_half_pixel"])
@pytest.mark.parametrize("ratio", [0, 2])
def test_roi_align(against_ort, rng, mode, coordinates, ratio):
    corners = rng.uniform(-2, 12, (5, 2))
    rois = np.concatenate([corners, corners + rng.uniform(0, 15, (5, 2))], 1).astype(np.float32)
    node = helper.make_node(
        "RoiAlign", ["x", "r", "b"], ["y"], mode=mode, coordinate_transformation_mode=coordinates, sampling_ratio=ratio,
        output_height=3, output_width=2, spatial_scale=0.5,
    )  # fmt: skip
    inputs = {"x": floats(rng, 2, 3, 7, 8), "r": rois, "b": ints(0, 1, 1, 0, 1)}
    against_ort(node, inputs, opset=16, tolerance=1e-4)


def test_det(against_ort, rng):
    for n in (1, 2, 3, 5):
        against_ort(helper.make_node("Det", ["x"], ["y"]), {"x": floats(rng, 2, 3, n, n)}, tolerance=1e-4)


def test_max_unpool(against_ort, rng):
    nodes = [
        helper.make_node("MaxUnpool", ["x", "i"], ["y"], kernel_shape=[2, 2], strides=[2, 2]),
    ]
    places = np.arange(2 * 3 * 4 * 6).reshape(2, 3, 4, 6)[:, :, ::2, 1::2]
    against_ort(nodes, {"x": floats(rng, 2, 3, 2, 3), "i": places})


def test_col2im(against_ort, rng):
    node = helper.make_node("Col2Im", ["x", "i", "k"], ["y"], dilations=[1, 2], pads=[1, 0, 1, 1], strides=[2, 1])
    against_ort(node, {"x": floats(rng, 2, 3 * 6, 3 * 3)}, {"i": ints(5, 6), "k": ints(2, 3)}, opset=18)


def test_affine_grid_and_center_crop_pad(against_ort, rng):
    for aligned in (0, 1):
        node = helper.make_node("AffineGrid", ["t", "s"], ["y"], align_corners=aligned)
        against_ort(node, {"t": floats(rng, 2, 2, 3)}, {"s": ints(2, 3, 4, 5)}, opset=20)
    node = helper.make_node("CenterCropPad", ["x", "s"], ["y"], axes=[0, -1])
    against_ort(node, {"x": floats(rng, 5, 4, 3)}, {"s": ints(2, 8)}, opset=18)


@pytest.mark.parametrize("op", ["NonZero", "Compress", "Unique"])
def test_sizes_of_known_data_are_known(against_ort, rng, op):
    x = {"x": floats(rng, 2, 3)}
    if op == "NonZero":
        nodes, constants = [helper.make_node("NonZero", ["c"], ["y"])], {"c": rng.integers(0, 2, (3, 4))}
    elif op == "Compress":
        nodes, constants = (
            [helper.make_node("Compress", ["x", "c"], ["y"], axis=1)],
            {"c": np.array([True, False, True])},
        )
    else:
        nodes = [helper.make_node("Unique", ["c"], ["y", "f", "i", "n"], sorted=0)]
        constants = {"c": ints(4, 2, 4, 4, -1, 2)}
    nodes.append(helper.make_node("Identity", ["x"], ["z"]))
    types = {"y": "float32" if op == "Compress" else "int64"} | ({n: "int64" for n in "fin"} if op == "Unique" else {})
    against_ort(nodes, x, constants, {**types, "z": "float32"})


def test_errors(import_error, rng):
    node = helper.make_node("GatherND", ["x", "i"], ["y"], name="n", batch_dims=3)
    assert "batch" in import_error(node, {"x": floats(rng, 3, 4), "i": ints([0])})
    node = helper.make_node("Det", ["x"], ["y"], name="n")
    assert "square" in import_error(node, {"x": floats(rng, 3, 4)})


def test_sizes_are_bounded(import_error, rng):
    """What a malformed model asks for is refused before anything of that size is made."""
    huge = ints(2**40)
    node = helper.make_node("OneHot", ["i", "d", "v"], ["y"], name="n")
    assert "depth" in import_error(node, {"i": ints(1, 2), "v": np.zeros(2, np.float32)}, {"d": huge})
    node = helper.make_node("AffineGrid", ["t", "s"], ["y"], name="n")
    assert "size" in import_error(node, {"t": floats(rng, 1, 2, 3)}, {"s": ints(1, 1, 2, 2**40)}, opset=20)
    node = helper.make_node("Col2Im", ["x", "i", "k"], ["y"], name="n")
    constants = {"i": ints(2, 2**40), "k": ints(2, 2)}
    assert "windows" in import_error(node, {"x": floats(rng, 1, 4, 3)}, constants, opset=18)
    node = helper.make_node("CenterCropPad", ["x", "s"], ["y"], name="n", axes=[0])
    assert "bytes" in import_error(node, {"x": floats(rng, 4, 4)}, {"s": huge}, opset=18)
    node = helper.make_node("Pad", ["x", "p"], ["y"], name="n", mode="wrap")
    assert "not possible" in import_error(node, {"x": floats(rng, 4)}, {"p": ints(0, 2**40)}, opset=19)
    node = helper.make_node("TopK", ["x", "k"], ["y", "i"], name="n")
    assert "of 4 elements" in import_error(node, {"x": floats(rng, 4)}, {"k": huge})
