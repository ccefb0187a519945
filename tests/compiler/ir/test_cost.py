"""Costs of graphs small enough to work out by hand."""

import numpy as np

from edgec.compiler.ir.cost import live_bytes, macs, parameters
from edgec.compiler.ir.graph import Graph, Node, Value, constant
from edgec.compiler.ir.types import TensorType


def _value(name: str, *shape: int) -> Value:
    return Value(name, TensorType(shape, "float32"))


def _const(name: str, *shape: int) -> Value:
    return constant(name, np.zeros(shape, np.float32))


def test_macs_of_a_grouped_convolution() -> None:
    node = Node("conv2d", [_value("x", 1, 8, 10, 10), _const("w", 16, 2, 3, 3)], [_value("y", 1, 16, 8, 8)])
    assert macs(node) == 16 * 8 * 8 * 2 * 3 * 3


def test_macs_of_a_transposed_convolution() -> None:
    node = Node("conv_transpose2d", [_value("x", 1, 8, 5, 5), _const("w", 8, 4, 2, 2)], [_value("y", 1, 4, 10, 10)])
    assert macs(node) == 8 * 5 * 5 * 4 * 2 * 2


def test_macs_of_a_batched_matmul_and_of_a_copy() -> None:
    assert macs(Node("matmul", [_value("a", 2, 3, 4), _value("b", 4, 5)], [_value("y", 2, 3, 5)])) == 2 * 3 * 5 * 4
    assert macs(Node("reshape", [_value("x", 4)], [_value("y", 2, 2)])) == 0


def test_a_constant_that_two_nodes_share_counts_once() -> None:
    w = _const("w", 3, 3)
    assert parameters([w, _value("x", 5), w, _const("b", 3)]) == 12


def test_live_bytes_of_a_diamond() -> None:
    """x -> a; a -> b, a -> c; b + c -> y: a, b and c (400 bytes each) are alive together; y is the caller's."""
    x, a, b, c, y = (_value(n, 100) for n in "xabcy")
    nodes = [Node("map", [x], [a]), Node("map", [a], [b]), Node("map", [a], [c]), Node("map", [b, c], [y])]
    assert live_bytes(Graph("g", [x], [y], nodes)) == 1200


def test_live_bytes_of_a_chain_and_of_an_unused_value() -> None:
    x, a, b, c, y = (_value(n, 100) for n in "xabcy")
    chain = [Node("map", [x], [a]), Node("map", [a], [b]), Node("map", [b], [c]), Node("map", [c], [y])]
    assert live_bytes(Graph("g", [x], [y], chain)) == 800
    unused = [Node("map", [x], [a]), Node("map", [x], [b]), Node("map", [b], [y])]
    assert live_bytes(Graph("g", [x], [y], unused)) == 400
