"""Tensors made from numbers, against ONNX Runtime; random ones are refused."""

import numpy as np
import pytest
from onnx import helper


@pytest.mark.parametrize(
    ("bins", "length", "rate", "low", "high"),
    [(8, 16, 8192, 0, 4096), (40, 512, 16000, 20.0, 7600.0), (3, 15, 100, 1, 45)],
)
def test_mel_weights(against_ort, bins, length, rate, low, high):
    constants = {n: np.array(v, np.int64) for n, v in zip("bls", (bins, length, rate), strict=True)}
    constants |= {"lo": np.array(low, np.float32), "hi": np.array(high, np.float32)}
    nodes = [helper.make_node("MelWeightMatrix", [*constants], ["m"]), helper.make_node("MatMul", ["x", "m"], ["y"])]
    against_ort(nodes, {"x": np.eye(length // 2 + 1, dtype=np.float32)}, constants)


@pytest.mark.parametrize("window", ["HannWindow", "HammingWindow", "BlackmanWindow"])
@pytest.mark.parametrize("periodic", [0, 1])
def test_windows(against_ort, window, periodic):
    nodes = [helper.make_node(window, ["n"], ["w"], periodic=periodic), helper.make_node("Mul", ["x", "w"], ["y"])]
    against_ort(nodes, {"x": np.ones(25, np.float32)}, {"n": np.array(25, np.int64)}, tolerance=1e-4)


def test_mel_weights_outside_the_spectrum(import_error):
    node = helper.make_node("MelWeightMatrix", ["b", "l", "s", "lo", "hi"], ["y"], name="m")
    constants = {"b": 8, "l": 16, "s": 8192, "lo": 0.0, "hi": 5000.0}
    assert "do not fit" in import_error(node, {}, {n: np.array(v) for n, v in constants.items()})


@pytest.mark.parametrize("op", ["RandomNormalLike", "RandomUniformLike", "Bernoulli"])
def test_random_numbers(import_error, op):
    assert "random" in import_error(helper.make_node(op, ["x"], ["y"], name="r"), {"x": np.zeros((2, 3), np.float32)})
