"""Which products keep float32 data, and that results survive where one int8 type for all data would not do."""

import numpy as np
import pytest

from edgec.compiler.ir.expr_text import parse
from edgec.compiler.ir.graph import Node, Value
from edgec.compiler.ir.types import Quant
from edgec.compiler.ops.reference import run_graph
from edgec.compiler.quantize.assign import quantize
from edgec.compiler.quantize.domain import integer_nodes
from edgec.compiler.quantize.losses import MOST, measure
from edgec.compiler.quantize.row_products import LEAST_DECIBELS, choose
from edgec.tests.compiler.quantize.test_assign import ADD, Net


class Engine:
    """All values of a graph, by its numpy reference."""

    def __init__(self, net: Net) -> None:
        self.net = net

    def run(self, feed: dict[str, np.ndarray]) -> list[tuple[str, np.ndarray]]:
        return list(run_graph(self.net.graph, feed, all_values=True).items())


def losses_of(net: Net, quants: dict[Value, Quant]) -> dict[str, float]:
    integer = integer_nodes(net.graph)
    found = measure(net.graph, Engine(net), net.samples(), quants, integer, lambda *at: None)  # type: ignore[arg-type]
    return {node.output.name: decibels for node, decibels in found.items()}


def test_the_loss_is_that_of_the_data() -> None:
    """White noise: a step s leaves s^2 / 12, in the product too, whatever the weights are."""
    net = Net((64, 32))
    y = net("y", "matmul", net.inputs[0], net.weights(32, 48))
    net.graph.outputs = [y]
    for step in (0.05, 0.2):
        expected = 10 * np.log10(1.0 / (step**2 / 12))
        assert losses_of(net, {net.inputs[0]: Quant.per_tensor(step)})["y"] == pytest.approx(expected, abs=0.6)
    assert losses_of(net, {})["y"] == MOST


def test_what_all_rows_share_is_no_signal() -> None:
    net = Net((64, 32))
    large = net("large", "map", net.inputs[0], net.const(np.where(np.arange(32) == 3, 1000, 0)), expr=ADD)
    net.graph.outputs = [net("y", "matmul", large, net.weights(32, 48))]
    assert losses_of(net, {large: Quant.per_tensor(1000 / 127)})["y"] < 0


def test_a_mask_among_scores_is_seen_at_the_softmax() -> None:
    net = Net((8, 32))
    mask = net.const(np.where(np.arange(32) < 20, 0, -3e38))
    scores = net("scores", "map", net.inputs[0], mask, expr=ADD)
    net.graph.outputs = [net("y", "softmax", scores, axis=1)]
    assert losses_of(net, {scores: Quant.per_tensor(3e38 / 255, 127)})["y"] < 0


def block() -> tuple[Net, dict[str, Node]]:
    """A convolution, then products with a residual and a map between them, then a convolution."""
    net = Net((1, 8, 6, 4))
    a = net("a", "reshape", net("conv", "conv2d", net.inputs[0], net.weights(16, 8, 1, 1)), shape=(1, 24, 16))
    b = net("b", "matmul", a, net.weights(16, 16), net.weights(16))
    c = net("c", "map", b, expr=parse("tanh(%0)"))
    d = net("d", "map", net("p", "matmul", c, net.weights(16, 16)), a, expr=ADD)
    e = net("e", "conv2d", net("r", "reshape", d, shape=(1, 16, 6, 4)), net.weights(4, 16, 1, 1))
    net.graph.outputs = [e]
    return net, {n.output.name: n for n in net.graph.nodes}


@pytest.mark.parametrize(
    ("lossy", "rows", "real"),
    [("", "", ""), ("p", "bp", "acdr"), ("b", "bp", "acdr")],
)
def test_floats_reach_up_to_convolutions(lossy: str, rows: str, real: str) -> None:
    net, nodes = block()
    losses = {nodes[n]: LEAST_DECIBELS - 1 if n in lossy else LEAST_DECIBELS for n in "bp"}
    found = choose(net.graph, integer_nodes(net.graph), losses)
    assert set(found.rows) == {nodes[n] for n in rows}
    assert set(found.real) == {nodes[n] for n in real}


def test_products_of_rows_in_an_integer_graph() -> None:
    net, nodes = block()
    ranges, samples = net.ranges(), net.samples()
    expected = [run_graph(net.graph, feed)["e"] for feed in samples]
    integer = integer_nodes(net.graph)
    found = choose(net.graph, integer, {nodes["p"]: 0.0})
    quantize(net.graph, ranges, integer - {*found.real, *found.rows}, found.rows)
    for name in "bp":
        node = nodes[name]
        assert [v.type.dtype for v in node.inputs[:2]] == ["float32", "int8"]
        assert node.output.type.dtype == "float32"
    assert nodes["conv"].output.type.dtype == nodes["e"].output.type.dtype == "int8"
    for feed, want in zip(samples, expected, strict=True):
        assert np.abs(run_graph(net.graph, feed)["e"] - want).max() < 0.05 * np.ptp(want)
