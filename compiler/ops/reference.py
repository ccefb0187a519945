"""Runs a graph with the numpy references: slow, and right by definition."""

from collections.abc import Mapping, Sequence

import numpy as np

from ...errors import EdgeError
from ..ir.extent import Symbol, symbols_of, value_in
from ..ir.graph import Array, Graph, Node, Value
from ..ir.registry import lookup
from ..ir.specialize import Specialization, bound
from ..ir.types import TensorType
from . import halves


def run_node(node: Node, inputs: list[Array]) -> tuple[Array, ...]:
    """The outputs of one node; for quantized types the arrays hold codes. What is stored as float16 is computed in
    float32."""
    reference = lookup(node.op).reference
    with np.errstate(all="ignore"):  # infinities and NaNs are results, not events
        if all(v.type.dtype != "float16" for v in (*node.inputs, *node.outputs)):
            return reference(node, inputs)
        results = reference(_in_floats(node), [halves.widened(x) for x in inputs])
        return tuple(halves.stored(y, v.type.dtype) for y, v in zip(results, node.outputs, strict=True))


def _in_floats(node: Node) -> Node:
    """The node over float32 in place of float16."""

    def value(v: Value) -> Value:
        dtype = "float32" if v.type.dtype == "float16" else v.type.dtype
        return Value(v.name, TensorType(v.type.shape, dtype, v.type.quant), v.data)

    return Node(node.op, [*map(value, node.inputs)], [*map(value, node.outputs)], node.attrs, node.name, node.regions)


def run_graph(graph: Graph, inputs: Mapping[str, Array], all_values: bool = False) -> dict[str, Array]:
    """The graph's outputs by name; with `all_values` every value's, inputs and constants included.

    `inputs` holds an array for each graph input, of its dtype and exactly its shape, which decides about extents of the
    run; EdgeError otherwise.
    """
    values: dict[Symbol, int] = {}
    env = _run(graph, {v: _checked(v, inputs, values) for v in graph.inputs}, all_values, values)
    wanted = graph.values() if all_values else graph.outputs
    return {v.name: v.data if v.data is not None else env[v] for v in wanted}


def run_region(graph: Graph, inputs: Sequence[Array]) -> tuple[Array, ...]:
    """The outputs of a region, in order."""
    env = _run(graph, dict(zip(graph.inputs, inputs, strict=True)), False, {})
    return tuple(v.data if v.data is not None else env[v] for v in graph.outputs)


def _run(graph: Graph, env: dict[Value, Array], all_values: bool, values: dict[Symbol, int]) -> dict[Value, Array]:
    """The values of `graph`, given those of its inputs and what symbols are in this run; without `all_values` only
    those that are still needed."""
    static = Specialization(lambda e: value_in(e, values))
    last_use = {value: node for node in graph.nodes for value in node.inputs}
    keep = set(graph.outputs)
    for node in graph.nodes:
        arrays = [v.data if v.data is not None else env[v] for v in node.inputs]
        if node.op == "trim":
            (symbol,) = symbols_of(node.output.type.shape[0])
            values[symbol] = int(arrays[1][0])
        env.update(zip(node.outputs, run_node(static.node(node) if values else node, arrays), strict=True))
        if not all_values:
            for value in node.inputs:
                if last_use[value] is node and value not in keep:
                    env.pop(value, None)
    return env


def _checked(value: Value, inputs: Mapping[str, Array], values: dict[Symbol, int]) -> Array:
    if value.name not in inputs:
        raise EdgeError(f"no array is given for the graph's input {value.name!r}")
    array = np.asarray(inputs[value.name])
    if not bound(value.type, array.shape, values) or array.dtype != value.type.dtype:
        wanted = f"{value.type.dtype}{list(value.type.shape)}"
        raise EdgeError(f"the array for input {value.name!r} is {array.dtype}{list(array.shape)}, but must be {wanted}")
    return array
