import numpy as np
import pytest
from onnx import helper


def floats(rng, *shape):
    return rng.normal(size=shape).astype(np.float32)


@pytest.mark.parametrize(
    ("a", "b"),
    [((3, 4), (4, 5)), ((2, 3, 4), (4, 5)), ((2, 1, 3, 4), (5, 4, 2)), ((4,), (4, 5)), ((2, 3, 4), (4,)), ((4,), (4,))],
)
@pytest.mark.parametrize("constant", [True, False])
def test_matmul(against_ort, rng, a, b, constant):
    a, b = floats(rng, *a), floats(rng, *b)
    inputs, constants = ({"a": a}, {"b": b}) if constant else ({"a": a, "b": b}, {})
    against_ort(helper.make_node("MatMul", ["a", "b"], ["y"]), inputs, constants)


@pytest.mark.parametrize("c", [None, (5,), (1, 5), (3, 5), (3, 1), (1,), ()])
@pytest.mark.parametrize("attrs", [{}, {"alpha": 0.5, "beta": 2.0}, {"transA": 1}, {"transB": 1}])
def test_gemm(against_ort, rng, c, attrs):
    a = floats(rng, *((4, 3) if attrs.get("transA") else (3, 4)))
    constants = {"b": floats(rng, *((5, 4) if attrs.get("transB") else (4, 5)))}
    if c is not None:
        constants["c"] = floats(rng, *c)
    against_ort(helper.make_node("Gemm", ["a", *constants], ["y"], **attrs), {"a": a}, constants)


def test_gemm_of_a_classifier_is_one_node(against_ort, rng):
    constants = {"w": floats(rng, 5, 4), "b": floats(rng, 5)}
    graph = against_ort(helper.make_node("Gemm", ["a", "w", "b"], ["y"], transB=1), {"a": floats(rng, 1, 4)}, constants)
    assert [(node.op, len(node.inputs)) for node in graph.nodes] == [("matmul", 3)]


def test_matrices_that_do_not_fit(import_error, rng):
    message = import_error(
        helper.make_node("MatMul", ["a", "b"], ["y"], name="m"), {"a": floats(rng, 2, 3), "b": floats(rng, 4, 5)}
    )
    assert "[2, 3] and [4, 5] cannot be multiplied" in message
