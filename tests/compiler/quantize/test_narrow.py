"""Which codes a table can do without."""

import numpy as np
import pytest

from edgec.compiler.ir.expr import Expr, In, hard_sigmoid, hard_swish, sigmoid
from edgec.compiler.ir.expr_text import parse
from edgec.compiler.ir.graph import Graph, Node, Value
from edgec.compiler.ir.types import TensorType
from edgec.compiler.ops.reference import run_graph
from edgec.compiler.quantize.assign import quantize
from edgec.compiler.quantize.histogram import Range
from edgec.compiler.quantize.narrow import narrow


def chain(expr: Expr, extra_output: bool = False) -> Graph:
    """x -> map * 1 -> t -> expr -> y."""
    x, t, y = (Value(name, TensorType((1, 64), "float32")) for name in "xty")
    nodes = [Node("map", [x], [t], {"expr": parse("mul(%0, 1.0)")}), Node("map", [t], [y], {"expr": expr})]
    return Graph("g", [x], [y, t] if extra_output else [y], nodes)


def ranges(lo: float, hi: float, expr: Expr) -> dict[str, Range]:
    y = run_graph(chain(expr), {"x": np.linspace(lo, hi, 64, dtype=np.float32).reshape(1, 64)})["y"]
    return {"x": Range(lo, hi), "t": Range(lo, hi), "y": Range(float(y.min()), float(y.max()))}


@pytest.mark.parametrize(
    ("expr", "given", "expected"),
    [
        (hard_swish(In(0)), (-40.0, 20.0), (-3.0, 20.0)),
        (hard_sigmoid(In(0), 0.2, 0.5), (-30.0, 40.0), (-2.5, 2.5)),
        (hard_sigmoid(In(0), 0.2, 0.5), (-1.0, 2.0), (-1.0, 2.0)),
        (sigmoid(In(0)), (-100.0, 100.0), (-6.9, 6.9)),
        (parse("abs(%0)"), (-4.0, 5.0), (-4.0, 5.0)),
        (parse("max(%0, 100.0)"), (-4.0, 5.0), (-4.0, 5.0)),
        (parse("log(%0)"), (0.0, 5.0), (0.0, 5.0)),
    ],
)
def test_flat_ends_are_cut(expr, given, expected):
    graph, (lo, hi) = chain(expr), given
    found = narrow(graph, graph.nodes, ranges(lo, hi, expr))["t"]
    assert (found.lo, found.hi) == pytest.approx(expected, abs=0.1)


def test_values_that_are_seen_otherwise_keep_their_range():
    expr = hard_swish(In(0))
    graph = chain(expr, extra_output=True)
    assert narrow(graph, graph.nodes, ranges(-40.0, 20.0, expr))["t"] == Range(-40.0, 20.0)
    graph = chain(expr)
    t, z = graph.nodes[0].output, Value("z", TensorType((1, 64), "float32"))
    graph.nodes.append(Node("map", [t, t], [z], {"expr": parse("mul(%0, %1)")}))
    assert narrow(graph, graph.nodes, ranges(-40.0, 20.0, expr))["t"] == Range(-40.0, 20.0)


def test_a_gate_gains_precision():
    expr, x = hard_sigmoid(In(0), 0.2, 0.5), np.linspace(-2.0, 2.0, 64, dtype=np.float32).reshape(1, 64)
    graph = chain(expr)
    expected = run_graph(graph, {"x": x})["y"]
    # With steps of 120 / 255 in front of the table the gate would be wrong by 0.047.
    quantize(graph, {**ranges(-60.0, 60.0, expr), "x": Range(-2.0, 2.0)})
    np.testing.assert_allclose(run_graph(graph, {"x": x})["y"], expected, atol=0.012)
