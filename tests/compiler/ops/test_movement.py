"""Ops that move elements: slices, pads, concatenations, reshapes, transposes, gathers, broadcasts, constants."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper


def floats(rng, *shape):
    return rng.normal(size=shape).astype(np.float32)


def ints(*values):
    return np.array(values, np.int64)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(data=st.data())
def test_slice(against_ort, data):
    x = np.arange(60, dtype=np.float32).reshape(3, 4, 5)
    axes = data.draw(st.lists(st.sampled_from([0, 1, 2]), min_size=1, max_size=3, unique=True))
    steps = [data.draw(st.sampled_from([1, 1, 2, 3, -1, -2])) for _ in axes]
    starts = [data.draw(st.integers(-7, 7)) for _ in axes]
    to_the_end = [st.sampled_from([2**31 - 1, 2**63 - 1] if step > 0 else [-(2**31), -(2**63)]) for step in steps]
    ends = [data.draw(st.integers(-7, 7) | end) for end in to_the_end]
    constants = {"s": ints(*starts), "e": ints(*ends), "a": ints(*axes), "t": ints(*steps)}
    against_ort(helper.make_node("Slice", ["x", *constants], ["y"]), {"x": x}, constants)


def test_slice_of_opset_9(against_ort, rng):
    node = helper.make_node("Slice", ["x"], ["y"], starts=[1, -3], ends=[9, -1], axes=[0, 2])
    against_ort(node, {"x": floats(rng, 3, 4, 5)}, opset=9)


@pytest.mark.parametrize(
    ("mode", "pads"),
    [
        *((mode, (0, 0, 1, 2, 0, 0, 2, 1)) for mode in ("constant", "edge", "reflect")),
        *((mode, (1, 0, 0, 0, 0, 1, 0, 0)) for mode in ("constant", "edge")),
        *((mode, (0, 0, -1, 1, 0, 0, 1, -2)) for mode in ("constant", "edge")),
    ],
)
def test_pad(against_ort, rng, mode, pads):
    x, constants = {"x": floats(rng, 1, 3, 4, 5)}, {"p": ints(*pads), "v": np.float32(0.5)}
    against_ort(helper.make_node("Pad", ["x", "p", "v"], ["y"], mode=mode), x, constants, opset=13)
    against_ort(helper.make_node("Pad", ["x"], ["y"], mode=mode, pads=pads, value=0.5), x, opset=10)


def test_pad_along_axes(against_ort, rng):
    constants = {"p": ints(1, 2, 3, 0), "v": np.float32(-1), "a": ints(-1, 1)}
    against_ort(helper.make_node("Pad", ["x", *constants], ["y"]), {"x": floats(rng, 2, 3, 4)}, constants, opset=18)


@pytest.mark.parametrize("value", [2**63 - 1, 2**53 + 1, -(2**63)])
def test_pad_with_integers_that_no_float_is(against_ort, value):
    node = helper.make_node("Pad", ["x", "p", "v"], ["y"])
    against_ort(node, {"x": np.arange(4)}, {"p": ints(1, 2), "v": np.int64(value)}, outputs={"y": "int64"})


def test_pad_of_booleans(against_ort):
    node = helper.make_node("Pad", ["x", "p", "v"], ["y"])
    against_ort(node, {"x": np.zeros(4, bool)}, {"p": ints(1, 2), "v": np.array(True)}, outputs={"y": "bool"})


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_concat(against_ort, rng, axis):
    inputs = {"a": floats(rng, 2, 3, 4), "b": floats(rng, 2, 3, 4)}
    against_ort(helper.make_node("Concat", ["a", "c", "b"], ["y"], axis=axis), inputs, {"c": floats(rng, 2, 3, 4)})


def test_split(against_ort, rng):
    x, outputs = {"x": floats(rng, 2, 7)}, ["a", "b", "c"]
    against_ort(helper.make_node("Split", ["x"], outputs, axis=1, split=[1, 4, 2]), x, opset=11)
    against_ort(helper.make_node("Split", ["x", "s"], outputs, axis=-1), x, {"s": ints(1, 4, 2)}, opset=13)
    against_ort(helper.make_node("Split", ["x"], outputs, axis=1, num_outputs=3), x, opset=18)


@pytest.mark.parametrize("shape", [(6, 4), (-1, 2), (0, 0, 2, 2), (2, -1, 1), (24,)])
def test_reshape(against_ort, rng, shape):
    against_ort(helper.make_node("Reshape", ["x", "s"], ["y"]), {"x": floats(rng, 2, 3, 4)}, {"s": ints(*shape)})


@pytest.mark.parametrize("axis", [0, 1, 2, 3, -1])
def test_flatten(against_ort, rng, axis):
    against_ort(helper.make_node("Flatten", ["x"], ["y"], axis=axis), {"x": floats(rng, 2, 3, 4)})


def test_squeeze_and_unsqueeze(against_ort, rng):
    x, axes = {"x": floats(rng, 1, 3, 1, 4)}, {"a": ints(0, -2)}
    against_ort(helper.make_node("Squeeze", ["x"], ["y"], axes=[0, -2]), x, opset=11)
    against_ort(helper.make_node("Squeeze", ["x", "a"], ["y"]), x, axes)
    against_ort(helper.make_node("Squeeze", ["x"], ["y"]), x)
    against_ort(helper.make_node("Unsqueeze", ["x"], ["y"], axes=[0, 3]), x, opset=11)
    against_ort(helper.make_node("Unsqueeze", ["x", "a"], ["y"]), x, axes)


@pytest.mark.parametrize("perm", [None, (0, 2, 3, 1), (3, 1, 0, 2)])
def test_transpose(against_ort, rng, perm):
    attrs = {} if perm is None else {"perm": perm}
    against_ort(helper.make_node("Transpose", ["x"], ["y"], **attrs), {"x": floats(rng, 2, 3, 4, 5)})


def test_depth_and_space(against_ort, rng):
    for mode in ("DCR", "CRD"):
        node = helper.make_node("DepthToSpace", ["x"], ["y"], blocksize=2, mode=mode)
        against_ort(node, {"x": floats(rng, 2, 8, 3, 4)}, opset=13)
    against_ort(helper.make_node("SpaceToDepth", ["x"], ["y"], blocksize=2), {"x": floats(rng, 2, 3, 4, 6)}, opset=13)


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("indices", [[0, 2, 1], [[-1, 0], [1, -2]], 1])
@pytest.mark.parametrize("constant", [True, False])
def test_gather(against_ort, rng, axis, indices, constant):
    x, i = {"x": floats(rng, 3, 4, 3)}, {"i": np.array(indices, np.int64)}
    node = helper.make_node("Gather", ["x", "i"], ["y"], axis=axis)
    against_ort(node, *((x, i) if constant else (x | i, {})))


def test_expand_and_tile(against_ort, rng):
    x = {"x": floats(rng, 3, 1, 2)}
    against_ort(helper.make_node("Expand", ["x", "s"], ["y"]), x, {"s": ints(2, 1, 4, 1)})
    against_ort(helper.make_node("Tile", ["x", "r"], ["y"]), x, {"r": ints(2, 3, 1)})


def test_shapes_become_constants(against_ort, rng):
    """The way exporters flatten: Shape, Slice, Concat with -1, Reshape."""
    nodes = [
        helper.make_node("Shape", ["x"], ["shape"]),
        helper.make_node("Gather", ["shape", "zero"], ["batch"], axis=0),
        helper.make_node("Unsqueeze", ["batch", "axes"], ["batch1"]),
        helper.make_node("Concat", ["batch1", "minus"], ["target"], axis=0),
        helper.make_node("Reshape", ["x", "target"], ["y"]),
    ]
    constants = {"zero": np.array(0, np.int64), "axes": ints(0), "minus": ints(-1)}
    graph = against_ort(nodes, {"x": floats(rng, 2, 3, 4)}, constants)
    assert [node.op for node in graph.nodes] == ["reshape"]


def test_constants(against_ort, rng):
    nodes = [
        helper.make_node("ConstantOfShape", ["s"], ["a"], value=helper.make_tensor("v", 1, [1], [1.5])),
        helper.make_node("Range", ["zero", "six", "two"], ["b"]),
        helper.make_node("Constant", [], ["c"], value_float=2.0),
        helper.make_node("Size", ["x"], ["n"]),
        helper.make_node("Cast", ["n"], ["d"], to=1),
        helper.make_node("Sum", ["x", "a", "b", "c", "d"], ["y"]),
    ]
    constants = {"s": ints(2, 3), "zero": np.float32(0), "six": np.float32(6), "two": np.float32(2)}
    against_ort(nodes, {"x": floats(rng, 2, 3)}, constants)


def test_dropout_and_identity_leave_no_trace(against_ort, rng):
    nodes = [
        helper.make_node("Dropout", ["x"], ["a", "unused_mask"]),
        helper.make_node("Identity", ["a"], ["b"]),
        helper.make_node("Relu", ["b"], ["y"]),
    ]
    assert len(against_ort(nodes, {"x": floats(rng, 2, 3)}).nodes) == 1


def test_an_output_that_nothing_computes_is_copied(against_ort, rng):
    nodes = [
        helper.make_node("Identity", ["x"], ["a"]),
        helper.make_node("Identity", ["x"], ["b"]),
        helper.make_node("Identity", ["c"], ["d"]),
    ]
    against_ort(nodes, {"x": floats(rng, 2)}, {"c": floats(rng, 3)}, {"a": "float32", "b": "float32", "d": "float32"})


@pytest.mark.parametrize(
    ("node", "constants", "message"),
    [
        (("Reshape", {}), [5, 5], "cannot become [5, 5]"),
        (("Reshape", {}), [-1, -1], "malformed"),
        (("Expand", {}), [3, 3], "do not broadcast"),
        (("Tile", {}), [2**16, 2**16], "at most"),
        (("Gather", {"axis": 7}), [0], "axis 7 is outside"),
        (("Gather", {}), [9], "reach outside"),
    ],
)
def test_malformed(import_error, rng, node, constants, message):
    op, attrs = node
    made = helper.make_node(op, ["x", "c"], ["y"], name="n", **attrs)
    assert message in import_error(made, {"x": floats(rng, 2, 4)}, {"c": ints(*constants)})


@pytest.mark.parametrize("start", [0, 3, -4])
@pytest.mark.parametrize("constant", ["end", "both"])
def test_slice_from_a_computed_start(against_ort, rng, start, constant):
    """x[:, i : i + 3], and two offsets from the same number."""
    names = ["begin", "end"] if constant == "both" else ["i", "end"]
    nodes = [
        helper.make_node("Add", ["i", "one"], ["begin"]),
        helper.make_node("Unsqueeze", ["scalar", "zero"], ["i"]),
        helper.make_node("Add", ["begin" if constant == "both" else "i", "three"], ["end"]),
        helper.make_node("Slice", ["x", *names, "one"], ["y"]),
    ]
    nodes = [nodes[1], nodes[0], *nodes[2:]] if constant == "both" else [nodes[1], *nodes[2:]]
    constants = {"one": ints(1), "three": ints(3), "zero": ints(0)}
    if start < 0:
        constants["three"] = ints(2)  # so that the end stays negative
    x = {"x": floats(rng, 2, 8), "scalar": np.array(start)}
    against_ort(nodes, x, constants)
