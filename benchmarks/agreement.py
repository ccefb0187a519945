"""How imported int8 models compare with ONNX Runtime on the same QDQ file: `python -m edgec.benchmarks.agreement`.

For each model the share of equal output values and the largest difference, and, since a differing byte early on reaches
everything after it, each op on its own: fed with ONNX Runtime's values, how many of its results are not ONNX Runtime's.
The numpy reference stands for edgec: compiled code equals it byte for byte.
"""

import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper
from rich.console import Console
from rich.table import Table

from ..compiler.importer import import_onnx
from ..compiler.ir.graph import Node
from ..compiler.ops.reference import run_graph, run_node
from ..passes import channels_last
from ..passes.pipeline import FLOAT, LATE, run_pipeline
from .oracle import onnx_runtime
from .zoo import MODELS, quantized

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class OpAgreement:
    """One op fed with ONNX Runtime's values: how many results there are, how many differ, by how many steps at most."""

    values: int
    differing: int
    largest: int


@dataclass(frozen=True)
class Agreement:
    """Outputs: the share of equal values, the largest difference as a share of the output's range. `ops` by IR op."""

    equal: float
    largest: float
    ops: Mapping[str, OpAgreement]


def compare(name: str, samples: int = 3) -> Agreement:
    """The QDQ form of the zoo's model `name`, on samples that did not calibrate it."""
    path, model = quantized(name), MODELS[name]
    graph = import_onnx(path, model.shapes)
    # names and layouts as in the file
    run_pipeline(graph, [*FLOAT, *(p for p in LATE if p is not channels_last.run)])
    infer = onnx_runtime(_with_quantized_values(path, {v.name for v in graph.values() if not v.is_const}))
    equal, largest = [], []
    counts: dict[str, list[OpAgreement]] = defaultdict(list)
    for feeds in model.samples(samples, start=100):
        theirs = infer(feeds)
        for output, y in run_graph(graph, feeds).items():
            equal.append(float((y == theirs[output]).mean()))
            largest.append(float(np.abs(y - theirs[output]).max() / np.ptp(theirs[output])))
        for node in graph.nodes:
            if (found := _one_op(node, {**theirs, **feeds})) is not None:
                counts[node.op].append(found)
    return Agreement(float(np.mean(equal)), max(largest), {op: _total(rows) for op, rows in counts.items()})


def _with_quantized_values(path: Path, wanted: set[str]) -> bytes:
    """The model with those quantized tensors that edgec computes too among its outputs."""
    model = onnx.load(path)
    kinds = {i.name: i.data_type for i in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "QuantizeLinear" and node.output[0] in wanted:
            kind = kinds[node.input[2]]
            model.graph.output.append(helper.make_tensor_value_info(node.output[0], kind, None))
    return bytes(model.SerializeToString())


def _one_op(node: Node, theirs: Mapping[str, Array]) -> OpAgreement | None:
    """None when the node's value, or what it reads, is none that ONNX Runtime showed."""
    known = all(v.is_const or v.name in theirs for v in node.inputs) and node.output.name in theirs
    if not known or node.output.type.quant is None:
        return None
    arrays = [v.data if v.data is not None else theirs[v.name] for v in node.inputs]
    (ours,) = run_node(node, arrays)
    steps = np.abs(ours.astype(np.int32) - theirs[node.output.name].astype(np.int32))
    return OpAgreement(steps.size, int((steps > 0).sum()), int(steps.max(initial=0)))


def _total(rows: Sequence[OpAgreement]) -> OpAgreement:
    return OpAgreement(sum(r.values for r in rows), sum(r.differing for r in rows), max(r.largest for r in rows))


def main(names: Sequence[str]) -> None:
    """Print the table for the models `names`, all of the zoo without any."""
    made = Table(box=None, title="int8 QDQ models: edgec and ONNX Runtime", title_justify="left")
    for column in ("model", "equal outputs", "largest difference", "ops that differ on equal inputs"):
        made.add_column(column, justify="right" if "output" in column or "difference" in column else "left")
    for name in names or MODELS:
        found = compare(name)
        ops = [
            f"{op} {row.differing / row.values:.4%} by {row.largest}" for op, row in found.ops.items() if row.differing
        ]
        made.add_row(name, f"{found.equal:.1%}", f"{found.largest:.2%} of range", ", ".join(ops) or "none")
    Console(width=160).print(made)


if __name__ == "__main__":
    main(sys.argv[1:])
