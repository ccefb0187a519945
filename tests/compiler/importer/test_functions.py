"""Functions: the model's own and those of the standard, against onnxruntime, which inlines them itself."""

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

from edgec import EdgeError
from edgec.compiler.importer import check_support, import_onnx
from edgec.compiler.ops.reference import run_graph

OPSETS = [helper.make_opsetid("", 20), helper.make_opsetid("mine", 1)]
X = np.linspace(-2, 2, 12, dtype=np.float32).reshape(3, 4)


def node(op: str, inputs: str, outputs: str, domain: str = "", **attrs) -> onnx.NodeProto:
    """`inputs` and `outputs` are names with spaces between; `-` leaves one out."""
    read, computed = (["" if n == "-" else n for n in text.split()] for text in (inputs, outputs))
    return helper.make_node(op, read, computed, domain=domain, **attrs)


def reference(op: onnx.NodeProto, attribute: str, named: str, kind) -> onnx.NodeProto:
    """The node with an attribute that is the function's attribute `named`."""
    op.attribute.append(onnx.AttributeProto(name=attribute, ref_attr_name=named, type=kind))
    return op


def function(name: str, inputs: str, outputs: str, *nodes, attributes=(), defaults=()) -> onnx.FunctionProto:
    return helper.make_function(
        "mine", name, inputs.split(), outputs.split(), list(nodes), OPSETS, list(attributes), list(defaults)
    )


def model(nodes, functions=(), outputs=("y",), inputs=("x",)) -> onnx.ModelProto:
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        list(nodes),
        "g",
        [value(name, TensorProto.FLOAT, [3, 4]) for name in inputs],
        [value(name, TensorProto.FLOAT, None) for name in outputs],
    )
    return helper.make_model(graph, functions=list(functions), opset_imports=OPSETS, ir_version=9)


def check(made: onnx.ModelProto, **feeds) -> None:
    """The outputs are ONNX Runtime's."""
    feeds = feeds or {"x": X}
    wanted = ort.InferenceSession(made.SerializeToString(), providers=["CPUExecutionProvider"]).run(None, feeds)
    assert check_support(made) == []
    for found, want in zip(run_graph(import_onnx(made), feeds).values(), wanted, strict=True):
        assert (found.dtype, found.shape) == (want.dtype, want.shape)
        np.testing.assert_allclose(found, want, rtol=1e-5, atol=1e-6)


FLOAT, INTS = onnx.AttributeProto.FLOAT, onnx.AttributeProto.INTS
LEAK = function(
    "Leak", "a b", "low high",
    reference(node("LeakyRelu", "a", "low"), "alpha", "slope", FLOAT),
    reference(node("Elu", "a", "elu"), "alpha", "steep", FLOAT),
    node("Add", "elu b", "high"),
    attributes=["slope"], defaults=[helper.make_attribute("steep", 0.5)],
)  # fmt: skip


def test_attributes_are_given_or_have_defaults() -> None:
    calls = [
        node("Leak", "x z", "y -", "mine", slope=0.25),
        node("Leak", "z y", "- w", "mine", slope=0.5, steep=2.0),
    ]
    check(model(calls, [LEAK], ["y", "w"], ["x", "z"]), x=X, z=X[::-1].copy())


def test_a_missing_attribute_is_that_of_the_op() -> None:
    graph = import_onnx(model([node("Leak", "x x", "y", "mine")], [LEAK]))
    np.testing.assert_allclose(run_graph(graph, {"x": X})["y"], np.where(X < 0, X * 0.01, X), rtol=1e-6)


def test_functions_call_functions_and_names_do_not_clash() -> None:
    inner = function("Inner", "a", "b", node("Neg", "a", "t"), node("Exp", "t", "b"))
    outer = function("Outer", "b", "a", node("Inner", "b", "t", "mine"), node("Inner", "t", "a", "mine"))
    made = model([node("Outer", "x", "t", "mine"), node("Outer", "t", "y", "mine")], [outer, inner])
    check(made)
    names = [v.name for v in import_onnx(made).values()]
    assert len(names) == len(set(names))


def test_an_input_left_out_is_left_out_inside() -> None:
    body = function("F", "a low high", "b", node("Clip", "a low high", "b"))
    made = model([node("F", "x - top", "y", "mine")], [body])
    made.graph.initializer.append(onnx.numpy_helper.from_array(np.array(0.5, np.float32), "top"))
    graph = import_onnx(made)
    np.testing.assert_array_equal(run_graph(graph, {"x": X})["y"], np.minimum(X, np.float32(0.5)))


def test_an_input_that_is_an_output() -> None:
    body = function("F", "a b", "b c", node("Add", "a b", "c"))
    found = run_graph(import_onnx(model([node("F", "x x", "y w", "mine")], [body], ["y", "w"])), {"x": X})
    np.testing.assert_array_equal(found["y"], X)
    np.testing.assert_array_equal(found["w"], X * 2)


def test_references_within_subgraphs() -> None:
    value = helper.make_tensor_value_info
    branches = {
        name: helper.make_graph(
            [reference(node("LeakyRelu", source, "r"), "alpha", "slope", FLOAT)],
            name, [], [value("r", TensorProto.FLOAT, None)],
        )
        for name, source in (("then_branch", "a"), ("else_branch", "b"))
    }  # fmt: skip
    body = function("F", "a b", "c", node("If", "yes", "c", **branches), attributes=["slope"])
    body.node.insert(0, helper.make_node("Constant", [], ["yes"], value=onnx.numpy_helper.from_array(np.array(False))))
    check(model([node("F", "x z", "y", "mine", slope=0.25)], [body], inputs=["x", "z"]), x=X, z=X * 3)


def test_a_function_has_opsets_of_its_own() -> None:
    body = function("F", "a", "b", node("Squeeze", "a", "b", axes=[0]))
    body.opset_import[0].version = 12
    body.node.insert(0, node("Unsqueeze", "a", "u", axes=[0]))
    body.node[1].input[0] = "u"
    graph = import_onnx(model([node("F", "x", "y", "mine")], [body]))
    np.testing.assert_array_equal(run_graph(graph, {"x": X})["y"], X)


def test_nodes_are_named_after_the_call() -> None:
    body = function("F", "a", "b", node("Exp", "a", "e", name="exp"), node("Softmax", "e", "b"))
    call = node("F", "x", "y", "mine", name="block")
    assert [n.name for n in import_onnx(model([call], [body])).nodes] == ["block/exp", "block/Softmax_1"]


@pytest.mark.parametrize(
    "call",
    [
        node("MeanVarianceNormalization", "x", "y", axes=[0]),
        node("CenterCropPad", "x shape", "y"),
        node("CenterCropPad", "x short", "y", axes=[1]),
    ],
    ids=lambda call: call.op_type,
)
def test_bodies_of_the_standard(call) -> None:
    made = model([call])
    for name, extents in (("shape", [2, 6]), ("short", [3])):
        made.graph.initializer.append(onnx.numpy_helper.from_array(np.array(extents), name))
    (wanted,) = np.asarray(ReferenceEvaluator(made).run(None, {"x": X}))
    np.testing.assert_allclose(run_graph(import_onnx(made), {"x": X})["y"], wanted, rtol=1e-5, atol=1e-6)


def refused(made: onnx.ModelProto) -> str:
    with pytest.raises(EdgeError) as error:
        import_onnx(made)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_recursion_is_refused() -> None:
    a = function("A", "p", "q", node("B", "p", "q", "mine"))
    b = function("B", "p", "q", node("A", "p", "q", "mine"))
    assert "function 'A' calls itself" in refused(model([node("A", "x", "y", "mine")], [a, b]))


def test_deep_nesting_is_refused() -> None:
    functions = [function(f"F{i}", "p", "q", node(f"F{i + 1}", "p", "q", "mine")) for i in range(40)]
    functions.append(function("F40", "p", "q", node("Exp", "p", "q")))
    assert "more than 32 deep" in refused(model([node("F0", "x", "y", "mine")], functions))


def test_functions_that_double_are_refused_at_once() -> None:
    functions = [
        function(f"F{i}", "p", "q", node(f"F{i + 1}", "p", "t", "mine"), node(f"F{i + 1}", "t", "q", "mine"))
        for i in range(30)
    ]
    functions.append(function("F30", "p", "q", node("Neg", "p", "q")))
    assert "65536 nodes" in refused(model([node("F0", "x", "y", "mine")], functions))


def test_what_is_wrong_inside_is_named_with_the_call() -> None:
    body = function("F", "a", "b", node("Reshape", "a a", "b", name="shape"))
    assert "Reshape node 'block/shape': " in refused(model([node("F", "x", "y", "mine", name="block")], [body]))


@pytest.mark.parametrize("call", [node("F", "x x", "y", "mine"), node("F", "x", "y z", "mine")])
def test_more_operands_than_the_function_has(call) -> None:
    body = function("F", "a", "b", node("Exp", "a", "b"))
    assert "'F' has 1 and 1" in refused(model([call], [body]))


def test_a_function_that_computes_nothing() -> None:
    body = function("F", "a", "b", node("Exp", "a", "c"))
    assert "'b'" in refused(model([node("F", "x", "y", "mine")], [body]))
