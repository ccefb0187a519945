"""Which products stay with float32 data: codes of its rows are made at run time where one int8 type for all rows would
lose too much.

What lies between such products is computed in float32 then, up to convolutions, tables and products that have int8
data; and a product whose data is float32 makes codes of its rows too, for nothing is gained by another form.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from ..ir.graph import Graph, Node, Value

LEAST_DECIBELS = 20.0
"""Of signal to noise: an error of a tenth. In convolutional networks int8 data leaves products 25 and more; in
transformers with a few large channels, or with a mask among their scores, 10 and less."""


@dataclass(frozen=True)
class RowProducts:
    """`losses`: node -> decibels of signal to noise that one int8 type for its data would leave. `rows`: the products
    that make codes of rows instead; `real`: other nodes that are computed in float32."""

    losses: Mapping[Node, float] = field(default_factory=dict)
    rows: Collection[Node] = ()
    real: Collection[Node] = ()

    @property
    def decibels(self) -> Mapping[str, float]:
        """Of each product in `rows`, by name, what one int8 type for its data would leave."""
        return {node.name: round(self.losses[node], 1) for node in self.rows}

    @property
    def reason(self) -> str:
        """Why there are `rows`."""
        worst = min(self.losses, key=lambda node: self.losses[node])
        return (
            f"{len(self.rows)} products quantize their data at run time, row by row: one scale for all would leave "
            f"{worst.name!r} {self.losses[worst]:.1f} dB of signal to noise, less than {LEAST_DECIBELS:.0f}"
        )


def choose(graph: Graph, integer: Collection[Node], losses: Mapping[Node, float]) -> RowProducts:
    """For a float32 graph of which the nodes `integer` have int8 forms."""
    lossy = [node for node in graph.nodes if losses.get(node, LEAST_DECIBELS) < LEAST_DECIBELS]
    rows, real = {n: None for n in lossy if _has_weights(n)}, {n: None for n in lossy if not _has_weights(n)}
    uses, floats = graph.uses(), set[Value]()
    pending = [v for node in lossy for v in (*node.inputs, *node.outputs)]
    while pending:
        value = pending.pop()
        if value in floats or value.is_const or value.type.dtype != "float32":
            continue
        floats.add(value)
        for node in (*uses.get(value, ()), *([value.producer] if value.producer else ())):
            if node in integer and _has_weights(node):
                if value in node.inputs:
                    rows[node] = None
                    pending += node.outputs
            elif node not in integer or not (node.op in ("conv2d", "conv_transpose2d") or _is_table(node)):
                real[node] = None
                pending += (*node.inputs, *node.outputs)
    return RowProducts(losses, tuple(rows), tuple(real))


def _has_weights(node: Node) -> bool:
    """Whether it is a product of data and a constant matrix."""
    return node.op == "matmul" and node.inputs[1].is_const


def _is_table(node: Node) -> bool:
    return node.op == "gather" and node.inputs[0].is_const
