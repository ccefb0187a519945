"""How imported int8 models compare with ONNX Runtime on the same QDQ file: `python -m edgec.benchmarks.agreement`.

Each model of the zoo is quantized by ONNX Runtime's own tool, compiled for this machine, and run on pictures that did
not calibrate it. The table has, for the outputs, the share of equal values and the largest difference in quantization
steps: against ONNX Runtime with its graph optimizations, without them, and between those two, because ONNX Runtime does
not equal itself. A byte that differs early on reaches everything after it.

That says little about single ops, so each is also run by itself, in its numpy reference, on the values that ONNX
Runtime computes without optimizations: the last columns name the ops of which a result differs, and those that the file
leaves in float. There ONNX Runtime computes in float32 on dequantized values, and rounds at every step:

- Conv, ConvTranspose, Gemm, MatMul: edgec adds up integers, exactly. Where the sum lies beside the middle between two
  codes, ONNX Runtime's float32 sum may lie on the other side. Its QLinearConv, QLinearMatMul and QGemm add up integers
  too, and give edgec's bytes (tests/e2e/test_agreement.py).
- Add, AveragePool, GlobalAveragePool: a result exactly in the middle, common where scales are equal or a power of two
  apart, goes to the even code in edgec; in float32 it goes where the rounding of the dequantized operands pushes it.
- BatchNormalization, Relu after a float op and other elementwise ops: float32 in both, in another order.
"""

import argparse
import json
import sys
import tempfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper
from rich.console import Console
from rich.table import Table

from ..compiler.bundle.load import load
from ..compiler.driver import compile_model
from ..compiler.importer import import_onnx
from ..compiler.importer.support import node_name
from ..compiler.ir.graph import Graph, Node, Value
from ..compiler.ops.reference import run_node
from ..passes import fuse_epilogue
from ..passes.patterns import is_dequantize, is_quantize
from ..passes.pipeline import FLOAT, LATE, run_pipeline
from .options import add_models
from .oracle import onnx_runtime
from .zoo import MODELS, Feeds, Shapes, quantized

Array = np.ndarray[Any, Any]

SAMPLES = 3
HELD_OUT = 100
"""Pictures from this number on calibrate no model of the zoo."""


@dataclass(frozen=True)
class Agreement:
    """How many values there are, how many differ, and by how many quantization steps at most."""

    values: int = 0
    differing: int = 0
    largest: int = 0

    @staticmethod
    def of(ours: Array, theirs: Array, step: float = 1.0) -> "Agreement":
        """Codes, or real numbers that are `step` apart."""
        steps = np.abs(ours.astype(np.float64) - theirs) / step
        return Agreement(steps.size, int((ours != theirs).sum()), round(float(steps.max(initial=0.0))))

    def __add__(self, other: "Agreement") -> "Agreement":
        most = max(self.largest, other.largest)
        return Agreement(self.values + other.values, self.differing + other.differing, most)


@dataclass(frozen=True)
class Report:
    """One model: its outputs against ONNX Runtime `optimized` and `as_written` (optimizations off), and those two
    against each other (`itself`); single ops against the latter, by ONNX op type; ops that the file leaves in float."""

    optimized: Agreement
    as_written: Agreement
    itself: Agreement
    ops: Mapping[str, Agreement]
    in_float: Sequence[str]


def compare(path: Path, shapes: Shapes, samples: Sequence[Feeds]) -> Report:
    """The QDQ model at `path`, compiled for this machine, on `samples`."""
    with tempfile.TemporaryDirectory() as folder:
        compile_model(path, target="host", shapes=shapes, output=Path(folder) / "model.edge")
        compiled = load(Path(folder) / "model.edge")
        optimized, as_written = onnx_runtime(path), onnx_runtime(path, optimize=False)
        graph = unfused(path, shapes)
        steps = {v.name: _step(v) for v in graph.outputs}
        ours, fast, plain = ([run(feeds) for feeds in samples] for run in (compiled.run, optimized, as_written))
    types = {node_name(n, i): n.op_type for i, n in enumerate(onnx.load(path).graph.node)}
    in_float = dict.fromkeys(types.get(n.name, n.op) for n in graph.nodes if _in_float(n))
    return Report(
        _outputs(ours, fast, steps), _outputs(ours, plain, steps), _outputs(fast, plain, steps),
        _single_ops(path, graph, types, samples), list(in_float),
    )  # fmt: skip


def _outputs(ours: Sequence[Feeds], theirs: Sequence[Feeds], steps: Mapping[str, float]) -> Agreement:
    """All outputs, whose quantization steps are `steps`, on all samples."""
    pairs = [(a[name], b[name], step) for a, b in zip(ours, theirs, strict=True) for name, step in steps.items()]
    return sum((Agreement.of(*pair) for pair in pairs), Agreement())


def unfused(path: Path, shapes: Shapes) -> Graph:
    """The graph of a quantized model once its ops are integer ones, each still by itself."""
    graph = import_onnx(path, shapes)
    run_pipeline(graph, [*FLOAT, *LATE[: LATE.index(fuse_epilogue.run)]])
    return graph


def _step(value: Value) -> float:
    """How far apart the values of a model's output are: the scale of the codes that it is made of."""
    while value.type.quant is None:
        assert value.producer is not None
        value = value.producer.inputs[0]
    return value.type.quant.scale[0]


def _in_float(node: Node) -> bool:
    values = [*(v for v in node.inputs if not v.is_const), *node.outputs]
    return any(v.type.quant is None for v in values) and not is_quantize(node) and not is_dequantize(node)


def _single_ops(path: Path, graph: Graph, types: Mapping[str, str], samples: Sequence[Feeds]) -> dict[str, Agreement]:
    """The nodes of `graph`, each fed with what ONNX Runtime computes, by their ONNX op type."""
    shown = {n.output.name for n in graph.nodes if n.output.type.quant is not None}
    infer = onnx_runtime(_with_outputs(path, shown), optimize=False)
    found: dict[str, Agreement] = defaultdict(Agreement)
    for feeds in samples:
        theirs = infer(feeds)
        values = dict(feeds)
        for node in graph.nodes:
            (ours,) = run_node(node, [v.data if v.data is not None else values[v.name] for v in node.inputs])
            name = node.output.name
            if name in shown and name in theirs:
                found[types.get(node.name, node.op)] += Agreement.of(ours, theirs[name])
            values[name] = theirs[name] if name in shown and name in theirs else ours
    return found


def _with_outputs(path: Path, wanted: set[str]) -> bytes:
    """The model with its int8 tensors `wanted` among its outputs, as far as it has them."""
    model = onnx.load(path)
    for node in model.graph.node:
        if node.op_type == "QuantizeLinear" and node.output[0] in wanted:
            model.graph.output.append(helper.make_tensor_value_info(node.output[0], onnx.TensorProto.INT8, None))
    return bytes(model.SerializeToString())


def table(reports: Mapping[str, Report]) -> Table:
    """One line a model."""
    made = Table(box=None, title="int8 QDQ models: edgec and ONNX Runtime (ORT)", title_justify="left")
    made.add_column("model")
    for column in ("equal to ORT", "to ORT, not optimized", "ORT to itself"):
        made.add_column(column, justify="right")
    made.add_column("ops that differ on equal inputs")
    made.add_column("float in the file")
    for name, report in reports.items():
        ops = (f"{op} {_share(row)}, {row.largest} step" for op, row in report.ops.items() if row.differing)
        outputs = (report.optimized, report.as_written, report.itself)
        shares = (f"{1 - row.differing / row.values:.1%}, {row.largest} steps" for row in outputs)
        made.add_row(name, *shares, "; ".join(ops) or "none", ", ".join(report.in_float) or "-")
    return made


def _share(row: Agreement) -> str:
    return f"{row.differing / row.values:.5%}"


def main(arguments: Sequence[str]) -> int:
    """Print the table, or with --json what it is made of, for the models named, all of the zoo without any."""
    parser = argparse.ArgumentParser(prog="python -m edgec.benchmarks.agreement", description=main.__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON")
    add_models(parser, MODELS)
    options = parser.parse_args(arguments)
    reports = {}
    for name in options.models or MODELS:
        model = MODELS[name]
        reports[name] = compare(quantized(name), model.shapes, model.samples(SAMPLES, start=HELD_OUT))
    if options.json:
        print(json.dumps({name: asdict(report) for name, report in reports.items()}, indent=2))
    else:
        Console(width=200).print(table(reports))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
