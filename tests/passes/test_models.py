"""The whole pipeline on models: it must not change what they compute, and must leave little of what they do."""

import time
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

from edgec.compiler.importer import import_onnx
from edgec.compiler.ir.graph import Array, Graph
from edgec.compiler.ops.reference import run_graph
from edgec.passes import absorb_qdq, dce, pipeline

LIGHT = Path(onnx.__file__).parent / "backend/test/data/light"

WHAT_REMAINS = {
    "squeezenet": {
        "conv2d": 26, "concat": 8, "max_pool2d": 3, "transpose": 1, "avg_pool2d": 1, "reshape": 2, "softmax": 1,
    },
    "shufflenet": {
        "conv2d": 49, "reshape": 33, "transpose": 17, "avg_pool2d": 4, "map": 3, "concat": 3, "max_pool2d": 1,
        "matmul": 1, "softmax": 1,
    },
    "resnet50": {
        "conv2d": 53, "transpose": 1, "max_pool2d": 1, "avg_pool2d": 1, "reshape": 1, "matmul": 1, "softmax": 1,
    },
}  # fmt: skip
"""One transpose brings the picture into NHWC; ShuffleNet has one more in each of its sixteen shuffles."""


@pytest.mark.parametrize("name", ["squeezenet", "shufflenet", pytest.param("resnet50", marks=pytest.mark.slow)])
def test_real_architectures_keep_their_values_and_lose_their_overhead(name: str) -> None:
    graph = import_onnx(LIGHT / f"light_{name}.onnx")
    _randomize(graph)
    inputs = _random_inputs(graph)
    before = run_graph(graph, inputs, all_values=True)
    pipeline.run_pipeline(graph, pipeline.FLOAT, verify=True)
    pipeline.run_pipeline(graph, pipeline.LATE, verify=True)
    assert Counter(node.op for node in graph.nodes) == WHAT_REMAINS[name]
    after = run_graph(graph, inputs, all_values=True)
    compared = [_compare(before[n], after[n], n) for v in graph.nodes if (n := v.output.name) in before]
    assert sum(compared) > len(graph.nodes) // 2, "values keep the names of the model"


def test_float_model_equals_onnx_runtime(mobile: onnx.ModelProto) -> None:
    graph = import_onnx(mobile)
    x = _images(1)[0]
    pipeline.run_pipeline(graph, pipeline.FLOAT, verify=True)
    pipeline.run_pipeline(graph, pipeline.LATE, verify=True)
    (expected,) = onnxruntime.InferenceSession(mobile.SerializeToString()).run(None, {"x": x})
    (found,) = run_graph(graph, {"x": x}).values()
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.ptp(expected))
    ops = Counter(node.op for node in graph.nodes)
    # Hard-swish, clips, biases and the sum are in epilogues; the gate's product and the shift before the pad stay.
    assert (ops["map"], ops["pad"], ops["transpose"]) == (2, 0, 2), "the picture comes in, and one shuffle"


def test_quantized_model_computes_on_integers(mobile: onnx.ModelProto, tmp_path: Path) -> None:
    graph = import_onnx(_quantized(mobile, tmp_path))
    pipeline.run_pipeline(graph, pipeline.FLOAT, verify=True)
    absorb_qdq.run(graph)
    dce.run(graph)
    images = _images(3)
    integers = [next(iter(run_graph(graph, {"x": x}).values())) for x in images]
    pipeline.run_pipeline(graph, pipeline.LATE, verify=True)
    float_nodes = [n for n in graph.nodes if n.output.type.quant is None]
    assert [n.op for n in float_nodes] == ["map"], "dequantizing the output is all that is done in float"
    session = onnxruntime.InferenceSession(tmp_path / "int8.onnx")
    for x, expected in zip(images, integers, strict=True):
        (found,) = run_graph(graph, {"x": x}).values()
        np.testing.assert_array_equal(found, expected)
        (theirs,) = session.run(None, {"x": x})
        assert np.abs(found - theirs).max() <= 0.05 * np.ptp(theirs)


def test_ten_thousand_nodes_take_seconds() -> None:
    nodes, name = [], "x"
    for i in range(10_000):
        op = ("Relu", "Neg", "Transpose")[i % 3]
        nodes.append(helper.make_node(op, [name], [f"t{i}"]))
        name = f"t{i}"
    graph = import_onnx(_model(nodes, {}, (2, 3), name, (3, 2)))
    start = time.process_time()
    pipeline.run_pipeline(graph, pipeline.FLOAT)
    pipeline.run_pipeline(graph, pipeline.LATE)
    assert time.process_time() - start < 15


def _compare(before: Array, after: Array, name: str) -> bool:
    """Whether both are the same tensor; NHWC ones are turned back."""
    if before.ndim == 4 and before.shape != after.shape:
        after = after.transpose(0, 3, 1, 2)
    if before.shape != after.shape:
        return False
    np.testing.assert_allclose(after, before, atol=1e-5 * max(np.ptp(before), 1e-6), rtol=0, err_msg=name)
    return True


def _randomize(graph: Graph) -> None:
    """The light models have constant weights, with which every channel is the same."""
    rng = np.random.default_rng(0)
    for value in graph.values():
        if value.data is not None and value.type.dtype == "float32" and value.type.size > 1:
            fan_in = max(value.type.size // max(value.type.shape), 1)
            noise = rng.normal(size=value.type.shape) * np.sqrt(2 / fan_in if fan_in > 1 else 0.01)
            value.data = (noise + (fan_in == 1)).astype(np.float32)


def _random_inputs(graph: Graph) -> dict[str, Array]:
    rng = np.random.default_rng(1)
    return {v.name: rng.normal(size=v.type.shape).astype(v.type.dtype) for v in graph.inputs}


def _images(count: int) -> list[Array]:
    return list(np.random.default_rng(2).normal(size=(count, 1, 3, 32, 32)).astype(np.float32))


class _Weights:
    """Initializers with seeded random data."""

    def __init__(self) -> None:
        self.tensors: dict[str, Array] = {}
        self.rng = np.random.default_rng(3)

    def __call__(self, *shape: int) -> str:
        name = f"w{len(self.tensors)}"
        fan_in = np.prod(shape[1:]) if len(shape) > 1 else 25
        self.tensors[name] = (self.rng.normal(size=shape) * np.sqrt(2 / fan_in)).astype(np.float32)
        return name

    def constant(self, data: object, dtype: type = np.float32) -> str:
        name = f"k{len(self.tensors)}"
        self.tensors[name] = np.array(data, dtype)
        return name


@pytest.fixture(scope="module")
def mobile() -> onnx.ModelProto:
    """What mobile models are made of: hard-swish in parts, depthwise, gates, residuals, pads, shuffles, pools."""
    w, n = _Weights(), helper.make_node
    three, zero, six = w.constant(3.0), w.constant(0.0), w.constant(6.0)
    nodes = [
        n("Sub", ["x", w.constant(0.1)], ["x0"]),
        n("Pad", ["x0", w.constant([0, 0, 0, 0, 0, 0, 1, 1], np.int64)], ["x1"]),
        n("Conv", ["x1", w(16, 3, 3, 3)], ["a0"], strides=[2, 2]),
        n("BatchNormalization", ["a0", w(16), w(16), w(16), w.constant(np.linspace(0.5, 2, 16))], ["a1"]),
        n("Add", ["a1", three], ["a2"]),
        n("Clip", ["a2", zero, six], ["a3"]),
        n("Mul", ["a1", "a3"], ["a4"]),
        n("Div", ["a4", six], ["a5"]),
        n("Conv", ["a5", w(16, 1, 3, 3), w(16)], ["b0"], group=16, pads=[1, 1, 1, 1]),
        n("Clip", ["b0", zero, six], ["b1"]),
        n("GlobalAveragePool", ["b1"], ["s0"]),
        n("Conv", ["s0", w(8, 16, 1, 1), w(8)], ["s1"]),
        n("Relu", ["s1"], ["s2"]),
        n("Conv", ["s2", w(16, 8, 1, 1), w(16)], ["s3"]),
        n("HardSigmoid", ["s3"], ["s4"]),
        n("Mul", ["b1", "s4"], ["b2"]),
        n("Conv", ["b2", w(16, 16, 1, 1)], ["b3"]),
        n("Mul", ["b3", w.constant(np.linspace(0.5, 1, 16).reshape(16, 1, 1))], ["b4"]),
        n("Add", ["a5", "b4"], ["b5"]),
        n("Reshape", ["b5", w.constant([1, 4, 4, 16, 16], np.int64)], ["c0"]),
        n("Transpose", ["c0"], ["c1"], perm=[0, 2, 1, 3, 4]),
        n("Reshape", ["c1", w.constant([1, 16, 16, 16], np.int64)], ["c2"]),
        n("Conv", ["c2", w(8, 4, 3, 3)], ["c3"], group=4, strides=[2, 2], pads=[1, 1, 1, 1]),
        n("MaxPool", ["b5"], ["c4"], kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]),
        n("Concat", ["c3", "c4"], ["d0"], axis=1),
        n("Resize", ["d0", "", w.constant([1, 1, 2, 2])], ["d1"], mode="nearest", nearest_mode="floor",
          coordinate_transformation_mode="asymmetric"),
        n("AveragePool", ["d1"], ["d2"], kernel_shape=[2, 2], strides=[2, 2]),
        n("GlobalAveragePool", ["d2"], ["e0"]),
        n("Flatten", ["e0"], ["e1"]),
        n("Gemm", ["e1", w(24, 10), w(10)], ["e2"]),
        n("Softmax", ["e2"], ["y"], axis=1),
    ]  # fmt: skip
    return _model(nodes, w.tensors, (1, 3, 32, 32), "y", (1, 10))


def _model(nodes: list, tensors: dict[str, Array], x: tuple, output: str, y: tuple) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes,
        "model",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, x)],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, y)],
        [numpy_helper.from_array(data, name) for name, data in tensors.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15)], ir_version=8)


def _quantized(model: onnx.ModelProto, folder: Path) -> Path:
    """ONNX Runtime's static quantization of `model`: QDQ, int8 weights per channel."""

    class Reader(CalibrationDataReader):
        def __init__(self) -> None:
            self.samples = iter([{"x": x} for x in _images(4)])

        def get_next(self) -> dict[str, Array] | None:
            return next(self.samples, None)

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC  # folds batch norms
    options.optimized_model_filepath = str(folder / "float.onnx")
    onnxruntime.InferenceSession(model.SerializeToString(), options)
    quantize_static(
        folder / "float.onnx",
        folder / "int8.onnx",
        Reader(),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        activation_type=QuantType.QInt8,
        weight_type=QuantType.QInt8,
    )
    return folder / "int8.onnx"
