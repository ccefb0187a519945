"""Orders of channels for targets whose kernels gain from steps of weights that fit int16."""

from math import prod

import numpy as np

from ....targets.target import Target
from ...ir.extent import ceil_div, is_symbolic
from ...ir.graph import Array, Graph, Node, Value
from ...ir.types import Quant, TensorType
from ...kernels.convolutions.conv import FITTING, THREE
from ..nodes.epilogue import constant_weights
from .order import GROUP, LANES, best_order
from .ties import Tied, tied_channels


def arrange_channels(graph: Graph, target: Target) -> None:
    """Compute channels in another order where `target` gains: `graph` gives the same bytes. Small tensors come first:
    those that are made of them have more to choose from."""
    if not target.marks:
        return
    for tied in sorted(tied_channels(graph), key=lambda tied: tied.size):
        if tied.makers and not is_symbolic(tied.size) and tied.size % target.columns == 0:
            order = best_order(target.columns, _sizes(tied), _made(tied))
            if (order != np.arange(tied.size)).any():
                _apply(graph, tied, order)


def _sizes(tied: Tied) -> Array:
    """As `best_order` wants them."""
    found = [np.empty((0, tied.size), np.int16)]
    if tied.size % LANES == 0:
        found += [matrix.reshape(-1, tied.size) for matrix in map(_weights, tied.readers) if matrix is not None]
    return np.concatenate(found)


def _made(tied: Tied) -> list[Array]:
    """As `best_order` wants them."""
    found = []
    for matrix in map(_weights, tied.makers):
        if matrix is None:
            continue
        rows, run = matrix.shape[1:]
        first = rows > 1 and ceil_div(run, GROUP) == THREE
        if first or run % LANES == 0:
            padded = np.pad(matrix, ((0, 0), (0, 0), (0, -run % GROUP)))
            sums = padded.reshape(tied.size, -1, THREE if first else LANES // GROUP, GROUP).sum(axis=2)
            found.append((sums <= FITTING).all(axis=2))
    return found


def _weights(node: Node) -> Array | None:
    """The sizes of the weights of a dense node as int16[outputs, rows of taps, run]; None where no kernel tells steps
    apart: those of a single row of results, or with weights beyond [-127, 127]."""
    weights = np.abs(constant_weights(node))
    if prod(node.output.type.shape[:-1]) == 1 or weights.max(initial=0) > 127:
        return None
    if node.op == "matmul":
        return weights.T[:, None].astype(np.int16)
    outputs, depth, height, width = weights.shape
    return weights.transpose(0, 2, 3, 1).reshape(outputs, height, width * depth).astype(np.int16)


def _apply(graph: Graph, tied: Tied, order: Array) -> None:
    """Give every node its constants in this order."""
    made: dict[tuple[Value, int], Value] = {}
    for operand in tied.operands:
        value = operand.node.inputs[operand.index]
        key = value, operand.axis
        if key not in made:
            made[key] = _ordered(value, operand.axis, order, graph.fresh_name(f"{value.name}_ordered"))
        operand.node.inputs[operand.index] = made[key]


def _ordered(value: Value, axis: int, order: Array, name: str) -> Value:
    assert value.data is not None
    quant = value.type.quant
    if quant is not None and quant.axis == axis:
        scales, zero_points = ([values[i] for i in order] for values in (quant.scale, quant.zero_point))
        quant = Quant(tuple(scales), tuple(zero_points), axis)
    data = np.ascontiguousarray(value.data.take(order, axis))
    return Value(name, TensorType(value.type.shape, value.type.dtype, quant), data)
