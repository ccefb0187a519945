"""The graph IR: values, nodes and graphs. Small and mutable; passes edit it in place.

A graph is a list of nodes in topological order. A `Value` is an SSA name with a type; it is a graph input,
a constant (`data` is set) or an output of exactly one node.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .expr import Expr
from .types import Quant, TensorType

Array = np.ndarray[Any, Any]

Attr = bool | int | float | str | Expr | Quant | tuple["Attr", ...] | None
"""What an attribute may hold: everything that prints and parses back."""


@dataclass(eq=False)
class Value:
    """A tensor in the graph. `data` is set for constants only; `producer` for node outputs only."""

    name: str
    type: TensorType
    data: Array | None = None
    producer: "Node | None" = None

    @property
    def is_const(self) -> bool:
        """Whether the value is known at compile time."""
        return self.data is not None

    def __repr__(self) -> str:
        return f"%{self.name}"


@dataclass(eq=False)
class Node:
    """One operation. `name` is the ONNX node it came from (for errors, profiles and reports).

    `regions` are the graphs that a control flow op runs. They read nothing of the graph around them but what the node
    hands to their inputs, and constants. Their names are their own.
    """

    op: str
    inputs: list[Value]
    outputs: list[Value]
    attrs: dict[str, Attr] = field(default_factory=dict)
    name: str = ""
    regions: list["Graph"] = field(default_factory=list)

    def __post_init__(self) -> None:
        for out in self.outputs:
            out.producer = self

    @property
    def output(self) -> Value:
        """The only output."""
        (out,) = self.outputs
        return out

    def __repr__(self) -> str:
        return f"{self.op}({self.name})"


@dataclass
class Graph:
    """A model: `nodes` in topological order; constants are reached through the nodes that use them."""

    name: str
    inputs: list[Value]
    outputs: list[Value]
    nodes: list[Node] = field(default_factory=list)

    def uses(self) -> dict[Value, list[Node]]:
        """Value -> nodes that read it, one entry per node; graph outputs and nodes in regions don't count. O(nodes)."""
        table: dict[Value, list[Node]] = {}
        for node in self.nodes:
            for value in dict.fromkeys(node.inputs):
                table.setdefault(value, []).append(node)
        return table

    def values(self) -> Iterator[Value]:
        """Every value once: inputs, then constants and node outputs in the order of the nodes; not those of regions."""
        seen: dict[Value, None] = dict.fromkeys(self.inputs)
        for node in self.nodes:
            seen.update(dict.fromkeys(node.inputs))
            seen.update(dict.fromkeys(node.outputs))
        seen.update(dict.fromkeys(self.outputs))
        yield from seen

    def graphs(self) -> Iterator["Graph"]:
        """The graph itself and, depth first, the regions of its nodes."""
        yield self
        for node in self.nodes:
            for region in node.regions:
                yield from region.graphs()

    def constants(self) -> dict[Value, None]:
        """Every constant once, those of regions included."""
        return {v: None for graph in self.graphs() for v in graph.values() if v.is_const}

    def fresh_name(self, hint: str) -> str:
        """A value name that is not taken yet, `hint` itself if possible."""
        taken = {v.name for v in self.values()}
        if hint not in taken:
            return hint
        n = 1
        while f"{hint}_{n}" in taken:
            n += 1
        return f"{hint}_{n}"


def replace_uses(graph: Graph, old: Value, new: Value, users: Sequence[Node] | None = None) -> None:
    """Make every reader of `old` (or only `users`) read `new`; graph outputs too when `users` is None."""
    for node in graph.nodes if users is None else users:
        node.inputs = [new if v is old else v for v in node.inputs]
    if users is None:
        graph.outputs = [new if v is old else v for v in graph.outputs]


def constant(name: str, data: Array, quant: Quant | None = None) -> Value:
    """A constant value whose type is that of `data`."""
    array = np.ascontiguousarray(data).reshape(np.shape(data))
    return Value(name, TensorType(tuple(array.shape), str(array.dtype), quant), array)
