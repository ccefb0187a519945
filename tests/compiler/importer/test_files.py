"""Model files: external data, float16, malformed and hostile ones."""

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgec import EdgeError
from edgec.compiler.importer import check_support, import_onnx
from edgec.compiler.ops.reference import run_graph

RNG = np.random.default_rng(0)


def conv_model(dtype=np.float32):
    """conv -> relu -> reshape with a shape computed from Shape, as bytes-identical as it gets."""
    weights = {
        "w": RNG.normal(size=(4, 3, 3, 3)).astype(dtype),
        "b": RNG.normal(size=4).astype(dtype),
        "t": np.array([1, -1], np.int64),
    }
    nodes = [
        helper.make_node("Conv", ["x", "w", "b"], ["c"], name="conv", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("Reshape", ["r", "t"], ["y"]),
    ]
    element = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", element, [1, 3, 8, 8])],
        [helper.make_tensor_value_info("y", element, None)],
        [numpy_helper.from_array(a, n) for n, a in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def test_float16_is_computed_in_float32():
    model = conv_model(np.float16)
    graph = import_onnx(model)
    assert [graph.inputs[0].type.dtype, graph.outputs[0].type.dtype] == ["float16", "float16"]
    assert {v.type.dtype for node in graph.nodes[1:-1] for v in node.inputs} == {"float32"}
    x = {"x": RNG.normal(size=(1, 3, 8, 8)).astype(np.float16)}
    (want,) = ort.InferenceSession(model.SerializeToString()).run(None, x)
    got = run_graph(graph, x)["y"]
    assert got.dtype == np.float16
    np.testing.assert_allclose(got, want, rtol=5e-3, atol=5e-3)


def save_external(folder, model):
    path = folder / "model.onnx"
    onnx.save_model(
        model,
        str(path),
        save_as_external_data=True,
        location="weights/w.bin" if (folder / "weights").exists() else "w.bin",
        size_threshold=0,
    )
    return path


def test_external_data(tmp_path):
    model = conv_model()
    x = {"x": RNG.normal(size=(1, 3, 8, 8)).astype(np.float32)}
    expected = run_graph(import_onnx(model), x)["y"]
    (tmp_path / "weights").mkdir()
    path = save_external(tmp_path, model)
    np.testing.assert_array_equal(run_graph(import_onnx(path), x)["y"], expected)
    with pytest.raises(EdgeError, match="was not read from a file"):
        import_onnx(onnx.load(path, load_external_data=False))


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("location", "../w.bin", "not a file in the model's folder"),
        ("location", "/etc/passwd", "not a file in the model's folder"),
        ("location", "link.bin", "not a file in the model's folder"),
        ("location", "", "not a file in the model's folder"),
        ("location", "nothing.bin", "not a file in the model's folder"),
        ("location", "a\0b", "malformed|not a file"),
        ("offset", "1000000000", "needs 432 bytes at offset 1000000000"),
        ("offset", "-4", "needs 432 bytes at offset -4"),
        ("offset", "many", "malformed"),
        ("length", "7", "the model states 7"),
    ],
)
def test_external_data_stays_in_the_folder(tmp_path, key, value, message):
    folder = tmp_path / "model"
    folder.mkdir()
    path = save_external(folder, conv_model())
    (tmp_path / "w.bin").write_bytes(bytes(4096))
    (folder / "link.bin").symlink_to(tmp_path / "w.bin")
    model = onnx.load(path, load_external_data=False)
    entries = {e.key: e for e in model.graph.initializer[0].external_data}
    entry = entries.get(key) or model.graph.initializer[0].external_data.add(key=key)
    entry.value = value
    path.write_bytes(model.SerializeToString())
    with pytest.raises(EdgeError, match=message):
        import_onnx(path)


def test_a_file_that_is_not_there_or_not_a_model(tmp_path):
    with pytest.raises(EdgeError, match=r"cannot read the model .*nothing\.onnx: No such file"):
        import_onnx(tmp_path / "nothing.onnx")
    with pytest.raises(EdgeError, match="cannot read the model"):
        import_onnx(tmp_path)
    path = tmp_path / "x.onnx"
    for content in (b"", b"hello", conv_model().SerializeToString()[:-7]):
        path.write_bytes(content)
        with pytest.raises(EdgeError, match=r"x\.onnx"):
            import_onnx(path)


def test_all_unsupported_ops_are_named_at_once():
    nodes = [
        helper.make_node("Relu", ["x"], ["a"]),
        helper.make_node("TfIdfVectorizer", ["a"], ["b"], name="first"),
        helper.make_node("TfIdfVectorizer", ["b"], ["c"]),
        helper.make_node("Frobnicate", ["c"], ["y"], domain="my.ops"),
        helper.make_node("StringNormalizer", ["c", "x"], ["unused", "too"]),
    ]
    ports = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [2]) for n in ("x", "y")]
    model = helper.make_model(
        helper.make_graph(nodes, "g", ports[:1], ports[1:]),
        opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("my.ops", 3)],
    )
    with pytest.raises(EdgeError) as error:
        import_onnx(model)
    said = str(error.value)
    assert "TfIdfVectorizer (opset 17; 2x: 'first', 'TfIdfVectorizer_2'), my.ops.Frobnicate (opset 3; 1x: " in said
    assert said.endswith("give it as a function of the model, or export it as ops of ONNX")
    assert "StringNormalizer" not in said  # no output depends on it
    assert [u.op_type for u in check_support(model)] == ["StringNormalizer", "TfIdfVectorizer", "Frobnicate"]
    assert check_support(conv_model()) == []


def damage_cycle(m):
    m.graph.node[0].input[0] = "r"


def damage_missing(m):
    m.graph.node[1].input[0] = "nobody"


def damage_order(m):
    first = onnx.NodeProto()
    first.CopyFrom(m.graph.node[0])
    del m.graph.node[0]
    m.graph.node.append(first)


def damage_duplicate_output(m):
    m.graph.node[1].output[0] = "c"


def damage_shadowed_input(m):
    m.graph.node[0].output[0] = "x"
    m.graph.node[1].input[0] = "x"


def damage_no_output(m):
    del m.graph.output[:]


def damage_unknown_output(m):
    m.graph.output[0].name = "z"


def damage_two_outputs(m):
    m.graph.output.append(m.graph.output[0])


def damage_two_inputs(m):
    m.graph.input.append(m.graph.input[0])


def damage_two_initializers(m):
    m.graph.initializer.append(m.graph.initializer[0])


def damage_opset(m):
    m.opset_import[0].version = 6


def damage_no_opset(m):
    del m.opset_import[:]


def damage_raw_data(m):
    m.graph.initializer[0].raw_data = m.graph.initializer[0].raw_data[:-3]


def damage_dims(m):
    m.graph.initializer[0].dims[0] = 2**40


def damage_negative_dims(m):
    m.graph.initializer[0].dims[0] = -4


def damage_dtype(m):
    m.graph.initializer[0].data_type = TensorProto.INT32


def damage_unknown_dtype(m):
    m.graph.initializer[0].data_type = 99


def damage_string_weights(m):
    m.graph.initializer[0].data_type = TensorProto.STRING


def damage_typed_data(m):
    m.graph.initializer[0].ClearField("raw_data")
    m.graph.initializer[0].float_data.extend([1.0, 2.0])


def damage_attribute_type(m):
    m.graph.node[0].attribute[0].CopyFrom(helper.make_attribute("pads", "one"))


def damage_input_type(m):
    m.graph.input[0].type.CopyFrom(helper.make_sequence_type_proto(m.graph.input[0].type))


def damage_input_dtype(m):
    m.graph.input[0].type.tensor_type.elem_type = TensorProto.COMPLEX64


def damage_no_nodes(m):
    m.graph.ClearField("node")
    m.graph.ClearField("output")


def damage_no_inputs(m):
    del m.graph.node[0].input[:]


def damage_sparse(m):
    m.graph.sparse_initializer.add()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (damage_cycle, "Conv node 'conv' reads 'r', which no input"),
        (damage_missing, "Relu node 'Relu_1' reads 'nobody'"),
        (damage_order, "topological order"),
        (damage_duplicate_output, "two nodes compute the tensor 'c'"),
        (damage_shadowed_input, "computes 'x', which is also an input"),
        (damage_no_output, "no outputs"),
        (damage_unknown_output, "nothing computes the model's output 'z'"),
        (damage_two_outputs, "two outputs called 'y'"),
        (damage_two_inputs, "unique"),
        (damage_two_initializers, "two initializers are called 'w'"),
        (damage_opset, "ONNX opset 6; opsets 7 to"),
        (damage_no_opset, "no ONNX opset"),
        (damage_raw_data, "initializer 'w' has 429 bytes of data, but its shape .* needs 432"),
        (damage_dims, "at most 2147483648 bytes"),
        (damage_negative_dims, "no negative extent"),
        (damage_dtype, "must both be floating point or both int8, not float32 and int32"),
        (damage_unknown_dtype, "holds elements of an unknown type .99.; supported are bool"),
        (damage_string_weights, "holds string; supported are bool"),
        (damage_typed_data, "cannot be decoded"),
        (damage_attribute_type, "attribute 'pads' must be a list of integers"),
        (damage_input_type, "not a tensor"),
        (damage_input_dtype, "complex64"),
        (damage_no_nodes, "holds no graph"),
        (damage_no_inputs, "Conv node 'conv': input . is missing"),
        (damage_sparse, "sparse"),
    ],
)
def test_malformed_models(damage, message):
    model = conv_model()
    damage(model)
    with pytest.raises(EdgeError, match=message):
        import_onnx(model)


def test_tensors_that_are_too_large_to_compute():
    nodes = [helper.make_node("Expand", ["x", "s"], ["y"])]
    ports = [helper.make_tensor_value_info("x", 1, [1]), helper.make_tensor_value_info("y", 1, None)]
    shape = numpy_helper.from_array(np.array([2**20, 2**20], np.int64), "s")
    model = helper.make_model(
        helper.make_graph(nodes, "g", ports[:1], ports[1:], [shape]), opset_imports=[helper.make_opsetid("", 17)]
    )
    with pytest.raises(EdgeError, match=r"Expand node 'Expand_0': .* at most"):
        import_onnx(model)
