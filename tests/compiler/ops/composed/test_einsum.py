import numpy as np
import onnx
import pytest
from onnx import helper

from edgec.compiler.importer import import_onnx
from edgec.compiler.ops.reference import run_graph

CASES: dict[str, list[tuple[int, ...]]] = {
    "ij,jk->ik": [(3, 4), (4, 5)],
    "bij,bjk->bik": [(2, 3, 4), (2, 4, 5)],
    "bhid,bhjd->bhij": [(2, 3, 4, 5), (2, 3, 6, 5)],
    "...ij,...jk->...ik": [(2, 3, 4, 5), (2, 1, 5, 2)],
    "i...,i...->...": [(3, 2, 4), (3, 2, 4)],
    "ij->ji": [(3, 4)],
    "ij->": [(3, 4)],
    "ii->i": [(4, 4)],
    "ii": [(4, 4)],
    "...ii->...i": [(2, 4, 4)],
    "iji->j": [(3, 4, 3)],
    "i,j->ij": [(3,), (4,)],
    "i,i": [(5,), (5,)],
    "ab,bc": [(2, 3), (3, 4)],
    "ij,ij->ij": [(3, 4), (3, 4)],
    "ij,kj,kl->il": [(3, 4), (5, 4), (5, 2)],
    "abc,cd,bde->ae": [(2, 3, 4), (4, 5), (3, 5, 6)],
    "bij,jk->bik": [(2, 3, 1), (4, 5)],
    "bnqd,kd->bnqk": [(2, 3, 4, 5), (6, 5)],
    " b i , i -> b ": [(2, 3), (3,)],
}


@pytest.mark.parametrize("equation", CASES)
def test_einsum(against_ort, rng, equation):
    inputs = {f"x{i}": rng.normal(size=shape).astype(np.float32) for i, shape in enumerate(CASES[equation])}
    node = helper.make_node("Einsum", list(inputs), ["y"], equation=equation)
    against_ort(node, inputs)


@pytest.mark.parametrize("equation", ["...ij,...jk->...ik", "...ij,...jk->ik...", "...ij,...jk"])
def test_ellipses_of_different_ranks(rng, equation):
    """ONNX Runtime refuses these; numpy does not."""
    inputs = {"a": rng.normal(size=(2, 3, 4, 5)).astype(np.float32), "b": rng.normal(size=(3, 5, 2)).astype(np.float32)}
    infos = [helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, a.shape) for n, a in inputs.items()]
    node = helper.make_node("Einsum", list(inputs), ["y"], equation=equation)
    graph = helper.make_graph([node], "g", infos, [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, None)])
    found = run_graph(import_onnx(helper.make_model(graph)), inputs)["y"]
    np.testing.assert_allclose(found, np.einsum(equation, *inputs.values()), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dtype", ["float64", "int32", "int64"])
def test_other_numbers(against_ort, rng, dtype):
    a, b = (rng.integers(-100, 100, shape).astype(dtype) for shape in ((2, 3, 4), (4, 5)))
    node = helper.make_node("Einsum", ["a", "b"], ["y"], equation="bij,jk->ik")
    against_ort(node, {"a": a, "b": b}, outputs={"y": dtype})


@pytest.mark.parametrize(
    ("equation", "shapes", "message"),
    [
        ("ij,jk->ik", [(3, 4)], "2 operands"),
        ("ij->ik", [(3, 4)], "no operand has"),
        ("ij->jj", [(3, 4)], "twice"),
        ("ijk->i", [(3, 4)], "does not fit"),
        ("i1->i", [(3, 4)], "something else"),
        ("ii->i", [(3, 4)], "stands for"),
        ("ij,jk->ik", [(3, 4), (5, 6)], "stands for"),
    ],
)
def test_malformed_equations(import_error, equation, shapes, message):
    inputs = {f"x{i}": np.zeros(shape, np.float32) for i, shape in enumerate(shapes)}
    node = helper.make_node("Einsum", list(inputs), ["y"], name="e", equation=equation)
    assert message in import_error(node, inputs)
