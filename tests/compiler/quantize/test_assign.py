"""The integer graph: its types, its interface, and its values against the float graph."""

import numpy as np
import pytest

from edgec.compiler.ir.expr import In, clip, hard_sigmoid, hard_swish, sigmoid
from edgec.compiler.ir.expr_text import parse
from edgec.compiler.ir.graph import Attr, Graph, Node, Value, constant
from edgec.compiler.ir.registry import lookup
from edgec.compiler.ir.types import TensorType
from edgec.compiler.ops.reference import run_graph
from edgec.compiler.quantize.assign import quantize
from edgec.compiler.quantize.histogram import Range
from edgec.errors import EdgeError

ADD, MUL = parse("add(%0, %1)"), parse("mul(%0, %1)")


class Net:
    """Builds a graph node by node, with seeded weights."""

    def __init__(self, *shapes: tuple[int, ...]) -> None:
        self.rng = np.random.default_rng(3)
        self.inputs = [Value(f"x{i}", TensorType(s, "float32")) for i, s in enumerate(shapes)]
        self.graph = Graph("net", list(self.inputs), [])

    def __call__(self, name: str, op: str, *inputs: Value, **attrs: Attr) -> Value:
        node = Node(op, list(inputs), [], attrs, f"node_{name}")
        (inferred,) = lookup(op).infer(node)
        node.outputs = [Value(name, inferred, producer=node)]
        self.graph.nodes.append(node)
        return node.output

    def weights(self, *shape: int) -> Value:
        return self.const(self.rng.normal(size=shape) * np.sqrt(2 / np.prod(shape[1:])))

    def const(self, data: object) -> Value:
        self.rng.random()
        return constant(f"c{self.rng.integers(1 << 40)}", np.asarray(data, np.float32))

    def samples(self, count: int = 4) -> list[dict[str, np.ndarray]]:
        rng = np.random.default_rng(7)
        return [{v.name: rng.normal(size=v.type.shape).astype(np.float32) for v in self.inputs} for _ in range(count)]

    def ranges(self) -> dict[str, Range]:
        ranges: dict[str, Range] = {}
        for feed in self.samples():
            for name, data in run_graph(self.graph, feed, all_values=True).items():
                r = Range(float(data.min()), float(data.max()))
                ranges[name] = ranges[name] | r if name in ranges else r
        return ranges

    def quantized(self, *outputs: Value) -> tuple[list[dict], list[dict]]:
        """(float results, int8 results) over the samples."""
        self.graph.outputs = list(outputs)
        expected = [run_graph(self.graph, feed) for feed in self.samples()]
        quantize(self.graph, self.ranges())
        return expected, [run_graph(self.graph, feed) for feed in self.samples()]

    def node(self, name: str) -> Node:
        return next(
            n for n in self.graph.nodes if (n.name == f"node_{name}" and n.op != "map") or n.outputs[0].name == name
        )


def mobile_block() -> tuple[Net, list[Value]]:
    """conv-relu6, depthwise hard-swish, squeeze-and-excite, residual, pooled classifier with softmax."""
    net = Net((1, 3, 12, 12))
    (x,) = net.inputs
    pads = {"pads": (1, 1, 1, 1)}
    a = net("a", "conv2d", x, net.weights(8, 3, 3, 3), net.weights(8), activation=clip(In(0), 0.0, 6.0), **pads)
    b = net("b", "conv2d", a, net.weights(8, 1, 3, 3), net.weights(8), groups=8, **pads)
    c = net("c", "map", b, expr=hard_swish(In(0)))
    pooled = net("pooled", "avg_pool2d", c, kernel=(12, 12))
    gate = net("gate", "map", net("g", "conv2d", pooled, net.weights(8, 8, 1, 1)), expr=hard_sigmoid(In(0), 0.2, 0.5))
    gated = net("gated", "map", c, gate, expr=MUL)
    d = net("d", "conv2d", gated, net.weights(8, 8, 1, 1), net.weights(8))
    e = net("e", "map", d, a, expr=ADD)
    f = net("f", "max_pool2d", e, kernel=(2, 2), strides=(2, 2))
    flat = net("flat", "reshape", f, shape=(1, 288))
    logits = net("logits", "matmul", flat, net.weights(288, 5), net.weights(5))
    return net, [e, net("probabilities", "softmax", logits, axis=1)]


def test_a_mobile_block_stays_close_to_float():
    net, outputs = mobile_block()
    expected, found = net.quantized(*outputs)
    for name in ("e", "probabilities"):
        real, approx = (np.concatenate([r[name].ravel() for r in results]) for results in (expected, found))
        snr = 10 * np.log10(np.mean(real**2) / np.mean((approx - real) ** 2))
        assert snr > 25, f"{name}: {snr:.1f} dB"


def test_everything_between_the_interface_maps_is_int8():
    net, outputs = mobile_block()
    net.quantized(*outputs)
    graph = net.graph
    assert [v.name for v in graph.outputs] == ["e", "probabilities"]
    assert all(v.type.dtype == "float32" and v.type.quant is None for v in graph.inputs + graph.outputs)
    real = [n for n in graph.nodes if n.output.type.dtype != "int8"]
    assert [n.output.name for n in real] == ["e", "probabilities"]
    assert all(n.op == "map" and n.attrs["expr"] == In(0) for n in real)
    names = [v.name for v in graph.values()]
    assert len(set(names)) == len(names)


def test_weights_have_a_scale_for_each_channel_and_relu_uses_all_codes():
    net, outputs = mobile_block()
    net.quantized(*outputs)
    for name, axis, channels in (("a", 0, 8), ("b", 0, 8), ("logits", 1, 5)):
        _, w, bias = net.node(name).inputs
        assert w.type.dtype == "int8" and w.type.quant.axis == axis and len(w.type.quant.scale) == channels
        assert bias.type.dtype == "int32" and bias.type.quant is None
    assert net.node("a").output.type.quant.zero_point == (-128,)


def test_copies_share_one_quantization():
    net, outputs = mobile_block()
    net.quantized(*outputs)
    assert net.node("f").inputs[0].type.quant == net.node("f").output.type.quant == net.node("flat").output.type.quant


def test_a_gate_is_never_clipped():
    net = Net((1, 4))
    y = net("y", "map", net.inputs[0], expr=sigmoid(In(0)))
    net.quantized(y)
    out = run_graph(net.graph, {"x0": np.array([[-100, 0, 2.2, 100]], np.float32)})["y"]
    # The input saturates at the calibrated range, the output's range is [0, 1] all the same.
    assert net.graph.nodes[1].output.type.quant.scale[0] == pytest.approx(1 / 255)
    assert net.graph.nodes[1].output.type.quant.zero_point == (-128,)
    assert out.min() >= 0 and out.max() <= 1


def test_concat_requantizes_inputs_of_a_much_smaller_range():
    net = Net((1, 2, 4, 4), (1, 2, 4, 4), (1, 2, 4, 4))
    a, b, c = (
        net(n, "map", x, expr=parse(f"mul(%0, {s})"))
        for n, x, s in zip("abc", net.inputs, (1.0, 2.0, 50.0), strict=True)
    )
    y = net("y", "concat", a, b, c, axis=1)
    z = net("z", "concat", c, b, axis=1)
    expected, found = net.quantized(y, z)
    concat = net.node("y")
    assert all(v.type.quant == concat.output.type.quant for v in concat.inputs)
    assert a.type.quant != concat.output.type.quant and c.type.quant == concat.output.type.quant
    step = concat.output.type.quant.scale[0]
    for e, f in zip(expected, found, strict=True):
        np.testing.assert_allclose(f["y"], e["y"], atol=1.51 * step)


def test_nodes_without_integer_form_stay_in_float():
    net = Net((1, 4, 6, 6))
    a = net("a", "conv2d", net.inputs[0], net.weights(4, 4, 1, 1))
    r = net("r", "lrn", a, size=3, alpha=0.1, beta=0.75, bias=1.0)
    t = net("t", "transpose", r, perm=(0, 2, 3, 1))
    y = net("y", "reduce", t, kind="l2", axes=(3,), keepdims=True)
    expected, found = net.quantized(y, a)
    assert net.node("r").output.type == TensorType((1, 4, 6, 6), "float32")
    assert net.node("t").output.type.dtype == "float32", "a copy between float nodes is not worth two conversions"
    # Normalizing does not magnify the convolution's error, and the norm of 4 channels at most doubles it.
    of_conv = abs(found[0]["a"] - expected[0]["a"]).max()
    np.testing.assert_allclose(found[0]["y"], expected[0]["y"], atol=2 * of_conv)


@pytest.mark.parametrize("bad", [np.inf, np.nan])
def test_nodes_with_infinite_constants_stay_in_float(bad):
    net = Net((1, 2, 3, 3))
    y = net(
        "y", "conv2d", net.inputs[0], net.weights(2, 2, 1, 1), net.const([0.5, bad]), activation=clip(In(0), 0.0, 6.0)
    )
    net.graph.outputs = [y]
    quantize(net.graph, {"x0": Range(-1.0, 1.0), "y": Range(0.0, 6.0)})
    assert net.node("y").output.type.dtype == "float32"


def test_two_activations_are_multiplied_as_integers():
    net = Net((2, 5, 16), (2, 16, 7))
    y = net("y", "matmul", *net.inputs)
    expected, found = net.quantized(y)
    assert net.node("y").inputs[1].type.dtype == "int8"
    for e, f in zip(expected, found, strict=True):
        assert np.corrcoef(e["y"].ravel(), f["y"].ravel())[0, 1] > 0.999


def test_constants_on_either_side_of_a_matmul():
    net = Net((1, 6, 4))
    left = net("left", "matmul", net.const(np.random.default_rng(1).normal(size=(1, 3, 6))), net.inputs[0])
    y = net("y", "matmul", left, net.const(np.random.default_rng(2).normal(size=(4, 2))), net.const([0.5, -3.0]))
    expected, found = net.quantized(y)
    for e, f in zip(expected, found, strict=True):
        np.testing.assert_allclose(f["y"], e["y"], atol=0.15)


def test_the_same_value_many_times():
    net = Net((1, 3))
    y = net("y", "map", net.inputs[0], net.inputs[0], expr=MUL)
    expected, found = net.quantized(y, y, net.inputs[0])
    assert [v.name for v in net.graph.outputs] == ["y", "y", "x0"]
    (square,) = (n for n in net.graph.nodes if len(n.inputs) == 2)
    sx, sy = (v.type.quant.scale[0] for v in (square.inputs[0], square.output))
    # half a step of x at either factor, half a step of y
    bound = abs(expected[0]["x0"]).max() * sx + sx * sx / 4 + sy / 2
    np.testing.assert_allclose(found[0]["y"], expected[0]["y"], atol=bound * 1.001)


def test_a_missing_range_is_named():
    net, outputs = mobile_block()
    net.graph.outputs = outputs
    ranges = net.ranges()
    del ranges["gated"]
    with pytest.raises(EdgeError, match="'gated' has no calibrated range"):
        quantize(net.graph, ranges)


def test_positions_stay_float():
    """What an index is computed from is not rounded to 8 bits, nor is what else reads it; the elements are."""
    net = Net((4, 8), (6, 1))
    x, grid = net.inputs
    data = net("data", "map", x, expr=parse("max(%0, 0.0)"))
    at = net("at", "map", grid, expr=parse("mul(add(%0, 1.0), 1.5)"))
    flat = net("flat", "reshape", at, shape=(6,))
    index = net("index", "map", flat, expr=parse("cast<int32>(floor(%0))"))
    near = net("near", "map", at, expr=parse("sub(%0, floor(%0))"))
    rows = net("rows", "gather", data, index)
    y = net("y", "map", rows, near, expr=MUL)
    expected, found = net.quantized(y)
    assert [net.node(n).output.type.dtype for n in ("at", "near")] == ["float32"] * 2
    assert all(net.node(n).output.type.quant is not None for n in ("data", "rows"))
    for want, got in zip(expected, found, strict=True):
        np.testing.assert_allclose(got["y"], want["y"], atol=0.05)
