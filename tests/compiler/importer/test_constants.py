"""Inputs fixed when compiling: the graph computes with them as with initializers."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from edgec import EdgeError
from edgec.compiler.importer import import_onnx
from edgec.compiler.ops.reference import run_graph


def model(shape_type=TensorProto.INT64) -> onnx.ModelProto:
    """y = Reshape(x, shape) + z, where z is as long as x."""
    value = helper.make_tensor_value_info
    inputs = [
        value("x", TensorProto.FLOAT, ["N", 4]),
        value("shape", shape_type, [2]),
        value("z", TensorProto.FLOAT, ["N", 4]),
    ]
    nodes = [
        helper.make_node("Cast", ["shape"], ["wide"], to=TensorProto.INT64),
        helper.make_node("Add", ["x", "z"], ["sum"]),
        helper.make_node("Reshape", ["sum", "wide"], ["y"]),
    ]
    graph = helper.make_graph(nodes, "g", inputs, [value("y", TensorProto.FLOAT, None)])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


X, Z = (np.arange(12, dtype=np.float32).reshape(3, 4) * k for k in (1, 100))


@pytest.mark.parametrize("shape", [np.array([4, -1]), [4, -1], (4.0, -1.0)])
def test_a_constant_is_computed_with(shape) -> None:
    graph = import_onnx(model(), constants={"shape": shape, "z": Z})
    assert [v.name for v in graph.inputs] == ["x"]
    np.testing.assert_array_equal(run_graph(graph, {"x": X})["y"], (X + Z).reshape(4, 3))


def test_its_shape_binds_symbols() -> None:
    graph = import_onnx(model(), constants={"shape": [6, 2], "z": Z})
    assert graph.inputs[0].type.shape == (3, 4)


def test_numbers_take_the_declared_shape() -> None:
    scale = helper.make_tensor_value_info("s", TensorProto.FLOAT, [])
    graph = helper.make_graph(
        [helper.make_node("Mul", ["x", "s"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [3, 4]), scale],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [3, 4])],
    )
    found = import_onnx(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), constants={"s": [2.5]})
    assert run_graph(found, {"x": X})["y"].tolist() == (X * 2.5).tolist()


def test_the_model_given_is_left_as_it_is() -> None:
    given = model()
    before = given.SerializeToString()
    import_onnx(given, constants={"shape": [6, 2], "z": Z})
    assert given.SerializeToString() == before


@pytest.mark.parametrize(
    ("constants", "said"),
    [
        ({"w": [1]}, "a constant is given for 'w', but the model's inputs are: x, shape, z"),
        ({"shape": np.array([2, 6], np.int32)}, "'shape' has int32 elements, but the model declares int64"),
        ({"shape": [1.5, 8]}, "'shape' has other numbers, but the model declares int64"),
        ({"shape": [2**64, 8]}, "'shape' has other numbers, but the model declares int64"),
        ({"shape": [1, 2, 6]}, r"'shape' has the shape \[3\], but the model declares \[2\]"),
        ({"z": Z.T}, r"'z' has the shape \[4, 3\], but the model declares \['N', 4\]"),
        ({"x": X, "z": Z[:2]}, r"'z' has the shape \[2, 4\], but the model declares \['N', 4\]"),
    ],
)
def test_what_does_not_fit_is_refused(constants, said) -> None:
    with pytest.raises(EdgeError, match=said):
        import_onnx(model(), constants=constants)


def test_an_operand_that_must_be_constant_is_asked_for() -> None:
    with pytest.raises(EdgeError, match=r"Reshape_2.*its shape .*'wide'.* must be a constant.*--const shape=VALUES$"):
        import_onnx(model(shape_type=TensorProto.INT32), {"x": (3, 4)})
