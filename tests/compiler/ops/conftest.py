"""`against_ort`: import + numpy reference on one side, ONNX Runtime on the other."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import helper, numpy_helper

from edgec import EdgeError
from edgec.compiler.importer import import_onnx
from edgec.compiler.ir.graph import Graph
from edgec.compiler.ir.parser import parse_graph
from edgec.compiler.ir.probe import is_ranged
from edgec.compiler.ir.text import named_constants, print_graph
from edgec.compiler.ir.verify import verify
from edgec.compiler.ops.reference import run_graph

Array = np.ndarray[Any, Any]
Check = Callable[..., Graph]


def make_model(
    nodes: Sequence[onnx.NodeProto],
    inputs: Mapping[str, Array],
    constants: Mapping[str, Array],
    outputs: Mapping[str, str],
    opset: int,
) -> onnx.ModelProto:
    """A model of these nodes; `outputs` are names with dtypes."""
    graph = helper.make_graph(
        list(nodes),
        "g",
        [
            helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(a.dtype), a.shape)
            for n, a in inputs.items()
        ],
        [
            helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(np.dtype(d)), None)
            for n, d in outputs.items()
        ],
        [numpy_helper.from_array(np.asarray(a), n) for n, a in constants.items()],
    )
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def run_ort(model: onnx.ModelProto, inputs: Mapping[str, Array]) -> list[Array]:
    """ONNX Runtime without its optimizer: what the nodes mean by themselves."""
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return list(session.run(None, dict(inputs)))


@pytest.fixture(scope="session")
def onnxruntime() -> Callable[[onnx.ModelProto, Mapping[str, Array]], list[Array]]:
    """`run_ort`."""
    return run_ort


@pytest.fixture(scope="session")
def against_ort() -> Check:
    """check(nodes, inputs, constants, outputs, opset): shapes, dtypes and values are ONNX Runtime's; gives the graph.

    Floats may differ by `tolerance`, integers by `steps`.
    """

    def check(
        nodes: onnx.NodeProto | Sequence[onnx.NodeProto],
        inputs: Mapping[str, Array],
        constants: Mapping[str, Array] | None = None,
        outputs: Mapping[str, str] | None = None,
        opset: int = 17,
        tolerance: float = 1e-5,
        steps: int = 0,
    ) -> Graph:
        nodes = [nodes] if isinstance(nodes, onnx.NodeProto) else nodes
        outputs = outputs or {name: "float32" for name in nodes[-1].output}
        model = make_model(nodes, inputs, constants or {}, outputs, opset)
        expected = run_ort(model, inputs)
        graph = import_onnx(model)
        verify(graph)
        if not is_ranged(graph):
            text = print_graph(graph)
            assert print_graph(parse_graph(text, named_constants(graph))) == text
        found = run_graph(graph, inputs)
        assert list(found) == list(outputs)
        for got, want in zip(found.values(), expected, strict=True):
            assert (got.shape, got.dtype) == (want.shape, want.dtype)
            if want.dtype.kind == "f":
                np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance)
            else:
                assert np.abs(got.astype(np.int64) - want.astype(np.int64)).max(initial=0) <= steps
        return graph

    return check


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture(scope="session")
def import_error() -> Callable[..., str]:
    """The message with which a model of one node is refused; it names the node."""

    def check(
        node: onnx.NodeProto, inputs: Mapping[str, Array], constants: Mapping[str, Array] | None = None, opset: int = 17
    ) -> str:
        model = make_model([node], inputs, constants or {}, {"y": "float32"}, opset)
        with pytest.raises(EdgeError) as error:
            import_onnx(model)
        assert f"{node.op_type} node {node.name!r}" in str(error.value)
        return str(error.value)

    return check
