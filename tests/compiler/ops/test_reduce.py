import numpy as np
import pytest
from onnx import helper

from edgec.compiler.importer import import_onnx
from edgec.compiler.ops.reference import run_graph
from edgec.tests.compiler.ops.conftest import make_model

KINDS = [
    "ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1", "ReduceL2", "ReduceSumSquare",
    "ReduceLogSum", "ReduceLogSumExp",
]  # fmt: skip


@pytest.mark.parametrize("op", KINDS)
@pytest.mark.parametrize("axes", [[0], [1, -1], [2, 1, 0], None])
@pytest.mark.parametrize("keepdims", [0, 1])
def test_axes_as_attribute_and_as_input(against_ort, rng, op, axes, keepdims):
    x = {"x": rng.uniform(0.1 if op == "ReduceLogSum" else -3, 3, (2, 3, 4)).astype(np.float32)}
    attrs = {} if axes is None else {"axes": axes}
    against_ort(helper.make_node(op, ["x"], ["y"], keepdims=keepdims, **attrs), x, opset=11)
    constants = {} if axes is None else {"a": np.array(axes, np.int64)}
    against_ort(helper.make_node(op, ["x", *constants], ["y"], keepdims=keepdims), x, constants, opset=18)


def test_no_axes_may_mean_no_reduction(against_ort, rng):
    node = helper.make_node("ReduceSum", ["x", "a"], ["y"], noop_with_empty_axes=1)
    against_ort(node, {"x": rng.normal(size=(2, 3)).astype(np.float32)}, {"a": np.zeros(0, np.int64)})


@pytest.mark.parametrize("op", ["ReduceSum", "ReduceMean", "ReduceMax", "ReduceProd", "ReduceSumSquare"])
def test_integers(against_ort, rng, op):
    x = rng.integers(-9, 9, (3, 4)).astype(np.int32)
    against_ort(helper.make_node(op, ["x"], ["y"]), {"x": x}, outputs={"y": "int32"})


@pytest.mark.parametrize("op", ["ReduceSum", "ReduceProd", "ReduceMax", "ReduceMin", "ReduceL1", "ReduceLogSum"])
def test_no_elements(op):
    """What nothing adds up to; the input is not read."""
    model = make_model(
        [helper.make_node(op, ["x", "a"], ["y"])], {"x": np.zeros((2, 0), np.float32)}, {"a": np.array([1])},
        {"y": "float32"}, 20,
    )  # fmt: skip
    (got,) = run_graph(import_onnx(model), {"x": np.zeros((2, 0), np.float32)}).values()
    expected = {"ReduceProd": 1, "ReduceMax": -np.inf, "ReduceMin": np.inf, "ReduceLogSum": -np.inf}.get(op, 0)
    np.testing.assert_array_equal(got, np.full((2, 1), expected, np.float32))


def test_log_sum_exp_of_large_numbers(against_ort):
    """exp of them would be infinite."""
    x = np.array([[1000.0, 1001.0], [-1000.0, -1001.0]], np.float32)
    against_ort(helper.make_node("ReduceLogSumExp", ["x"], ["y"], axes=[1]), {"x": x})


@pytest.mark.parametrize("axis", [0, 1, 2, -1])
@pytest.mark.parametrize("opset", [9, 11, 13])
@pytest.mark.parametrize("op", ["Softmax", "LogSoftmax"])
def test_softmax(against_ort, rng, op, opset, axis):
    x = (rng.normal(size=(2, 3, 4)) * 5).astype(np.float32)
    against_ort(helper.make_node(op, ["x"], ["y"], axis=axis), {"x": x}, opset=opset)


@pytest.mark.parametrize("op", ["Softmax", "LogSoftmax"])
def test_softmax_of_float64(against_ort, rng, op):
    x = rng.normal(size=(2, 3, 4)) * 300
    against_ort(helper.make_node(op, ["x"], ["y"], axis=1), {"x": x}, outputs={"y": "float64"}, tolerance=1e-12)


@pytest.mark.parametrize("size", [1, 3, 5])
def test_lrn(against_ort, rng, size):
    x = rng.normal(size=(2, 7, 3, 4)).astype(np.float32)
    against_ort(helper.make_node("LRN", ["x"], ["y"], size=size, alpha=2e-3, beta=0.6, bias=1.5), {"x": x})


def test_axis_outside_the_tensor(import_error):
    node = helper.make_node("ReduceMean", ["x"], ["y"], name="r", axes=[5])
    assert "axis 5 is outside" in import_error(node, {"x": np.zeros((2, 3), np.float32)})
