"""The graph that computes in float16: which values, its interface, and its values against the float graph."""

import numpy as np
import pytest

from edgec.compiler.ir.expr_text import parse
from edgec.compiler.ir.graph import Graph, Node, Value
from edgec.compiler.ir.types import TensorType
from edgec.compiler.ir.verify import verify
from edgec.compiler.ops.reference import run_graph
from edgec.compiler.quantize import use_halves
from edgec.tests.compiler.quantize.test_assign import ADD, Net


def stored(graph: Graph) -> set[str]:
    """The values that are float16."""
    return {v.name for v in graph.values() if v.type.dtype == "float16"}


def halved(net: Net, *outputs: Value) -> Graph:
    net.graph.outputs = list(outputs)
    use_halves(net.graph)
    verify(net.graph)
    assert all(v.type.dtype == "float32" for v in (*net.graph.inputs, *net.graph.outputs))
    return net.graph


def test_a_network_of_convolutions() -> None:
    """Inside all is float16, biases excepted, and what a picture is multiplied by; results agree to a few roundings."""
    net = Net((1, 3, 12, 12))
    a = net("a", "conv2d", net.inputs[0], net.weights(16, 3, 3, 3), net.const(np.ones(16)), pads=(1, 1, 1, 1))
    b = net("b", "conv2d", a, net.weights(16, 1, 3, 3), pads=(1, 1, 1, 1), groups=16)
    c = net("c", "map", a, b, expr=ADD)
    d = net("d", "max_pool2d", c, kernel=(2, 2), strides=(2, 2))
    e = net("e", "avg_pool2d", d, kernel=(6, 6))
    net.graph.outputs = [e]
    feeds = net.samples(1)[0]
    expected = run_graph(net.graph, feeds)["e"]
    graph = halved(net, e)
    assert {"a", "b", "c", "d", "e_float16"} <= stored(graph) and graph.outputs[0].name == "e"
    weights = [v for v in graph.constants() if v.type.rank == 4]
    assert [v.data.dtype for v in weights if v.data is not None] == [np.float32, np.float16]
    assert graph.nodes[0].op == "conv2d" and graph.nodes[0].inputs[0] is graph.inputs[0], "the picture is not rounded"
    found = run_graph(graph, feeds)["e"]
    np.testing.assert_allclose(found, expected, atol=4 * 2**-11 * np.abs(expected).max())


@pytest.mark.parametrize("factor", [1e6, 1e-9, np.inf])
def test_weights_beyond_float16_keep_a_node_in_float32(factor: float) -> None:
    net = Net((1, 8, 5, 5))
    a = net("a", "conv2d", net.inputs[0], net.weights(8, 8, 1, 1))
    w = net.weights(8, 8, 1, 1)
    w.data = (w.data * factor).astype(np.float32) if w.data is not None else None
    b = net("b", "conv2d", a, w)
    c = net("c", "conv2d", b, net.weights(8, 8, 1, 1))
    graph = halved(net, c)
    assert {"a", "c_float16"} <= stored(graph) and "b" not in stored(graph)


def test_the_last_map_gives_floats() -> None:
    """Maps read and write either type: no conversion follows."""
    net = Net((1, 8, 5, 5))
    a = net("a", "conv2d", net.inputs[0], net.weights(8, 8, 1, 1))
    b = net("b", "map", a, expr=parse("div(1.0, add(exp(neg(%0)), 1.0))"))
    graph = halved(net, b)
    assert [n.op for n in graph.nodes] == ["map", "conv2d", "map"] and graph.nodes[-1].inputs == [a]


def test_what_only_moves_floats_stays() -> None:
    net = Net((4, 8))
    a = net("a", "transpose", net.inputs[0], perm=(1, 0))
    assert stored(halved(net, a)) == set()


def test_positions_stay_exact() -> None:
    """A rounded coordinate selects another element."""
    net = Net((1, 9), (5000, 3))
    a = net("a", "map", net.inputs[0], expr=parse("add(mul(%0, 2.0), 1000.25)"))
    b = net("b", "map", a, expr=parse("cast<int64>(floor(%0))"))
    indices = net("i", "reshape", b, shape=(9,))
    y = net("y", "gather", net.inputs[1], indices, axis=0)
    assert stored(halved(net, y)) == set()


def test_embeddings_are_halves() -> None:
    net = Net()
    indices = Value("i", TensorType((5,), "int64"))
    net.graph.inputs.append(indices)
    a = net("a", "gather", net.const(net.rng.normal(size=(1000, 8))), indices, axis=0)
    b = net("b", "normalize", a, net.const(np.ones(8)), axis=1)
    net.graph.outputs = [b]
    use_halves(net.graph)
    verify(net.graph)
    assert {"a", "b_float16"} <= stored(net.graph) and all(v.type.dtype != "float32" for v in net.graph.nodes[0].inputs)


def test_an_input_that_is_given_out_keeps_its_name() -> None:
    net = Net((1, 8, 5, 5))
    a = net("a", "conv2d", net.inputs[0], net.weights(8, 8, 1, 1))
    b = net("b", "conv2d", a, net.weights(8, 8, 1, 1))
    graph = halved(net, a, b)
    assert [v.name for v in graph.outputs] == ["a", "b"]
    assert isinstance(graph.nodes[-1], Node)
