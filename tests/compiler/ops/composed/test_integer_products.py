import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper
from onnx.reference import ReferenceEvaluator

from edgec.compiler.importer import import_onnx
from edgec.compiler.ops.reference import run_graph

DTYPES = st.sampled_from(["int8", "uint8"])


def integers(rng, dtype, shape):
    info = np.iinfo(dtype)
    return rng.integers(info.min, info.max + 1, shape).astype(dtype)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    dtypes=st.tuples(DTYPES, DTYPES), zeros=st.integers(0, 2), constant=st.booleans(),
    shapes=st.sampled_from([((3, 5), (5, 4)), ((2, 3, 5), (5, 4)), ((2, 3, 5), (2, 5, 4)), ((5,), (5, 4))]),
)  # fmt: skip
def test_matmul_integer(against_ort, dtypes, zeros, constant, shapes):
    rng = np.random.default_rng(1)
    a, b = (integers(rng, d, s) for d, s in zip(dtypes, shapes, strict=True))
    more = {"az": integers(rng, dtypes[0], ()), "bz": integers(rng, dtypes[1], ())}
    more = dict(list(more.items())[:zeros])
    inputs, constants = {"a": a, "b": b, **more}, {}
    if constant:
        inputs, constants = {"a": a}, {"b": b, **more}
    node = helper.make_node("MatMulInteger", ["a", "b", *more], ["y"])
    against_ort(node, inputs, constants, outputs={"y": "int32"})


def test_zero_points_per_column(against_ort, rng):
    a, b = integers(rng, "uint8", (3, 5)), integers(rng, "int8", (5, 4))
    zeros = {"az": integers(rng, "uint8", ()), "bz": integers(rng, "int8", (4,))}
    node = helper.make_node("MatMulInteger", ["a", "b", "az", "bz"], ["y"])
    against_ort(node, {"a": a, "b": b, **zeros}, outputs={"y": "int32"})


@pytest.mark.parametrize("computed", [False, True])
@pytest.mark.parametrize("dtype", ["int8", "uint8"])
def test_conv_integer(against_ort, rng, computed, dtype):
    """ONNX Runtime's kernel has uint8 data only, onnx's reference the rest."""
    x, w = integers(rng, "uint8", (2, 4, 6, 7)), integers(rng, dtype, (6, 2, 3, 2))
    zeros = {"xz": integers(rng, "uint8", ()), "wz": integers(rng, dtype, ())}
    node = helper.make_node(
        "ConvInteger", ["x", "w", "xz", "wz"], ["y"], group=2, pads=[1, 0, 1, 1], strides=[1, 2], kernel_shape=[3, 2]
    )
    inputs, constants = {"x": x, "w": w, **zeros}, {}
    if not computed:
        inputs, constants = {"x": x}, {"w": w, **zeros}
    against_ort(node, inputs, constants, outputs={"y": "int32"})


@pytest.mark.parametrize("batches", [(0, 0), (1, 0), (0, 1)])
@pytest.mark.parametrize("transposed", [(0, 0), (1, 0), (0, 1), (1, 1)])
def test_fused_matmul(against_ort, rng, transposed, batches):
    def operand(rows, columns, swapped, batch_inside):
        shape = (columns, rows) if swapped else (rows, columns)
        return rng.normal(size=(shape[0], 2, shape[1]) if batch_inside else (2, *shape)).astype(np.float32)

    a, b = operand(3, 4, transposed[0], batches[0]), operand(4, 5, transposed[1], batches[1])
    node = helper.make_node(
        "FusedMatMul", ["a", "b"], ["y"], domain="com.microsoft", alpha=0.5,
        transA=transposed[0], transB=transposed[1], transBatchA=batches[0], transBatchB=batches[1],
    )  # fmt: skip
    against_ort(node, {"a": a, "b": b})


@pytest.mark.parametrize(
    ("activation", "params"),
    [
        ("Relu", []),
        ("Tanh", []),
        ("Sigmoid", []),
        ("LeakyRelu", [0.2]),
        ("Clip", [-0.5, 1.0]),
        ("HardSigmoid", [0.3, 0.4]),
    ],
)
def test_fused_conv(against_ort, rng, activation, params):
    x, w, b, z = (rng.normal(size=s).astype(np.float32) for s in ((1, 3, 5, 5), (4, 3, 3, 3), (4,), (1, 4, 3, 3)))
    attrs = {"activation": activation} | ({"activation_params": params} if params else {})
    node = helper.make_node("FusedConv", ["x", "w", "b", "z"], ["y"], domain="com.microsoft", **attrs)
    against_ort(node, {"x": x, "z": z}, {"w": w, "b": b})


@pytest.mark.parametrize("dtype", ["int32", "int64", "uint32", "float64"])
def test_products_of_other_numbers(against_ort, rng, dtype):
    a, b = (rng.integers(0, 2**20, shape).astype(dtype) for shape in ((2, 3, 4), (4, 5)))
    node = helper.make_node("MatMul", ["a", "b"], ["y"])
    against_ort(node, {"a": a, "b": b}, outputs={"y": dtype})


def test_gemm_of_integers():
    node = helper.make_node("Gemm", ["a", "b", "c"], ["y"], transA=1)
    rng = np.random.default_rng(3)
    inputs = {n: rng.integers(-9, 9, s).astype(np.int32) for n, s in (("a", (4, 3)), ("b", (4, 5)), ("c", (3, 1)))}
    infos = [helper.make_tensor_value_info(n, onnx.TensorProto.INT32, a.shape) for n, a in inputs.items()]
    graph = helper.make_graph([node], "g", infos, [helper.make_tensor_value_info("y", onnx.TensorProto.INT32, (3, 5))])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    (want,) = ReferenceEvaluator(model).run(None, inputs)
    np.testing.assert_array_equal(run_graph(import_onnx(model), inputs)["y"], want)
