"""Slices whose start or end a run computes, against ONNX Runtime: inside of the tensor, partly and wholly outside."""

import numpy as np
import pytest
from onnx import TensorProto, helper

from edgec import EdgeError
from edgec.compiler.importer import import_onnx
from edgec.compiler.ops.reference import run_graph

node = helper.make_node

STARTS = [*range(-11, 12), 2**40, 2**63 - 9, -(2**40), -(2**63)]
"""Of a dimension of 8 elements."""


def ints(*values):
    return np.array(values, np.int64)


def window(name, start="start", length=3):
    """x[:, start : start + length]"""
    return [node("Add", [start, "length"], ["end"]), node("Slice", ["x", start, "end", "one"], [name])]


CONSTANTS = {"one": ints(1), "length": ints(3)}


@pytest.mark.parametrize("start", STARTS)
def test_window(against_ort, rng, start):
    inputs = {"x": rng.normal(size=(2, 8)).astype(np.float32), "start": ints(start)}
    against_ort(window("y"), inputs, CONSTANTS)


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("step", [1, 3, -1, -2, 2**62, -(2**63)])
@pytest.mark.parametrize("dtype", [np.int32, np.int64])
def test_start_and_end_are_computed_apart(against_ort, rng, start, step, dtype):
    start = int(np.clip(start, np.iinfo(dtype).min, np.iinfo(dtype).max))
    step = int(np.clip(step, np.iinfo(dtype).min, np.iinfo(dtype).max))
    x = rng.normal(size=(2, 8)).astype(np.float32)
    # backwards, ONNX Runtime takes the largest integer to mean the beginning; ONNX does not
    furthest = np.iinfo(dtype).max if step > 0 else np.iinfo(dtype).min
    for end in (-9, -8, -3, 0, 5, 8, 9, furthest):
        inputs = {"x": x, "start": np.array([start], dtype), "end": np.array([end], dtype)}
        constants = {"one": np.array([1], dtype), "step": np.array([step], dtype)}
        against_ort(node("Slice", ["x", "start", "end", "one", "step"], ["y"]), inputs, constants)


@pytest.mark.parametrize("start, end", [(1, 3), (-2, 2**63 - 1), (0, -1), (7, 2), (9, 12)])
def test_one_of_them_is_known(against_ort, rng, start, end):
    x = rng.normal(size=(2, 8)).astype(np.float32)
    slice_ = node("Slice", ["x", "start", "end", "one"], ["y"])
    against_ort(slice_, {"x": x, "start": ints(start)}, {"end": ints(end), "one": ints(1)})
    against_ort(slice_, {"x": x, "end": ints(end)}, {"start": ints(start), "one": ints(1)})


@pytest.mark.parametrize("first, second", [(0, 2), (1, 4), (-1, 3), (5, 5)])
def test_several_dimensions(against_ort, rng, first, second):
    """One is known, the others start at two numbers of one tensor, and end at joined ones."""
    nodes = [
        node("Concat", ["zero", "starts"], ["from"], axis=0),
        node("Add", ["starts", "two"], ["ends"]),
        node("Concat", ["one", "ends"], ["to"], axis=0),
        node("Slice", ["x", "from", "to"], ["y"]),
    ]
    inputs = {"x": rng.normal(size=(3, 5, 6)).astype(np.float32), "starts": ints(first, second)}
    against_ort(nodes, inputs, {"zero": ints(0), "one": ints(1), "two": ints(2)})


@pytest.mark.parametrize(
    "nodes",
    [
        [node("Clip", ["i", "zero", "five"], ["start"])],
        [node("Clip", ["i", "minus", "least"], ["start"])],
        [node("Min", ["i", "five"], ["m"]), node("Max", ["m", "zero"], ["start"])],
        [node("Cast", ["i"], ["c"], to=TensorProto.BOOL), node("Cast", ["c"], ["start"], to=TensorProto.INT64)],
        [node("Clip", ["i", "zero", "one0"], ["k"]), node("Gather", ["places", "k"], ["start"])],
        [
            node("Less", ["i", "zero"], ["n"]), node("Where", ["n", "zero1", "four"], ["w"]),
            node("Mul", ["w", "one"], ["t"]), node("Sub", ["four", "t"], ["start"]),
        ],
    ],
)  # fmt: skip
def test_a_window_that_stays_inside_has_its_size(against_ort, rng, nodes):
    constants = CONSTANTS | {
        "zero": np.array(0), "five": np.array(5), "minus": np.array(-8), "least": np.array(-4), "one0": np.array(1),
        "places": ints(4, 2), "zero1": ints(0), "four": ints(4),
    }  # fmt: skip
    for i in (-(2**62), -5, 0, 1, 3, 2**62):
        inputs = {"x": rng.normal(size=(2, 8)).astype(np.float32), "i": ints(i)}
        used = {name for n in nodes for name in n.input} | {"one", "length"}
        graph = against_ort([*nodes, *window("y")], inputs, {k: v for k, v in constants.items() if k in used})
        assert graph.outputs[0].type.shape == (2, 3)
        assert not {"trim", "require"} & {n.op for n in graph.nodes}


def test_a_clamp_that_arithmetic_leaves_again_proves_nothing(against_ort, rng):
    nodes = [node("Clip", ["i", "zero", "most"], ["c"]), node("Mul", ["c", "four"], ["start"]), *window("y")]
    constants = CONSTANTS | {"zero": np.array(0), "most": np.array(2**62), "four": ints(4)}
    for i in (1, 2**62):
        against_ort(nodes, {"x": rng.normal(size=(2, 8)).astype(np.float32), "i": ints(i)}, constants)


def loop(trips=None, outputs=("h", "y")):
    """Turns of y = x[:, i : i + 3], the last of which stays; i is the turn's number, or a state that grows."""
    count = "i" if trips is not None else "k"
    body = helper.make_graph(
        [
            node("Unsqueeze", [count, "zero"], ["start"]),
            *window("part"),
            node("Add", ["k", "step"], ["k2"]),
            node("Identity", ["c"], ["c2"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("c", TensorProto.BOOL, []),
            helper.make_tensor_value_info("k", TensorProto.INT64, []),
            helper.make_tensor_value_info("p", TensorProto.FLOAT, [2, 3]),
        ],
        [
            helper.make_tensor_value_info("c2", TensorProto.BOOL, []),
            helper.make_tensor_value_info("k2", TensorProto.INT64, []),
            helper.make_tensor_value_info("part", TensorProto.FLOAT, None),
        ],
    )
    return node("Loop", ["trips", "", "k0", "p0"], list(outputs), body=body)


LOOP = CONSTANTS | {"zero": ints(0), "p0": np.zeros((2, 3), np.float32), "step": np.array(1)}


def test_the_number_of_a_turn_stays_inside(against_ort, rng):
    inputs = {"x": rng.normal(size=(2, 202)).astype(np.float32), "k0": np.array(0)}
    graph = against_ort(loop(trips=200), inputs, LOOP | {"trips": np.array(200)}, {"h": "int64", "y": "float32"})
    (looped,) = [n for n in graph.nodes if n.op == "loop"]
    assert "require" not in {n.op for n in looped.regions[0].nodes}


@pytest.mark.parametrize("k0", [0, 2, -203, -3, 3, 100])
def test_a_run_ends_where_a_window_in_a_loop_leaves_the_tensor(against_ort, rng, k0):
    """Its size is fixed there: the state's, and ONNX Runtime's as long as it stays inside."""
    constants = LOOP | {"trips": np.array(200)}
    inputs = {"x": rng.normal(size=(2, 204)).astype(np.float32), "k0": np.array(k0)}
    nodes, outputs = [loop()], {"h": "int64", "y": "float32"}
    if k0 in (0, 2, -203):
        graph = against_ort(nodes, inputs, constants, outputs)
        assert "require" in {n.op for part in graph.graphs() for n in part.nodes}
    else:
        graph = against_ort(nodes, inputs | {"k0": np.array(0)}, constants, outputs)
        with pytest.raises(EdgeError, match="has another size with these inputs than the model is compiled for"):
            run_graph(graph, inputs)


def stated(part, y):
    """A window of a stated shape, as torch exports `narrow`, or before an output of one, and what needs that."""
    graph = helper.make_graph(
        [*window("part"), node("Reshape", ["part", "six"], ["y"])],
        "g",
        [
            helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 8]),
            helper.make_tensor_value_info("start", TensorProto.INT64, [1]),
        ],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, y)],
        [helper.make_tensor(n, TensorProto.INT64, [1], [v]) for n, v in (("one", 1), ("length", 3), ("six", 6))],
        value_info=[helper.make_tensor_value_info("part", TensorProto.FLOAT, part)],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@pytest.mark.parametrize("part, y", [([2, 3], None), (None, [6])])
def test_a_size_that_the_model_states(onnxruntime, rng, part, y):
    model = stated(part, y)
    graph = import_onnx(model)
    for start in (0, 5, -8, -4):
        inputs = {"x": rng.normal(size=(2, 8)).astype(np.float32), "start": ints(start)}
        np.testing.assert_array_equal(run_graph(graph, inputs)["y"], onnxruntime(model, inputs)[0])
    for start in (6, -9, -3, 100):
        with pytest.raises(EdgeError, match="has another size"):
            run_graph(graph, inputs | {"start": ints(start)})


def test_what_is_refused(import_error, rng):
    x, one = {"x": rng.normal(size=(2, 8)).astype(np.float32)}, {"one": ints(1)}
    slice_ = node("Slice", ["x", "i", "j", "one"], ["y"], name="n")
    assert "must be up to 8 integers" in import_error(slice_, x | {"i": np.ones(1, np.float32), "j": ints(3)}, one)
    steps = node("Slice", ["x", "one", "one", "one", "i"], ["y"], name="n")
    assert "its steps ('i') must be a constant" in import_error(steps, x | {"i": ints(1)}, one)
