"""Quantized ops: byte for byte against ONNX Runtime where its arithmetic is the contract's, else within one step.

The activations are int8 and the weights int8: with uint8 activations ONNX Runtime's AVX2 kernels saturate, unless the
weights are small.
"""

from typing import Any

import numpy as np
import pytest
from onnx import helper

from edgec.compiler.ir.parser import parse_graph
from edgec.compiler.ir.types import Quant
from edgec.compiler.ops import quantized
from edgec.compiler.ops.reference import run_graph


def codes(rng, *shape, dtype="int8", limit=None):
    info = np.iinfo(dtype)
    low, high = (info.min, info.max) if limit is None else (-limit, limit)
    return rng.integers(low, high + 1, shape).astype(dtype)


def scale(value):
    return np.array(value, np.float32)


CONVS: dict[str, tuple[tuple[int, ...], tuple[int, ...], dict[str, Any]]] = {
    "plain": ((1, 8, 9, 9), (12, 8, 3, 3), {"pads": [1, 1, 1, 1]}),
    "strided": ((2, 3, 9, 8), (5, 3, 3, 3), {"strides": [2, 2], "pads": [0, 1, 1, 0]}),
    "pointwise": ((1, 24, 6, 6), (10, 24, 1, 1), {}),
    "depthwise": ((1, 8, 7, 7), (8, 1, 3, 3), {"group": 8, "pads": [1, 1, 1, 1]}),
    "grouped": ((1, 8, 7, 7), (4, 4, 3, 3), {"group": 2, "dilations": [2, 2], "pads": [2, 2, 2, 2]}),
    "1-d": ((1, 6, 20), (4, 6, 5), {"strides": [2]}),
}


@pytest.mark.parametrize("kind", CONVS)
@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("zeros", [(0, 0), (-7, 11)])
def test_qlinear_conv(against_ort, rng, kind, per_channel, zeros):
    x_shape, w_shape, attrs = CONVS[kind]
    channels = w_shape[0]
    w_scale = rng.uniform(0.002, 0.01, channels).astype(np.float32) if per_channel else scale(0.004)
    constants = {
        "sx": scale(0.03), "zx": np.array(zeros[0], np.int8), "w": codes(rng, *w_shape), "sw": w_scale,
        "zw": np.zeros(w_scale.shape, np.int8), "sy": scale(0.9), "zy": np.array(zeros[1], np.int8),
        "b": rng.integers(-3000, 3000, channels).astype(np.int32),
    }  # fmt: skip
    node = helper.make_node("QLinearConv", ["x", *constants], ["y"], **attrs)
    graph = against_ort(node, {"x": codes(rng, *x_shape)}, constants, {"y": "int8"})
    assert [n.op for n in graph.nodes if n.op != "reshape"] == ["conv2d"]


def test_qlinear_conv_of_uint8(against_ort, rng):
    """uint8 outside, int8 inside; the weights are small enough for ONNX Runtime to be right."""
    constants = {
        "sx": scale(0.02), "zx": np.uint8(131), "w": codes(rng, 6, 4, 3, 3, limit=63), "sw": scale(0.01),
        "zw": np.int8(0), "sy": scale(0.07), "zy": np.uint8(90),
    }  # fmt: skip
    constants = {k: np.asarray(v) for k, v in constants.items()}
    node = helper.make_node("QLinearConv", ["x", *constants], ["y"])
    graph = against_ort(node, {"x": codes(rng, 1, 4, 8, 8, dtype="uint8")}, constants, {"y": "uint8"})
    assert [(n.op, n.output.type.dtype) for n in graph.nodes] == [("map", "int8"), ("conv2d", "int8"), ("map", "uint8")]


@pytest.mark.parametrize("per_column", [False, True])
@pytest.mark.parametrize("shape", [(5, 40), (2, 3, 5, 40)])
def test_qlinear_matmul(against_ort, rng, per_column, shape):
    w_scale = rng.uniform(0.002, 0.01, 9).astype(np.float32) if per_column else scale(0.004)
    constants = {
        "sa": scale(0.03), "za": np.array(-5, np.int8), "b": codes(rng, 40, 9), "sb": w_scale,
        "zb": np.zeros(w_scale.shape, np.int8), "sy": scale(0.5), "zy": np.array(3, np.int8),
    }  # fmt: skip
    node = helper.make_node("QLinearMatMul", ["a", *constants], ["y"])
    against_ort(node, {"a": codes(rng, *shape)}, constants, {"y": "int8"})


def test_qlinear_matmul_of_two_activations(against_ort, rng):
    constants = {
        "sa": scale(0.03),
        "za": np.array(-5, np.int8),
        "sb": scale(0.01),
        "zb": np.array(0, np.int8),
        "sy": scale(0.2),
        "zy": np.array(3, np.int8),
    }
    node = helper.make_node("QLinearMatMul", ["a", "sa", "za", "b", "sb", "zb", "sy", "zy"], ["y"])
    against_ort(node, {"a": codes(rng, 2, 5, 8), "b": codes(rng, 2, 8, 6)}, constants, {"y": "int8"})


@pytest.mark.parametrize("transposed", [0, 1])
def test_qgemm(against_ort, rng, transposed):
    constants = {
        "sa": scale(0.03), "za": np.array(-5, np.int8), "w": codes(rng, *((9, 40) if transposed else (40, 9))),
        "sw": rng.uniform(0.002, 0.01, 9).astype(np.float32), "zw": np.zeros(9, np.int8),
        "c": rng.integers(-3000, 3000, 9).astype(np.int32), "sy": scale(0.5), "zy": np.array(3, np.int8),
    }  # fmt: skip
    node = helper.make_node("QGemm", ["a", *constants], ["y"], domain="com.microsoft", transB=transposed)
    against_ort(node, {"a": codes(rng, 5, 40)}, constants, {"y": "int8"})


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
@pytest.mark.parametrize("axis", [None, 1])
def test_quantize_and_dequantize(against_ort, rng, dtype, axis):
    count = () if axis is None else (4,)
    constants = {
        "s": rng.uniform(0.01, 0.1, count).astype(np.float32),
        "z": codes(rng, *count, dtype=dtype).astype(dtype),
    }
    attrs = {} if axis is None else {"axis": axis}
    x = (rng.normal(size=(3, 4, 5)) * 3).astype(np.float32)
    against_ort(helper.make_node("QuantizeLinear", ["x", "s", "z"], ["y"], **attrs), {"x": x}, constants, {"y": dtype})
    q = codes(rng, 3, 4, 5, dtype=dtype)
    against_ort(helper.make_node("DequantizeLinear", ["x", "s", "z"], ["y"], **attrs), {"x": q}, constants, tolerance=0)


def test_dequantize_constants_of_every_dtype(against_ort, rng):
    for dtype in ("int8", "uint8", "int32"):
        constants = {"w": rng.integers(0, 100, (3, 4)).astype(dtype), "s": scale(0.1)}
        nodes = [helper.make_node("DequantizeLinear", ["w", "s"], ["d"]), helper.make_node("Add", ["x", "d"], ["y"])]
        against_ort(nodes, {"x": rng.normal(size=4).astype(np.float32)}, constants, tolerance=0)


def test_qdq_around_copies(against_ort, rng):
    constants = {"s": scale(0.05), "z": np.array(128, np.uint8)}
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        helper.make_node("MaxPool", ["q"], ["m"], kernel_shape=[2, 2]),
        helper.make_node("Transpose", ["m"], ["t"], perm=[0, 2, 3, 1]),
        helper.make_node("DequantizeLinear", ["t", "s", "z"], ["y"]),
    ]
    against_ort(nodes, {"x": rng.normal(size=(1, 2, 4, 4)).astype(np.float32)}, constants, tolerance=0)


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
def test_codes_through_ops_that_move_or_mix_them(against_ort, rng, dtype):
    """ONNX Runtime cuts the codes that a linear Resize computes, where edgec rounds them."""
    middle = np.array(3 if dtype == "int8" else 131, dtype)
    x = rng.normal(size=(1, 2, 4, 4)).astype(np.float32)
    ends = [("QuantizeLinear", ["x", "s", "z"], ["q"]), ("DequantizeLinear", ["m", "s", "z"], ["y"])]
    for op, inputs, more, steps in (
        ("Pad", ["pads", "fill"], {}, 0),
        ("Pad", ["pads", "z"], {"mode": "edge"}, 0),
        ("Resize", ["", "scales"], {}, 0),
        ("Resize", ["", "scales"], {"mode": "linear"}, 1),
    ):
        first, last = (helper.make_node(*end) for end in ends)
        nodes = [first, helper.make_node(op, ["q", *inputs], ["m"], **more), last]
        constants = {
            "s": scale(0.05), "z": middle, "fill": middle + np.array(9, dtype),
            "pads": np.array([0, 0, 1, 2, 0, 0, 0, 1]), "scales": np.array([1, 1, 2, 2], np.float32),
        }  # fmt: skip
        against_ort(nodes, {"x": x}, constants, tolerance=0.05 * 1.001 * steps)


def test_codes_of_a_table_are_looked_up_before_they_are_known_to_be_codes(against_ort, rng):
    """What the optimizer makes of a quantized embedding."""
    for dtype in ("int8", "uint8"):
        constants = {"table": codes(rng, 9, 8, dtype=dtype), "s": scale(0.0213), "z": np.array(7, dtype)}
        nodes = [
            helper.make_node("Gather", ["table", "ids"], ["q"]),
            helper.make_node("QLinearAdd", ["q", "s", "z", "q", "s", "z", "s", "z"], ["y"], domain="com.microsoft"),
        ]
        against_ort(nodes, {"ids": rng.integers(0, 9, (2, 5))}, constants, {"y": dtype})


def test_codes_in_plain_integers_are_dequantized_by_arithmetic(against_ort, rng):
    nodes = [
        helper.make_node("Cast", ["x"], ["q"], to=2),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["y"]),
    ]
    constants = {"s": scale(0.05), "z": np.array(100, np.uint8)}
    against_ort(nodes, {"x": rng.integers(0, 256, 50).astype(np.float32)}, constants, tolerance=0)


def qdq_conv(rng):
    """Q -> DQ -> Conv with per-channel DQ weights and int32 DQ bias -> Q, as quantizers write it."""
    sw = rng.uniform(0.002, 0.01, 6).astype(np.float32)
    constants = {
        "sx": scale(0.03), "zx": np.array(-7, np.int8), "w": codes(rng, 6, 4, 3, 3), "sw": sw,
        "zw": np.zeros(6, np.int8), "b": rng.integers(-3000, 3000, 6).astype(np.int32), "sb": np.float32(0.03) * sw,
        "zb": np.zeros(6, np.int32), "sy": scale(0.9), "zy": np.array(11, np.int8),
    }  # fmt: skip
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "sx", "zx"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "sx", "zx"], ["xf"]),
        helper.make_node("DequantizeLinear", ["w", "sw", "zw"], ["wf"], axis=0),
        helper.make_node("DequantizeLinear", ["b", "sb", "zb"], ["bf"], axis=0),
        helper.make_node("Conv", ["xf", "wf", "bf"], ["yf"], pads=[1, 1, 1, 1]),
        helper.make_node("QuantizeLinear", ["yf", "sy", "zy"], ["y"]),
    ]
    return nodes, constants


def test_qdq_conv_keeps_its_codes(against_ort, rng):
    nodes, constants = qdq_conv(rng)
    graph = against_ort(nodes, {"x": rng.normal(size=(1, 4, 8, 8)).astype(np.float32)}, constants, {"y": "int8"})
    kept = [v.type for v in graph.values() if v.is_const]
    assert [t.dtype for t in kept] == ["int8", "int32"]
    assert [t.quant.axis for t in kept] == [0, 0]


@pytest.mark.parametrize("op", ["QLinearAdd", "QLinearMul"])
def test_microsoft_binary(against_ort, rng, op):
    """ONNX Runtime's formulas differ from the contract's by at most a step; so in the tests that follow."""
    constants = {
        "sa": scale(0.03), "za": np.array(-5, np.int8), "sb": scale(0.05), "zb": np.array(9, np.int8),
        "sy": scale(0.06), "zy": np.array(3, np.int8),
    }  # fmt: skip
    node = helper.make_node(op, ["a", "sa", "za", "b", "sb", "zb", "sy", "zy"], ["y"], domain="com.microsoft")
    inputs = {"a": codes(rng, 4, 50), "b": codes(rng, 4, 50)}
    graph = against_ort(node, inputs, constants, {"y": "int8"}, steps=1)
    assert [n.op for n in graph.nodes] == ["map"]


@pytest.mark.parametrize(
    ("op", "attrs"),
    [
        ("QLinearSigmoid", {}),
        ("QLinearLeakyRelu", {"alpha": 0.1}),
        ("QLinearGlobalAveragePool", {}),
        ("QLinearAveragePool", {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]}),
    ],
)
@pytest.mark.parametrize("dtype", ["int8", "uint8"])
def test_microsoft_unary(against_ort, rng, op, attrs, dtype):
    constants = {"sx": scale(0.03), "zx": np.array(5, dtype), "sy": scale(0.02), "zy": np.array(9, dtype)}
    node = helper.make_node(op, ["x", *constants], ["y"], domain="com.microsoft", **attrs)
    against_ort(node, {"x": codes(rng, 1, 3, 8, 8, dtype=dtype)}, constants, {"y": dtype}, steps=1)


def test_microsoft_concat(against_ort, rng):
    constants = {
        "sy": scale(0.06),
        "zy": np.uint8(3),
        "sa": scale(0.06),
        "za": np.uint8(3),
        "sb": scale(0.05),
        "zb": np.uint8(9),
    }
    constants = {k: np.asarray(v) for k, v in constants.items()}
    node = helper.make_node(
        "QLinearConcat", ["sy", "zy", "a", "sa", "za", "b", "sb", "zb"], ["y"], domain="com.microsoft", axis=1
    )
    inputs = {k: codes(rng, 2, 5, dtype="uint8") for k in ("a", "b")}
    against_ort(node, inputs, constants, {"y": "uint8"}, steps=1)


def evaluate(body, arrays, declaration):
    """The outputs of a graph in text."""
    graph = parse_graph(f"graph @g({declaration}) -> (%y) {{ {body} }}")
    return run_graph(graph, arrays)["y"]


@pytest.mark.parametrize("scales", [(0.02, 0.05, 0.04), (0.5, 0.001, 0.3), (1e-4, 2e-4, 0.1), (3.0, 1.0, 0.01)])
def test_add_is_within_a_step_of_real_addition(rng, scales):
    a, b = codes(rng, 4, 64), codes(rng, 4, 64)
    qa, qb, qy = (Quant.per_tensor(s, z) for s, z in zip(scales, (3, -8, 5), strict=True))
    got = quantized.add(a, b, (qa, qb, qy))
    real = quantized.dequantize(a, qa).astype(np.float64) + quantized.dequantize(b, qb)
    want = np.clip(np.rint(real / qy.scale[0]) + 5, -128, 127)
    assert np.abs(want - got).max() <= 1


def test_add_parameters():
    p = quantized.add_parameters(Quant.per_tensor(0.5), Quant.per_tensor(0.25), Quant.per_tensor(0.5))
    assert (p.left, p.right, float(p.step)) == (2**22, 2**21, 2.0**-22)
    huge = quantized.add_parameters(Quant.per_tensor(1e9), Quant.per_tensor(1.0), Quant.per_tensor(1e-9))
    assert huge.step == 0.5 and huge.left == 2**22
    tiny = quantized.add_parameters(Quant.per_tensor(1e-20), Quant.per_tensor(1e-20), Quant.per_tensor(1.0))
    assert tiny.step == 2.0**-30 and tiny.left == 0


def test_clamped_addition_saturates_at_the_codes_of_the_bounds():
    arrays = {"a": np.array([-100, 0, 50, 127], np.int8), "b": np.array([0, 0, 50, 127], np.int8)}
    body = "%y: int8[4] q(0.1, -10) = map(%a, %b) {expr=min(max(add(%0, %1), 0.0), 6.0)}"
    got = evaluate(body, arrays, "%a: int8[4] q(0.1, 0), %b: int8[4] q(0.1, 0)")
    assert got.tolist() == [-10, -10, 50, 50]


def test_unary_map_is_its_table(rng):
    x = np.arange(-128, 128, dtype=np.int8)
    body = "%y: int8[256] q(0.01, -128) = map(%x) {expr=div(1.0, add(exp(neg(%0)), 1.0))}"
    got = evaluate(body, {"x": x}, "%x: int8[256] q(0.05, 10)")
    real = 1 / (1 + np.exp(-(x.astype(np.float64) - 10) * np.float32(0.05)))
    assert np.abs(np.clip(np.rint(real / np.float32(0.01)) - 128, -128, 127) - got).max() <= 1


def test_average_pool_and_mean(rng):
    x = codes(rng, 1, 3, 6, 6)
    pool = "%y: int8[1,3,2,2] q(0.04, 1) = avg_pool2d(%x) {kernel=(3, 3), strides=(3, 3)}"
    mean = '%y: int8[1,3] q(0.04, 1) = reduce(%x) {kind="mean", axes=(2, 3), keepdims=False}'
    declaration = "%x: int8[1,3,6,6] q(0.05, -20)"
    real = (x.astype(np.float64) + 20) * np.float32(0.05)
    blocks = real.reshape(1, 3, 2, 3, 2, 3).mean((3, 5))
    for body, want in ((pool, blocks), (mean, real.mean((2, 3)))):
        want = np.clip(np.rint(want / np.float32(0.04)) + 1, -128, 127)
        np.testing.assert_array_equal(evaluate(body, {"x": x}, declaration), want)


def test_softmax(rng):
    x = codes(rng, 5, 40)
    got = evaluate("%y: int8[5,40] q(0.00390625, -128) = softmax(%x) {axis=1}", {"x": x}, "%x: int8[5,40] q(0.1, 3)")
    e = np.exp((x - x.max(1, keepdims=True).astype(np.float64)) * np.float32(0.1))
    assert np.abs(np.clip(np.rint(e / e.sum(1, keepdims=True) * 256) - 128, -128, 127) - got).max() <= 1


def test_linear_resize_is_within_a_step(rng):
    x = codes(rng, 1, 2, 5, 7)
    attrs = '{mode="linear", sizes=(9, 15), scales=(1.8, 2.142857)}'
    got = evaluate(f"%y: int8[1,2,9,15] q(0.1, 4) = resize(%x) {attrs}", {"x": x}, "%x: int8[1,2,5,7] q(0.1, 4)")
    real = evaluate(f"%y: float32[1,2,9,15] = resize(%x) {attrs}", {"x": x.astype(np.float32)}, "%x: float32[1,2,5,7]")
    assert np.abs(real - got).max() < 0.65  # half a step of rounding, and weights of 11 bits
    flat = np.full_like(x, -77)
    assert set(
        evaluate(f"%y: int8[1,2,9,15] q(0.1, 4) = resize(%x) {attrs}", {"x": flat}, "%x: int8[1,2,5,7] q(0.1, 4)").flat
    ) == {-77}


@pytest.mark.parametrize("op", ["conv2d", "conv_transpose2d", "matmul"])
def test_integer_sums_equal_the_float_ones(rng, op):
    """With power-of-two scales the float op on the real numbers is exact: both must give the same bytes."""
    shapes = {
        "conv2d": ((1, 4, 6, 6), (8, 2, 3, 3)),
        "conv_transpose2d": ((1, 4, 5, 5), (4, 3, 2, 2)),
        "matmul": ((2, 5, 16), (16, 7)),
    }
    x_shape, w_shape = shapes[op]
    attrs = {
        "conv2d": "{groups=2, pads=(1, 1, 1, 1), strides=(2, 2)}",
        "conv_transpose2d": "{strides=(2, 2), groups=2}",
        "matmul": "",
    }[op]
    y_shape = {"conv2d": "1,8,3,3", "conv_transpose2d": "1,6,10,10", "matmul": "2,5,7"}[op]
    x, w = codes(rng, *x_shape), codes(rng, *w_shape)
    spell = lambda shape: ",".join(map(str, shape))  # noqa: E731
    ports = f"%x: int8[{spell(x_shape)}] q(0.25, 3), %w: int8[{spell(w_shape)}] q(0.125, -2)"
    got = evaluate(f"%y: int8[{y_shape}] q(4.0, 1) = {op}(%x, %w) {attrs}", {"x": x, "w": w}, ports)
    reals = {"x": (x.astype(np.float32) - 3) / 4, "w": (w.astype(np.float32) + 2) / 8}
    real = evaluate(
        f"%y: float32[{y_shape}] = {op}(%x, %w) {attrs}",
        reals,
        f"%x: float32[{spell(x_shape)}], %w: float32[{spell(w_shape)}]",
    )
    np.testing.assert_array_equal(got, np.clip(np.rint(real / 4) + 1, -128, 127))


def test_multipliers_are_odd(rng):
    given = np.exp(rng.uniform(np.log(2.0**-40), np.log(2.0**12), 2000)).astype(np.float32)
    m = quantized.odd(given).astype(np.float64)
    step = np.maximum(np.spacing(given), 2.0**-31)
    assert (np.abs(m - np.minimum(given, 512)) <= step).all()
    assert ((m / np.maximum(np.spacing(m.astype(np.float32)), 2.0**-31)) % 2 == 1).all()


@pytest.mark.parametrize("least", [2.0**-20, 2.0**-9, 2.0**-2])
def test_results_are_those_of_fixed_point(rng, least):
    """As the upper half of the product with m * 2^31, rounded half up: what arm64 code computes."""
    m = quantized.odd(rng.uniform(least, 3.9 * least, (4000, 1)).astype(np.float32))
    near = np.rint((rng.integers(-140, 140, (4000, 50)) + 0.5) / m)  # sums whose results are next to the middle
    acc = np.clip(np.concatenate([near, near + 1, -near], 1), -(2**24), 2**24).astype(np.int64)
    fixed = (2 * acc * (m * 2.0**31).astype(np.int64) + 2**31) >> 32
    got = quantized.rescale(acc.astype(np.int32), m, 3)
    np.testing.assert_array_equal(got, np.clip(fixed + 3, -128, 127))


def test_a_fused_residual_gives_the_bytes_of_the_unfused_pair(rng):
    x, r = codes(rng, 1, 4, 5, 5), codes(rng, 1, 3, 5, 5)
    w, b = codes(rng, 3, 4, 1, 1), rng.integers(-500, 500, 3).astype(np.int32)
    ports = (
        "%x: int8[1,4,5,5] q(0.1, 3), %w: int8[3,4,1,1] q(scale=[0.01, 0.02, 0.03], zero=[0, 0, 0], axis=0), "
        "%b: int32[3], %r: int8[1,3,5,5] q(0.07, -4)"
    )
    arrays = {"x": x, "w": w, "b": b, "r": r}
    unfused = """
        %c: int8[1,3,5,5] q(0.2, -5) = conv2d(%x, %w, %b) {activation=max(%0, 0.0)}
        %y: int8[1,3,5,5] q(0.25, 2) = map(%c, %r) {expr=min(add(%0, %1), 20.0)}"""
    fused = """
        %y: int8[1,3,5,5] q(0.25, 2) = conv2d(%x, %w, %b, %r) {activation=max(%0, 0.0), conv_quant=q(0.2, -5),
                                                              residual_activation=min(%0, 20.0)}"""
    np.testing.assert_array_equal(evaluate(fused, arrays, ports), evaluate(unfused, arrays, ports))


def test_quantize_saturates_and_rounds_half_to_even():
    x = np.array([0.5, 1.5, 2.5, -0.5, 1e30, -1e30, np.inf, -np.inf, np.nan], np.float32)
    assert quantized.quantize(x, Quant.per_tensor(1.0, 1)).tolist() == [1, 3, 3, 1, 127, -128, 127, -128, 1]


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"s": np.array(0, np.float32)}, "finite and positive"),
        ({"s": np.ones((2, 2), np.float32)}, "with blocks of 0 it must be [2, 4]"),
        ({"s": np.ones(3, np.float32)}, "3 scales for the 4 indices of axis 1"),
    ],
)
def test_malformed_quantization(import_error, inputs, message):
    node = helper.make_node("QuantizeLinear", ["x", "s"], ["y"], name="q")
    assert message in import_error(node, {"x": np.zeros((2, 4), np.float32)}, inputs)


@pytest.mark.parametrize("opset", [11, 13])
def test_microsoft_softmax(against_ort, rng, opset):
    """Before opset 13 the dimensions from `axis` on count as one."""
    constants = {"sx": scale(0.05), "zx": np.array(3, np.int8), "sy": scale(1 / 256), "zy": np.array(-128, np.int8)}
    attrs = {"axis": 1 if opset < 13 else -1, "opset": opset}
    node = helper.make_node("QLinearSoftmax", ["x", *constants], ["y"], domain="com.microsoft", **attrs)
    against_ort(node, {"x": codes(rng, 2, 4, 10)}, constants, {"y": "int8"}, steps=1)


def test_batch_normalization_with_dequantized_parameters(against_ort, rng):
    names = ("scale", "bias", "mean", "var")
    constants = {n: codes(rng, 5, limit=60) for n in names} | {"s": scale(0.03), "z": np.array(-70, np.int8)}
    nodes = [helper.make_node("DequantizeLinear", [n, "s", "z"], [f"{n}_real"]) for n in names]
    nodes.append(helper.make_node("BatchNormalization", ["x", *(f"{n}_real" for n in names)], ["y"]))
    against_ort(nodes, {"x": rng.normal(size=(1, 5, 3, 3)).astype(np.float32)}, constants)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint16"])
@pytest.mark.parametrize("computed", [False, True])
@pytest.mark.parametrize("axis", [None, 1])
def test_every_form_of_codes(against_ort, rng, dtype, computed, axis):
    """Scale and zero point of a tensor or of an axis, constant or computed, quantized and dequantized."""
    count = () if axis is None else (3,)
    x = {"x": (rng.normal(size=(2, 3, 5)) * 40).astype(np.float32)}
    x["x"][0, 0, 0], x["x"][0, 1, 0] = np.inf, -1e9
    parameters = {
        "s": rng.uniform(0.01, 0.5, count).astype(np.float32), "z": rng.integers(0, 99, count).astype(dtype)
    }  # fmt: skip
    attrs = {} if axis is None else {"axis": axis}
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"], **attrs),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["y"], **attrs),
    ]
    inputs, constants = ({**x, **parameters}, {}) if computed else (x, parameters)
    against_ort(nodes, inputs, constants, outputs={"q": dtype, "y": "float32"}, opset=21)


@pytest.mark.parametrize("dtype", ["int8", "int16", "int32"])
def test_dequantized_blocks(against_ort, rng, dtype):
    node = helper.make_node("DequantizeLinear", ["x", "s"], ["y"], axis=1, block_size=2)
    scales = rng.uniform(0.1, 1, (2, 3, 3)).astype(np.float32)
    against_ort(node, {"x": rng.integers(-99, 99, (2, 5, 3)).astype(dtype), "s": scales}, opset=21)


def test_dynamic_quantization(against_ort, rng):
    node = helper.make_node("DynamicQuantizeLinear", ["x"], ["y", "s", "z"])
    types = {"y": "uint8", "s": "float32", "z": "uint8"}
    against_ort(node, {"x": rng.normal(size=(3, 40)).astype(np.float32)}, outputs=types)
