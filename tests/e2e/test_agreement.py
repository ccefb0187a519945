"""Quantized nodes one by one, compiled for this machine: every byte is ONNX Runtime's. And already quantized models.

Activations and weights are int8, mostly: with uint8 activations and int8 weights beyond [-63, 63] ONNX Runtime's sums
saturate on AVX2 machines without VNNI. A node in QDQ form may become an integer one in ONNX Runtime, as on arm64.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import helper, numpy_helper

from edgec.benchmarks import qdq, zoo
from edgec.benchmarks.agreement import compare
from edgec.benchmarks.oracle import onnx_runtime
from edgec.compiler.bundle.load import load
from edgec.compiler.bundle.reader import open_bundle
from edgec.compiler.driver import build_graph, compile_model
from edgec.compiler.ops.reference import run_graph
from edgec.passes.patterns import is_dequantize, is_quantize
from edgec.runtimes.devices import open_device

Array = np.ndarray[Any, Any]
Arrays = Mapping[str, Array]
Case = tuple[tuple[int, ...], tuple[int, ...], Mapping[str, Any]]
"""Shapes of data and weights, attributes."""

pytestmark = pytest.mark.slow

CONVS: Mapping[str, Case] = {
    "1x1": ((1, 20, 7, 9), (36, 20, 1, 1), {}),
    "1x1 strided": ((1, 16, 8, 8), (16, 16, 1, 1), {"strides": [2, 2]}),
    "3x3": ((1, 8, 9, 9), (12, 8, 3, 3), {"pads": [1, 1, 1, 1]}),
    "3x3 strided, a batch": ((2, 3, 15, 12), (17, 3, 3, 3), {"strides": [2, 2], "pads": [0, 1, 1, 0]}),
    "2x5, uneven pads": ((1, 5, 6, 11), (9, 5, 2, 5), {"pads": [1, 3, 0, 2], "strides": [1, 3]}),
    "groups": ((1, 12, 7, 7), (18, 4, 3, 3), {"group": 3, "pads": [1, 1, 1, 1]}),
    "depthwise": ((1, 24, 9, 9), (24, 1, 3, 3), {"group": 24, "pads": [1, 1, 1, 1]}),
    "depthwise 5x5 strided": ((1, 40, 10, 10), (40, 1, 5, 5), {"group": 40, "strides": [2, 2], "pads": [2, 2, 2, 2]}),
    "depthwise, 3 filters a channel": ((1, 6, 8, 8), (18, 1, 3, 3), {"group": 6}),
    "dilated": ((1, 8, 12, 12), (16, 8, 3, 3), {"dilations": [2, 3], "pads": [2, 3, 2, 3]}),
    "1-d": ((1, 6, 40), (14, 6, 5), {"strides": [2]}),
    "long sums": ((1, 300, 6, 7), (30, 300, 5, 5), {}),
}

TRANSPOSED: Mapping[str, Case] = {
    "2x2": ((1, 8, 5, 6), (8, 6, 2, 2), {"strides": [2, 2]}),
    "3x3, pads": ((1, 5, 4, 7), (5, 9, 3, 3), {"strides": [2, 2], "pads": [1, 0, 1, 1], "output_padding": [1, 0]}),
    "4x4, groups": ((1, 6, 5, 5), (6, 2, 4, 4), {"strides": [2, 2], "pads": [1, 1, 1, 1], "group": 3}),
    "no stride": ((1, 4, 5, 5), (4, 20, 3, 3), {}),
}

ZEROS = ((0, 0), (-7, 11), (127, -128))
"""Zero points of data and result."""


def codes(rng: np.random.Generator, shape: Sequence[int], dtype: str = "int8", limit: int = 128) -> Array:
    """Random codes, all of the dtype's or within +-limit, extremes included."""
    low, high = (0, 255) if dtype == "uint8" else (max(-limit, -128), min(limit, 127))
    made = rng.integers(low, high + 1, shape).astype(dtype)
    made.flat[:2] = low, high
    return made


def scales(rng: np.random.Generator, count: int | None, mean: float) -> Array:
    """float32: one, or `count` of them around `mean`."""
    return np.array(mean * rng.uniform(0.4, 1.6, () if count is None else count), np.float32)


def single(nodes: Sequence[onnx.NodeProto], x: Array, constants: Arrays) -> onnx.ModelProto:
    """A model from `x` to `y`, both of the dtype of `x`."""
    kind = helper.np_dtype_to_tensor_dtype(x.dtype)
    graph = helper.make_graph(
        list(nodes), "g", [helper.make_tensor_value_info("x", kind, x.shape)],
        [helper.make_tensor_value_info("y", kind, None)],
        [numpy_helper.from_array(np.asarray(a), n) for n, a in constants.items()],
    )  # fmt: skip
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def integer_session(model: onnx.ModelProto, folder: Path) -> tuple[ort.InferenceSession, list[str]]:
    """ONNX Runtime's session, made to compute int8 in integers on every machine, and the ops it runs."""
    options, path = ort.SessionOptions(), folder / "optimized.onnx"
    options.log_severity_level = 3
    options.add_session_config_entry("session.qdqisint8allowed", "1")
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(path)
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session, [node.op_type for node in onnx.load(path).graph.node]


def check(model: onnx.ModelProto, x: Array, folder: Path, ops: Sequence[str]) -> None:
    """The bytes of `model`, compiled for this machine, are those of ONNX Runtime, which runs it as `ops`."""
    session, run = integer_session(model, folder)
    assert run == list(ops)
    (expected,) = session.run(None, {"x": x})
    onnx.save(model, folder / "model.onnx")
    compile_model(folder / "model.onnx", target="host", output=folder / "model.edge", verify=True)
    found = load(folder / "model.edge").run({"x": x})["y"]
    assert found.dtype == expected.dtype and len(np.unique(expected)) > 7
    np.testing.assert_array_equal(found, expected)


def quantization(
    rng: np.random.Generator, zeros: tuple[int, int], channels: int | None, terms: int
) -> dict[str, Array]:
    """Scales and zero points of x, w and y such that sums of `terms` products use y's codes."""
    sx, sw = scales(rng, None, 0.03), scales(rng, channels, 0.004)
    return {
        "sx": sx, "zx": np.array(zeros[0], np.int8), "sw": sw, "zw": np.zeros(sw.shape, np.int8),
        "sy": np.array(sx * sw.mean() * 74 * 74 * terms**0.5 / 50, np.float32), "zy": np.array(zeros[1], np.int8),
    }  # fmt: skip


@pytest.mark.parametrize("zeros", ZEROS)
@pytest.mark.parametrize("kind", CONVS)
def test_qlinear_conv(tmp_path: Path, kind: str, zeros: tuple[int, int]) -> None:
    x_shape, w_shape, attrs = CONVS[kind]
    rng = np.random.default_rng(list(CONVS).index(kind))
    x, w, channels = codes(rng, x_shape), codes(rng, w_shape), w_shape[0]
    q = quantization(rng, zeros, channels if zeros[0] else None, w[0].size)
    bias = rng.integers(-3000, 3000, channels).astype(np.int32)
    names = ["x", "sx", "zx", "w", "sw", "zw", "sy", "zy", "b"]
    model = single([helper.make_node("QLinearConv", names, ["y"], **attrs)], x, {**q, "w": w, "b": bias})
    check(model, x, tmp_path, ["QLinearConv"])


def around(op: str, x: Array, w: Array, q: dict[str, Array], bias: Array | None, **attrs: Any) -> onnx.ModelProto:
    """`op` in QDQ form."""
    axis = {"axis": attrs.pop("axis")} if "axis" in attrs else {}
    nodes = [
        helper.make_node("DequantizeLinear", ["x", "sx", "zx"], ["xf"]),
        helper.make_node("DequantizeLinear", ["w", "sw", "zw"], ["wf"], **axis),
        helper.make_node(op, ["xf", "wf"] + (["bf"] if bias is not None else []), ["yf"], **attrs),
        helper.make_node("QuantizeLinear", ["yf", "sy", "zy"], ["y"]),
    ]
    constants = {**q, "w": w}
    if bias is not None:
        zeros = np.zeros(q["sw"].shape, np.int32)
        constants |= {"b": bias, "sb": q["sx"] * q["sw"], "zb": zeros}
        nodes.insert(2, helper.make_node("DequantizeLinear", ["b", "sb", "zb"], ["bf"], axis=0))
    return single(nodes, x, constants)


@pytest.mark.parametrize("kind", ["1x1", "3x3", "depthwise", "groups"])
def test_conv_between_dequantize_and_quantize(tmp_path: Path, kind: str) -> None:
    x_shape, w_shape, attrs = CONVS[kind]
    rng = np.random.default_rng(20 + list(CONVS).index(kind))
    x, w = codes(rng, x_shape), codes(rng, w_shape)
    q, bias = quantization(rng, (-7, 11), w_shape[0], w[0].size), rng.integers(-3000, 3000, w_shape[0]).astype(np.int32)
    check(around("Conv", x, w, q, bias, axis=0, **attrs), x, tmp_path, ["QLinearConv"])


@pytest.mark.parametrize(("rows", "depth", "columns"), [(1, 64, 1000), (5, 40, 9), (17, 129, 33), (4, 3000, 16)])
@pytest.mark.parametrize("form", ["QLinearMatMul", "QGemm", "MatMul", "Gemm"])
def test_matrix_products(tmp_path: Path, form: str, rows: int, depth: int, columns: int) -> None:
    rng = np.random.default_rng(rows)
    x, w = codes(rng, (rows, depth)), codes(rng, (depth, columns))
    q, bias = quantization(rng, (5, -9), columns, depth), rng.integers(-9000, 9000, columns).astype(np.int32)
    if form == "MatMul":
        model, ops = around("MatMul", x, w, q, None, axis=1), ["QLinearMatMul"]
    elif form == "Gemm":
        model, ops = around("Gemm", x, w, q, bias, axis=1), ["QGemm"]
    else:
        names = ["x", "sx", "zx", "w", "sw", "zw"] + (["b"] if form == "QGemm" else []) + ["sy", "zy"]
        node = helper.make_node(form, names, ["y"], domain="com.microsoft" if form == "QGemm" else "")
        model, ops = single([node], x, {**q, "w": w, "b": bias} if form == "QGemm" else {**q, "w": w}), [form]
    check(model, x, tmp_path, ops)


@pytest.mark.parametrize("kind", TRANSPOSED)
def test_transposed_conv(tmp_path: Path, kind: str) -> None:
    """ONNX Runtime has no integer form of it: scales are powers of two, so that its sums in float32 are exact."""
    x_shape, w_shape, attrs = TRANSPOSED[kind]
    rng = np.random.default_rng(40 + list(TRANSPOSED).index(kind))
    x, w = codes(rng, x_shape), codes(rng, w_shape)
    q = quantization(rng, (-7, 11), None, w[:, 0].size // 4)
    q |= {name: np.exp2(np.round(np.log2(q[name]))) for name in ("sx", "sw", "sy")}
    channels = w_shape[1] * attrs.get("group", 1)
    bias = rng.integers(-3000, 3000, channels).astype(np.int32)
    ops = ["DequantizeLinear"] * 3 + ["ConvTranspose", "QuantizeLinear"]
    check(around("ConvTranspose", x, w, q, bias, **attrs), x, tmp_path, ops)


def uint8_conv(rng: np.random.Generator, kind: str, w: Array, zero: int) -> tuple[onnx.ModelProto, Array]:
    """QLinearConv of uint8 data, and data for it."""
    x_shape, _, attrs = CONVS[kind]
    x, zw = codes(rng, x_shape, "uint8"), np.array(zero, w.dtype)
    q = {**quantization(rng, (0, 0), None, w[0].size), "zx": np.array(131, np.uint8), "zy": np.array(90, np.uint8)}
    node = helper.make_node("QLinearConv", ["x", "sx", "zx", "w", "sw", "zw", "sy", "zy"], ["y"], **attrs)
    return single([node], x, {**q, "w": w, "zw": zw}), x


@pytest.mark.parametrize("kind", ["1x1", "depthwise"])
def test_uint8_data(tmp_path: Path, kind: str) -> None:
    """Weights small enough for ONNX Runtime to be right everywhere."""
    rng = np.random.default_rng(60)
    model, x = uint8_conv(rng, kind, codes(rng, CONVS[kind][1], limit=63), 0)
    check(model, x, tmp_path, ["QLinearConv"])


@pytest.mark.parametrize("kind", ["1x1", "3x3", "groups", "depthwise", "depthwise, 3 filters a channel", "dilated"])
@pytest.mark.parametrize("zero", [0, 120, 255])
def test_uint8_weights(tmp_path: Path, kind: str, zero: int) -> None:
    """Less their zero point they take nine bits. ONNX Runtime multiplies uint8 by uint8 without saturation."""
    rng = np.random.default_rng(70)
    model, x = uint8_conv(rng, kind, codes(rng, CONVS[kind][1], "uint8"), zero)
    check(model, x, tmp_path, ["QLinearConv"])


FORMS: Mapping[str, Mapping[str, Any]] = {
    "uint8 per channel": {"activations": "uint8"},
    "uint8 per tensor": {"activations": "uint8", "weights": "uint8", "per_channel": False},
    "uint8, asymmetric weights": {"activations": "uint8", "per_channel": True, "symmetric_weights": False},
    "int8 per tensor, asymmetric weights": {"per_channel": False, "symmetric_weights": False},
    "QOperator": {"activations": "uint8", "operators": True},
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_a_quantized_model(tmp_path: Path, form: str) -> None:
    """A classifier with squeeze-excitation: the compiled bytes are the reference's, the classes ONNX Runtime's."""
    model = zoo.MODELS["ppocr_cls"]
    path = tmp_path / "model.onnx"
    qdq.quantize(model.load(), model.samples(2), path, **FORMS[form])
    graph, infer = build_graph(path, shapes=model.shapes, verify=True), onnx_runtime(path, optimize=False)
    if form != "QOperator":  # which leaves ops that have no such operator in float
        assert all(is_quantize(n) or is_dequantize(n) or n.output.type.quant for n in graph.nodes)
    emulated = {"qemu:cortex-a76": "arm64-neon"} if form in ("uint8, asymmetric weights", "QOperator") else {}
    for feeds in model.samples(2, start=100):
        expected, (theirs,) = run_graph(graph, feeds), infer(feeds).values()
        ((name, y),) = expected.items()
        assert y.argmax() == theirs.argmax() and np.abs(y - theirs).max() < 0.03
        for device, target in {"local": "host", **emulated}.items():
            bundle = tmp_path / f"{target}.edge"
            if not bundle.exists():
                compile_model(path, target=target, shapes=model.shapes, output=bundle)
            manifest = open_bundle(bundle).manifest
            found = open_device(device).run(bundle, manifest.inputs, manifest.outputs, feeds).outputs[name]
            np.testing.assert_array_equal(found, y)


@pytest.mark.parametrize("network", ["ppocr_cls", "mobilenet_v3_small"])
def test_ops_of_quantized_models(network: str) -> None:
    """On equal inputs an op may be a step off where ONNX Runtime's float32 sums meet a tie: less than one in 1000."""
    model = zoo.MODELS[network]
    report = compare(zoo.quantized(network), model.shapes, model.samples(2, start=100))
    assert {"Conv", "Add", "Mul", "HardSigmoid", "GlobalAveragePool", "Gemm"} <= set(report.ops)
    for found in report.ops.values():
        assert found.largest <= 1 and found.differing <= found.values / 1000
    assert report.as_written.largest <= 4 * max(report.itself.largest, 2)
    assert not report.in_float
