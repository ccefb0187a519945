import re

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from edgec import EdgeError
from edgec.compiler.importer import import_onnx


def model(**inputs):
    """A model that returns its inputs: name -> dims (None for an unknown rank)."""
    nodes = [helper.make_node("Relu", [name], [name + "_out"]) for name in inputs]
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, dims) for name, dims in inputs.items()]
    results = [helper.make_tensor_value_info(name + "_out", TensorProto.FLOAT, None) for name in inputs]
    return helper.make_model(helper.make_graph(nodes, "g", ports, results), opset_imports=[helper.make_opsetid("", 17)])


def shapes_of(graph):
    return {v.name: v.type.shape for v in graph.inputs}


def test_static_shapes_need_nothing():
    assert shapes_of(import_onnx(model(x=[2, 3]))) == {"x": (2, 3)}


def test_a_symbolic_batch_is_one():
    assert shapes_of(import_onnx(model(x=["N", 3, 8, 8], y=[None]))) == {"x": (1, 3, 8, 8), "y": (1,)}


def test_a_bound_symbol_holds_everywhere():
    graph = import_onnx(model(x=["N", "T"], y=["N", 4, "T"]), {"x": (2, 5)})
    assert shapes_of(graph) == {"x": (2, 5), "y": (2, 4, 5)}


@pytest.mark.parametrize("dims", [[-1, 3, -1, -1], ["?", 3, "?", "?"], ["-1", 3, None, "?"], ["n", 3, "h", "w"]])
def test_open_dimensions_as_exporters_write_them(dims):
    made = model(x=dims)
    assert shapes_of(import_onnx(made, {"x": (1, 3, 32, 64)})) == {"x": (1, 3, 32, 64)}
    with pytest.raises(EdgeError, match=re.escape("--shape x=1,3,480,640")):
        import_onnx(made)


def test_all_open_inputs_are_listed_with_what_to_type():
    with pytest.raises(EdgeError) as error:
        import_onnx(model(a=["N", "T"], b=[2, 3], c=None, d=["N", 3, "H", 64]))
    assert "'a' is [N, T]; 'c' is of unknown rank; 'd' is [N, 3, H, 64]" in str(error.value)
    assert "--shape a=1,128 --shape c=1,3,224,224 --shape d=1,3,480,64" in str(error.value)


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        ({"z": (1,)}, "given for 'z', but the model's inputs are: x, y"),
        ({"x": (1, 3, 8)}, r"\[1, 3, 8\] does not fit the model's input 'x'"),
        ({"x": (1, 4, 8, 8)}, "does not fit"),
        ({"x": (1, 3, 8, -8)}, "does not fit"),
        ({"x": (1, 3, 8, 9), "y": (7, 2)}, "does not fit the model's input 'y'"),
        ({"x": (1, 3, 2**20, 2**20), "y": (2**20, 1)}, "at most 2147483648 bytes"),
    ],
)
def test_shapes_that_do_not_fit(shapes, message):
    with pytest.raises(EdgeError, match=message):
        import_onnx(model(x=["N", 3, "H", "W"], y=["H", "K"]), shapes)


def test_initializers_among_the_inputs_are_not_inputs():
    made = model(x=[2, 3])
    made.graph.node[0].CopyFrom(helper.make_node("Add", ["x", "w"], ["x_out"]))
    made.graph.initializer.append(onnx.numpy_helper.from_array(np.ones((2, 3), np.float32), "w"))
    made.graph.input.append(helper.make_tensor_value_info("w", TensorProto.FLOAT, [2, 3]))
    assert shapes_of(import_onnx(made)) == {"x": (2, 3)}


def test_a_quantized_output_is_uint8_where_it_is_declared_or_inferred():
    nodes = [helper.make_node("QuantizeLinear", ["x", "s", "z"], ["y"])]
    scale = helper.make_tensor("s", TensorProto.FLOAT, [], [0.1])
    tensors = [scale, helper.make_tensor("z", TensorProto.UINT8, [], [3])]
    ports = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2])], [onnx.ValueInfoProto(name="y")]
    graph = helper.make_graph(nodes, "g", *ports, tensors)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    assert import_onnx(made).outputs[0].type.dtype == "uint8"
    made.graph.node[0].domain = "com.microsoft"  # of which ONNX infers nothing
    made.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    with pytest.raises(EdgeError, match="'y' is quantized, but declared without an element type"):
        import_onnx(made)
    made.graph.output[0].type.tensor_type.elem_type = TensorProto.UINT8
    assert import_onnx(made).outputs[0].type.dtype == "uint8"
