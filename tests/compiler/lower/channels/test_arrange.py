"""Channels in another order: of which tensors, and the same bytes as before."""

from collections.abc import Callable
from copy import deepcopy

import numpy as np
import pytest

from edgec.compiler.ir.expr import In, call
from edgec.compiler.ir.graph import Attr, Graph, Value, constant
from edgec.compiler.ir.types import Quant
from edgec.compiler.ir.verify import verify
from edgec.compiler.lower.channels.arrange import arrange_channels
from edgec.compiler.lower.channels.ties import tied_channels
from edgec.compiler.ops.reference import run_graph
from edgec.targets.registry import find
from edgec.tests.compiler.lower.test_bands import Net

PRODUCT, SIGMOID = call("mul", In(0), In(1)), call("div", 1.0, call("add", 1.0, call("exp", call("neg", In(0)))))


def moved(before: Graph, after: Graph) -> set[int]:
    """The numbers of the nodes with other constants."""
    pairs = [list(zip(a.inputs, b.inputs, strict=True)) for a, b in zip(before.nodes, after.nodes, strict=True)]
    return {
        number
        for number, inputs in enumerate(pairs)
        if any(a.data is not None and not np.array_equal(a.data, b.data) for a, b in inputs if b.data is not None)
    }


def arranged(net: Net, target: str = "arm64-neon") -> set[int]:
    """Whose weights are moved; the outputs are the same."""
    before = deepcopy(net.graph)
    arrange_channels(net.graph, find(target))
    verify(net.graph)
    inputs = net.input()
    expected, got = run_graph(before, inputs), run_graph(net.graph, inputs)
    assert expected.keys() == got.keys()
    for name, array in expected.items():
        assert len(np.unique(array)) > 8
        np.testing.assert_array_equal(got[name], array)
    return moved(before, net.graph)


def like(net: Net, op: str, x: Value, attrs: dict[str, Attr]) -> Value:
    """An op whose result is quantized as x is."""
    assert x.type.quant is not None
    return net.emit(op, [x], attrs, *x.type.quant.scale)


def bottleneck() -> Net:
    """Two with a residual between them: the tensors that are added have one order."""
    net = Net(6, 5, 16)
    x = net.conv(net.x, 32)
    for _ in range(2):
        wide = net.conv(net.conv(x, 96), 96, 3, depthwise=True)
        x = net.conv(wide, 32, residual=x)
    net.done(net.conv(x, 16))
    return net


def test_bottlenecks() -> None:
    assert arranged(bottleneck()) == set(range(8))


def test_targets_without_marks() -> None:
    assert arranged(bottleneck(), "host") == set()


def test_squeeze_and_excitation() -> None:
    """Its pool, its gate and what the gate multiplies, a constant among them."""
    net = Net(6, 5, 16)
    x = net.conv(net.conv(net.x, 64), 64, 3, 2, depthwise=True)
    pooled = net.emit("avg_pool2d", [x], {"kernel": (3, 3), "layout": "NHWC"})
    gate = net.emit("map", [net.conv(net.conv(pooled, 16), 64)], {"expr": SIGMOID}, 0.01)
    x = net.emit("map", [x, gate], {"expr": PRODUCT})
    codes = net.rng.integers(-128, 128, 64).astype(np.int8)
    x = net.emit("map", [x, constant("c", codes, Quant.per_tensor(0.01, 3))], {"expr": PRODUCT})
    x = like(net, "resize", x, {
        "mode": "nearest", "coordinates": "asymmetric", "rounding": "floor", "sizes": (6, 6), "scales": (2.0, 2.0),
        "layout": "NHWC",
    })  # fmt: skip
    net.done(net.conv(x, 16))
    assert {0, 1, 4, 7, 9} <= arranged(net)


def test_products() -> None:
    """A pooled tensor as the rows of a matrix, with scales along the other dimension of its weights."""
    net = Net(6, 5, 16)
    x = like(net, "max_pool2d", net.conv(net.x, 32), {"kernel": (2, 2), "layout": "NHWC"})
    x = like(net, "reshape", x, {"shape": (20, 32)})
    for outputs in (48, 16):
        codes = net.rng.integers(-127, 128, (x.type.shape[1], outputs)).astype(np.int8)
        scales = tuple(float(s) for s in net.rng.uniform(0.002, 0.01, outputs).astype(np.float32))
        x = net.emit("matmul", [x, constant(f"m{outputs}", codes, Quant(scales, (0,) * outputs, 1))], {}, 0.1)
    net.done(x)
    assert arranged(net) == {0, 3, 4}


def test_first_layers() -> None:
    """Channels with a row whose elements 0, 4 and 8 add up to more than fits come together."""
    net = Net(9, 9, 3)
    x = net.conv(net.x, 24, 3, 2)
    codes = net.graph.nodes[0].inputs[1].data
    assert codes is not None
    codes //= 2
    for channel in (1, 9, 20):
        codes[channel, [0, 1, 2], 1, [0, 1, 2]] = 86
    net.done(net.conv(x, 8))
    assert arranged(net) == {0, 1}
    sizes = np.abs(net.graph.nodes[0].inputs[1].data)
    (large,) = np.nonzero(sizes[:, [0, 1, 2], 1, [0, 1, 2]].sum(axis=1) == 258)
    assert len(large) == 3 and len(set(large // 8)) == 1


def concat(net: Net, x: Value) -> Value:
    return net.emit("concat", [x, x], {"axis": 3}, *x.type.quant.scale)


def softmax(net: Net, x: Value) -> Value:
    return net.emit("softmax", [x], {"axis": 3}, 1 / 256)


def mean(net: Net, x: Value) -> Value:
    return net.emit("reduce", [x], {"kind": "mean", "axes": (3,), "keepdims": True})


def join(net: Net, x: Value) -> Value:
    return like(net, "reshape", x, {"shape": (1, 1, 6, 5 * 32)})


def split(net: Net, x: Value) -> Value:
    """A convolution of two groups."""
    codes = net.rng.integers(-127, 128, (16, 16, 1, 1)).astype(np.int8)
    return net.emit("conv2d", [x, constant("g", codes, Quant.per_tensor(0.01))], {"groups": 2, "layout": "NHWC"}, 0.3)


@pytest.mark.parametrize("reader", [concat, softmax, mean, join, split])
def test_readers_that_know_their_channels(reader: Callable[[Net, Value], Value]) -> None:
    net = Net(6, 5, 16)
    x = net.conv(net.x, 32)
    net.done(net.conv(reader(net, x), 16), net.conv(net.conv(x, 32), 8))
    assert arranged(net) == {3, 4}


def test_outputs_keep_their_order() -> None:
    net = Net(6, 5, 16)
    x = net.conv(net.x, 32)
    net.done(x, net.conv(x, 16))
    assert tied_channels(net.graph) == []
    assert arranged(net) == set()


def test_floats_keep_their_order() -> None:
    """Of their sums."""
    net = Net(6, 5, 16, int8=False)
    net.done(net.conv(net.conv(net.x, 32), 16))
    assert arranged(net) == set()
