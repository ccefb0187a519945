"""Normalizations against ONNX Runtime, and what they refuse."""

import numpy as np
import pytest
from onnx import helper

SHAPE = (2, 6, 3, 4)


@pytest.fixture
def data(rng):
    return {"x": rng.normal(1, 2, SHAPE).astype(np.float32)}


def vectors(rng, *names, count=6):
    return {n: rng.uniform(0.5, 2, count).astype(np.float32) for n in names}


@pytest.mark.parametrize("computed", [False, True])
def test_batch(against_ort, rng, data, computed):
    parameters = vectors(rng, "s", "b", "m", "v")
    node = helper.make_node("BatchNormalization", ["x", *parameters], ["y"], epsilon=1e-3)
    against_ort(node, {**data, **parameters} if computed else data, {} if computed else parameters)


def test_batch_in_training(against_ort, rng, data):
    parameters = vectors(rng, "s", "b", "m", "v")
    node = helper.make_node("BatchNormalization", ["x", *parameters], ["y", "p", "q"], training_mode=1, momentum=0.7)
    # ONNX Runtime keeps the unbiased variance; the standard says biased
    against_ort(node, data, parameters, outputs={"y": "float32", "p": "float32"})


@pytest.mark.parametrize("axis", [1, -1, 2])
@pytest.mark.parametrize("bias", [True, False])
def test_layer(against_ort, rng, data, axis, bias):
    trailing = SHAPE[axis:]
    constants = {n: rng.normal(size=trailing).astype(np.float32) for n in ("s", "b")[: 1 + bias]}
    node = helper.make_node("LayerNormalization", ["x", *constants], ["y", "m", "i"], axis=axis, epsilon=1e-3)
    against_ort(node, data, constants, outputs=dict.fromkeys("ymi", "float32"))


def test_layer_with_computed_and_broadcast_scale(against_ort, rng, data):
    data |= {"s": rng.normal(size=4).astype(np.float32)}
    node = helper.make_node("LayerNormalization", ["x", "s", "b"], ["y"], axis=2)
    against_ort(node, data, {"b": rng.normal(size=(3, 4)).astype(np.float32)})


def test_rms(against_ort, rng, data):
    node = helper.make_node("RMSNormalization", ["x", "s"], ["y"], axis=-1, epsilon=1e-3)
    against_ort(node, data, {"s": rng.normal(size=4).astype(np.float32)}, opset=23)


def test_instance(against_ort, rng, data):
    constants = vectors(rng, "s", "b")
    against_ort(helper.make_node("InstanceNormalization", ["x", *constants], ["y"], epsilon=1e-3), data, constants)


@pytest.mark.parametrize(("opset", "count"), [(18, 3), (21, 6)])
def test_group(against_ort, rng, data, opset, count):
    constants = vectors(rng, "s", "b", count=count)
    node = helper.make_node("GroupNormalization", ["x", *constants], ["y"], num_groups=3, epsilon=1e-3)
    against_ort(node, data, constants, opset=opset)


@pytest.mark.parametrize("axes", [None, [1], [2, -1]])
def test_mean_variance(against_ort, data, axes):
    attrs = {} if axes is None else {"axes": axes}
    against_ort(helper.make_node("MeanVarianceNormalization", ["x"], ["y"], **attrs), data)


@pytest.mark.parametrize("p", [1, 2])
@pytest.mark.parametrize("axis", [1, -1])
def test_lp(against_ort, data, p, axis):
    data["x"][0, :, 0, :] = 0
    against_ort(helper.make_node("LpNormalization", ["x"], ["y"], p=p, axis=axis), data)


def test_refusals(import_error, data, rng):
    x = {"x": data["x"]}
    node = helper.make_node("GroupNormalization", name="n", inputs=["x", "s", "b"], outputs=["y"], num_groups=4)
    assert "6 channels do not make 4 groups" in import_error(node, x, vectors(rng, "s", "b"), opset=21)
    node = helper.make_node("LpNormalization", name="n", inputs=["x"], outputs=["y"], p=3)
    assert "'p' is 3" in import_error(node, x)
    node = helper.make_node("LayerNormalization", name="n", inputs=["x", "s"], outputs=["y"], axis=9)
    assert "axis 9 is outside" in import_error(node, x, vectors(rng, "s", count=4))
    node = helper.make_node("Dropout", name="n", inputs=["x", "r", "t"], outputs=["y"])
    constants = {"r": np.array(0.5, np.float32), "t": np.array(True)}
    assert "at random" in import_error(node, x, constants)
