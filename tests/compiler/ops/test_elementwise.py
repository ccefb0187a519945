import numpy as np
import pytest
from onnx import helper

UNARY = [
    "Abs", "Neg", "Exp", "Sqrt", "Log", "Floor", "Ceil", "Round", "Sign", "Erf", "Tanh", "Reciprocal", "Relu",
    "Sigmoid", "Softplus", "Softsign", "HardSwish", "Mish",
]  # fmt: skip


@pytest.mark.parametrize("op", UNARY)
def test_unary(against_ort, rng, op):
    x = np.concatenate([rng.normal(size=40) * 3, [0.5, 1.5, 2.5, -0.5, 0.0, 20.0, -20.0]]).astype(np.float32)
    if op in ("Sqrt", "Log"):
        x = np.abs(x)
    against_ort(helper.make_node(op, ["x"], ["y"]), {"x": x}, opset=18)


@pytest.mark.parametrize(
    ("op", "attrs", "opset"),
    [
        ("LeakyRelu", {"alpha": 0.2}, 17),
        ("Elu", {"alpha": 1.5}, 17),
        ("Selu", {}, 17),
        ("HardSigmoid", {"alpha": 0.3, "beta": 0.4}, 17),
        ("Gelu", {}, 20),
        ("Gelu", {"approximate": "tanh"}, 20),
        ("Clip", {"min": -0.5, "max": 0.5}, 10),
        ("Clip", {"min": -0.5}, 7),
    ],
)
def test_activation(against_ort, rng, op, attrs, opset):
    x = (rng.normal(size=(3, 5)) * 3).astype(np.float32)
    against_ort(helper.make_node(op, ["x"], ["y"], **attrs), {"x": x}, opset=opset)


@pytest.mark.parametrize(
    "shapes", [((2, 3, 4), (2, 3, 4)), ((2, 3, 4), (4,)), ((3, 1), (2, 1, 4)), ((2, 3), ()), ((), (2,))]
)
@pytest.mark.parametrize("op", ["Add", "Sub", "Mul", "Div", "Pow", "Min", "Max"])
def test_binary(against_ort, rng, op, shapes):
    a, b = (rng.normal(size=s).astype(np.float32) for s in shapes)
    if op == "Pow":
        a = np.asarray(np.abs(a))
    against_ort(helper.make_node(op, ["a", "b"], ["y"]), {"a": a, "b": b})
    against_ort(helper.make_node(op, ["a", "b"], ["y"]), {"a": a}, {"b": b})


@pytest.mark.parametrize("slope", [(4,), (3, 1), (2, 3, 4)])
def test_prelu(against_ort, rng, slope):
    x, slope = {"x": rng.normal(size=(2, 3, 4)).astype(np.float32)}, rng.normal(size=slope).astype(np.float32)
    against_ort(helper.make_node("PRelu", ["x", "s"], ["y"]), x, {"s": slope})


@pytest.mark.parametrize("op", ["Add", "Sub", "Mul", "Div", "Min", "Max"])
@pytest.mark.parametrize("dtype", ["int32", "int64", "float64"])
def test_binary_dtypes(against_ort, rng, op, dtype):
    a, b = rng.integers(-20, 20, (3, 4)).astype(dtype), rng.integers(1, 7, (4,)).astype(dtype)
    against_ort(helper.make_node(op, ["a", "b"], ["y"]), {"a": a, "b": b}, outputs={"y": dtype})


@pytest.mark.parametrize("op", ["Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual"])
def test_comparison(against_ort, rng, op):
    a, b = rng.integers(0, 3, (2, 9)).astype(np.float32), rng.integers(0, 3, (2, 9)).astype(np.float32)
    against_ort(helper.make_node(op, ["a", "b"], ["y"]), {"a": a, "b": b}, outputs={"y": "bool"})


@pytest.mark.parametrize("op", ["And", "Or"])
def test_logic(against_ort, rng, op):
    a, b = rng.random((2, 9)) < 0.5, rng.random((2, 9)) < 0.5
    against_ort(helper.make_node(op, ["a", "b"], ["y"]), {"a": a, "b": b}, outputs={"y": "bool"})


@pytest.mark.parametrize("op", ["Min", "Max", "Sum", "Mean"])
@pytest.mark.parametrize("count", [1, 2, 5])
def test_variadic(against_ort, rng, op, count):
    inputs = {f"x{i}": rng.normal(size=(2, 3)[i % 2 :]).astype(np.float32) for i in range(count)}
    against_ort(helper.make_node(op, list(inputs), ["y"]), inputs)


@pytest.mark.parametrize("target", ["float32", "int32", "int64", "int8", "uint8", "bool", "float64"])
@pytest.mark.parametrize("source", ["float32", "int32", "bool"])
def test_cast(against_ort, rng, source, target):
    x = np.abs(rng.normal(size=20) * 50).astype(source)
    to = helper.np_dtype_to_tensor_dtype(np.dtype(target))
    against_ort(helper.make_node("Cast", ["x"], ["y"], to=to), {"x": x}, outputs={"y": target})


def test_where(against_ort, rng):
    inputs = {
        "c": rng.random((2, 3)) < 0.5,
        "a": rng.normal(size=(3,)).astype(np.float32),
        "b": np.float32(2.0).reshape(1),
    }
    against_ort(helper.make_node("Where", ["c", "a", "b"], ["y"]), inputs)
    constants = {k: inputs.pop(k) for k in ("a", "b")}
    against_ort(helper.make_node("Where", ["c", "a", "b"], ["y"]), inputs, constants)


@pytest.mark.parametrize("bounds", [{"lo": -0.5, "hi": 0.5}, {"hi": 0.5}, {"lo": 0.0}])
def test_clip_with_inputs(against_ort, rng, bounds):
    x = {"x": rng.normal(size=(3, 4)).astype(np.float32)}
    constants = {k: np.float32(v) for k, v in bounds.items()}
    node = helper.make_node("Clip", ["x", "lo" if "lo" in bounds else "", "hi" if "hi" in bounds else ""], ["y"])
    graph = against_ort(node, x, constants, opset=13)
    assert len(graph.nodes) == 1 and len(graph.nodes[0].inputs) == 1


@pytest.mark.parametrize("exponent", [2.0, 0.5, 3.0, -1.0])
@pytest.mark.parametrize("dtype", ["float32", "int64"])
def test_pow_by_a_constant(against_ort, rng, exponent, dtype):
    x = np.abs(rng.normal(size=(3, 4))).astype(np.float32) + 0.1
    against_ort(helper.make_node("Pow", ["x", "e"], ["y"]), {"x": x}, {"e": np.array(exponent, dtype)})


@pytest.mark.parametrize("shape", [(2, 3), (2, 3, 4), (1, 3, 4, 5)])
@pytest.mark.parametrize("opset", [8, 13, 17])
def test_batch_normalization(against_ort, rng, shape, opset):
    constants = {k: np.abs(rng.normal(size=3)).astype(np.float32) + 0.1 for k in ("s", "b", "m", "v")}
    node = helper.make_node("BatchNormalization", ["x", *constants], ["y"], epsilon=1e-3)
    graph = against_ort(node, {"x": rng.normal(size=shape).astype(np.float32)}, constants, opset=opset)
    assert [n.op for n in graph.nodes] == ["map"]


def test_operands_that_do_not_broadcast(import_error):
    node = helper.make_node("Add", ["a", "b"], ["y"], name="n")
    message = import_error(node, {"a": np.zeros((2, 3), np.float32), "b": np.zeros((4,), np.float32)})
    assert "[2, 3] and [4] do not broadcast" in message


def test_operands_of_two_dtypes(import_error):
    node = helper.make_node("Add", ["a", "b"], ["y"], name="n")
    message = import_error(node, {"a": np.zeros(3, np.float32), "b": np.zeros(3, np.int32)})
    assert "float32 and int32: operands must have one dtype" in message
