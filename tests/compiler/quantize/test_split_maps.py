"""Splitting of fused maps: what comes out, and that it computes the same."""

import numpy as np
import pytest

from edgec.compiler.ir.attributes import expr_attr
from edgec.compiler.ir.expr_text import parse, to_text
from edgec.compiler.ir.graph import Graph, Node, Value, constant
from edgec.compiler.ir.types import TensorType
from edgec.compiler.ops.reference import run_graph
from edgec.compiler.quantize.split_maps import split_maps

SIGMOID = "div(1.0, add(exp(neg({})), 1.0))"


def graph_of(expr: str, *shapes: tuple[int, ...], const: np.ndarray | None = None) -> Graph:
    inputs = [Value(name, TensorType(shape, "float32")) for name, shape in zip("abc", shapes, strict=False)]
    operands = [*inputs, *([] if const is None else [constant("k", const)])]
    shape = np.broadcast_shapes(*shapes)
    out = Value("y", TensorType(shape, "float32"))
    return Graph("g", inputs, [out], [Node("map", operands, [out], {"expr": parse(expr)}, "node")])


@pytest.mark.parametrize(
    ("expr", "expected"),
    [
        ("max(add(%0, %1), 0.0)", ["max(add(%0, %1), 0.0)"]),
        ("add(max(%0, 0.0), %1)", ["max(%0, 0.0)", "add(%0, %1)"]),
        (f"mul(%0, {SIGMOID.format('%1')})", [SIGMOID.format("%0"), "mul(%0, %1)"]),
        (
            "max(min(add(mul(%0, %0), mul(%0, %1)), 6.0), 0.0)",
            ["mul(%0, %0)", "mul(%0, %1)", "max(min(add(%0, %1), 6.0), 0.0)"],
        ),
        ("mul(add(%0, %1), add(%0, %1))", ["add(%0, %1)", "add(%0, %1)", "mul(%0, %1)"]),
        ("div(%0, %1)", ["div(%0, %1)"]),
        ("add(sub(%0, %1), %0)", ["add(sub(%0, %1), %0)"]),
        ("exp(add(%0, 1.0))", ["exp(add(%0, 1.0))"]),
    ],
)
def test_split(expr, expected):
    graph = graph_of(expr, (2, 3), (2, 3))
    rng = np.random.default_rng(0)
    feed = {v.name: rng.normal(size=v.type.shape).astype(np.float32) for v in graph.inputs}
    before = run_graph(graph, feed)
    split_maps(graph)
    assert [to_text(expr_attr(n, "expr")) for n in graph.nodes] == expected
    assert graph.outputs[0].name == "y" and {n.name for n in graph.nodes} == {"node"}
    np.testing.assert_array_equal(run_graph(graph, feed)["y"], before["y"])


def test_constants_per_channel_stay_with_their_tensor():
    k = np.arange(3, dtype=np.float32)
    graph = graph_of("add(mul(%0, %2), %1)", (4, 3), (4, 1), const=k)
    feed = {"a": np.ones((4, 3), np.float32), "b": np.ones((4, 1), np.float32)}
    split_maps(graph)
    assert [to_text(expr_attr(n, "expr")) for n in graph.nodes] == ["mul(%0, %1)", "add(%0, %1)"]
    np.testing.assert_array_equal(run_graph(graph, feed)["y"], np.tile(k + 1, (4, 1)))
