"""What the int8 forms of its inputs cost each product, softmax and table of a model, measured on samples."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from math import log10

import numpy as np

from ..ir.attributes import int_attr
from ..ir.graph import Array, Graph, Node, Value
from ..ir.types import Quant
from ..ops import quantized
from ..ops.matmul import second_operand
from .calibrate import Engine, Progress

SAMPLES = 4
"""Losses differ between layers, not so much between samples."""

MOST = 200.0
"""Decibels: what is exact, or the same for all data."""


@dataclass
class _Sums:
    signal: float = 0.0
    noise: float = 0.0

    def add(self, exact: Array, approximate: Array) -> None:
        """Results [.., columns]. What all rows have in common is no signal: it tells nothing apart."""
        y = exact.reshape(-1, exact.shape[-1]).astype(np.float64)
        self.signal += float(np.square(y - (y.mean(axis=0) if len(y) > 1 else y.mean())).sum())
        self.noise += float(np.square(y - approximate.reshape(y.shape)).sum())

    @property
    def decibels(self) -> float:
        if self.noise == 0.0 or self.signal == 0.0:
            return MOST
        return min(MOST, 10 * log10(self.signal / self.noise))


def measure(
    graph: Graph, engine: Engine, samples: Iterable[Mapping[str, Array]], quants: Mapping[Value, Quant],
    integer: Collection[Node], progress: Progress,
) -> dict[Node, float]:  # fmt: skip
    """The signal to noise, in decibels, of what the `integer` products, softmaxes and tables (a gather of a constant)
    give if their activations have the int8 types `quants` and all else is exact."""
    sums = {node: _Sums() for node in graph.nodes if node in integer and _is_measured(node)}
    computed = [node for node in sums if node.op != "gather"]
    for node in sums.keys() - set(computed):
        _add(sums[node], node, {}, quants)
    for done, feed in enumerate(islice(samples, SAMPLES) if computed else (), 1):
        env = dict(engine.run(feed))
        for node in computed:
            _add(sums[node], node, env, quants)
        progress("measure", done, 0)
    return {node: total.decibels for node, total in sums.items()}


def _is_measured(node: Node) -> bool:
    return node.op in ("matmul", "softmax") or (node.op == "gather" and node.inputs[0].is_const)


def _add(sums: _Sums, node: Node, env: Mapping[str, Array], quants: Mapping[Value, Quant]) -> None:
    values = node.inputs[:2] if node.op == "matmul" else node.inputs[:1]
    exact = [env[v.name] if v.data is None else v.data for v in values]
    coded = [
        quantized.dequantize(quantized.quantize(x, quants[v]), quants[v]) if v in quants else x
        for v, x in zip(values, exact, strict=True)
    ]
    if exact[0].size:
        sums.add(_result(node, exact), _result(node, coded))


def _result(node: Node, operands: list[Array]) -> Array:
    """The bare product, the softmax with its axis last, or the table's rows."""
    if node.op == "matmul":
        x, w = operands
        return np.asarray(x @ w.transpose(second_operand(node)))
    (x,) = operands
    if node.op == "softmax":
        shifted = np.moveaxis(x, int_attr(node, "axis"), -1)
        e = np.exp(shifted - shifted.max(axis=-1, keepdims=True))
        return np.asarray(e / e.sum(axis=-1, keepdims=True))
    rows = np.moveaxis(x, int_attr(node, "axis"), 0)
    return rows.reshape(len(rows), -1)
