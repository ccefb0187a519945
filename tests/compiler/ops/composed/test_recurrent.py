"""LSTM, GRU and RNN against ONNX Runtime."""

import numpy as np
import pytest
from onnx import helper

GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}


def case(
    op, steps=3, batch=2, depth=5, hidden=4, directions=1, bias=True, initial=False, lengths=None, peepholes=False
):
    """(inputs, constants) of a node, by the names x, w, r, b, lengths, h, c, p."""
    rng = np.random.default_rng(7)
    gates = GATES[op]

    def draw(*shape):
        return rng.uniform(-0.8, 0.8, shape).astype(np.float32)

    constants = {"w": draw(directions, gates * hidden, depth), "r": draw(directions, gates * hidden, hidden)}
    inputs = {"x": draw(steps, batch, depth)}
    if bias:
        constants["b"] = draw(directions, 2 * gates * hidden)
    if lengths is not None:
        inputs["lengths"] = np.array(lengths, np.int32)
    if initial:
        inputs["h"] = draw(directions, batch, hidden)
        if op == "LSTM":
            inputs["c"] = draw(directions, batch, hidden)
    if peepholes:
        constants["p"] = draw(directions, 3 * hidden)
    return inputs, constants


def node(op, inputs, constants, **attrs):
    given = {**inputs, **constants}
    names = [n if n in given else "" for n in ("x", "w", "r", "b", "lengths", "h", "c", "p")]
    outputs = ["y", "y_h", "y_c"][: 3 if op == "LSTM" else 2]
    used = names if op == "LSTM" else names[:6]
    while used and not used[-1]:
        used.pop()
    return helper.make_node(op, used, outputs, name="n", hidden_size=constants["r"].shape[-1], **attrs)


@pytest.mark.parametrize("op", GATES)
@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize("steps", [1, 3, 40])
def test_directions(against_ort, op, direction, steps):
    inputs, constants = case(op, steps, directions=2 if direction == "bidirectional" else 1, initial=steps > 1)
    graph = against_ort(node(op, inputs, constants, direction=direction), inputs, constants)
    loops = sum(n.op == "loop" for n in graph.nodes)
    assert loops == (steps == 40) * (2 if direction == "bidirectional" else 1)


@pytest.mark.parametrize("op", GATES)
@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize("steps", [4, 40])
def test_sequence_lengths(against_ort, op, direction, steps):
    inputs, constants = case(
        op, steps, batch=3, directions=2 if direction == "bidirectional" else 1, initial=True, lengths=[2, steps, 1]
    )
    against_ort(node(op, inputs, constants, direction=direction), inputs, constants)


def test_peepholes_clip_and_coupled_gates(against_ort):
    inputs, constants = case("LSTM", peepholes=True, initial=True)
    against_ort(node("LSTM", inputs, constants), inputs, constants)
    against_ort(node("LSTM", inputs, constants, clip=0.3), inputs, constants)
    against_ort(node("LSTM", inputs, constants, input_forget=1), inputs, constants)


@pytest.mark.parametrize("op", ["GRU", "RNN"])
def test_clip(against_ort, op):
    inputs, constants = case(op, initial=True)
    against_ort(node(op, inputs, constants, clip=0.2), inputs, constants)


@pytest.mark.parametrize("bias", [True, False])
def test_linear_before_reset(against_ort, bias):
    inputs, constants = case("GRU", bias=bias, initial=True)
    against_ort(node("GRU", inputs, constants, linear_before_reset=1), inputs, constants)


@pytest.mark.parametrize(
    "names",
    [
        ["Relu", "Tanh", "Softsign"],
        ["HardSigmoid", "ScaledTanh", "Elu"],
        ["Softplus", "Affine", "LeakyRelu"],
        ["Sigmoid", "ThresholdedRelu", "Tanh"],
    ],
)
def test_activations(against_ort, names):
    inputs, constants = case("LSTM", initial=True)
    attrs = {"activation_alpha": [0.3, 0.7, 0.2], "activation_beta": [0.4, 0.6]}
    against_ort(node("LSTM", inputs, constants, activations=names, **attrs), inputs, constants)
    against_ort(node("LSTM", inputs, constants, activations=[n.lower() for n in names], **attrs), inputs, constants)


def test_only_the_last_output_is_computed(against_ort):
    inputs, constants = case("LSTM", 40)
    only_last = helper.make_node("LSTM", ["x", "w", "r", "b"], ["", "y_h"], hidden_size=4)
    graph = against_ort(only_last, inputs, constants, {"y_h": "float32"})
    assert not any(n.op == "scatter" for part in graph.graphs() for n in part.nodes)


def test_what_does_not_fit_is_refused(import_error):
    inputs, constants = case("GRU")
    constants["w"] = constants["w"][:, :7]
    made = node("GRU", inputs, constants)
    made.output[0] = "y"
    assert "do not fit" in import_error(made, inputs, constants)
    inputs, constants = case("RNN")
    assert "activation" in import_error(node("RNN", inputs, constants, activations=["Nothing"]), inputs, constants)
