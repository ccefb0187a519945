"""How long edgec takes over graphs of thousands of nodes: `python -m edgec.benchmarks.scaling`.

The graphs are drawn with a seed: like real models of that size they repeat blocks, in any order (with `--distinct` no
block is repeated, and nearly every fused map is a kernel of its own). A node reads tensors that a few nodes, or a few
hundred, before it computed, and every tensor ends up in the output. One line a size, with the seconds of each stage;
times should grow as the nodes do. `--plot scaling.svg` draws them.
"""

import argparse
import json
import sys
import tempfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from time import perf_counter

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from rich.console import Console
from rich.table import Table

from ..compiler.driver import compile_model

SIZES = (1000, 2000, 5000, 10000)
SEED = 2026
BLOCKS, BLOCK_NODES = 16, 20
CHANNELS, SIDE = 8, 6

_UNARY = ("Relu", "Sigmoid", "Tanh", "Neg", "Abs", "HardSwish")
_BINARY = ("Add", "Mul", "Sub", "Max")


def generated(nodes: int, distinct: bool = False) -> onnx.ModelProto:
    """A model of so many nodes: convolutions, pools, moves and elementwise ops on tensors of one shape. Of blocks that
    are repeated, or all `distinct`."""
    rng = np.random.default_rng(SEED)
    weights = rng.normal(0, 0.3, (4, CHANNELS, CHANNELS, 1, 1)).astype(np.float32)
    tensors, unread, made = ["x"], set[str](), []
    draws = rng
    for i in range(nodes - 1):
        if i % BLOCK_NODES == 0 and not distinct:
            draws = np.random.default_rng((SEED, int(rng.integers(BLOCKS))))
        node = _node(draws, f"t{i}", tensors)
        made.append(node)
        unread.difference_update(node.input)
        unread.add(node.output[0])
        tensors.append(node.output[0])
    made.append(helper.make_node("Sum", sorted(unread), ["y"], name="y"))
    value = helper.make_tensor_value_info
    shape = [1, CHANNELS, SIDE, SIDE]
    graph = helper.make_graph(
        made, f"generated{nodes}", [value("x", TensorProto.FLOAT, shape)], [value("y", TensorProto.FLOAT, shape)],
        [numpy_helper.from_array(w, f"w{i}") for i, w in enumerate(weights)],
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def _earlier(rng: np.random.Generator, tensors: Sequence[str]) -> str:
    """One of the last few tensors; now and then one of the last few hundred."""
    reach = 300 if rng.random() < 0.05 else 4
    return tensors[-1 - int(rng.integers(min(reach, len(tensors))))]


def _node(rng: np.random.Generator, name: str, tensors: Sequence[str]) -> onnx.NodeProto:
    def operand() -> str:
        return _earlier(rng, tensors)

    kind = rng.integers(8)
    if kind == 0:
        return helper.make_node("Conv", [operand(), f"w{rng.integers(4)}"], [name], name=name)
    if kind == 1:
        return helper.make_node("MaxPool", [operand()], [name], name=name, kernel_shape=[3, 3], pads=[1, 1, 1, 1])
    if kind == 2:
        return helper.make_node("Transpose", [operand()], [name], name=name, perm=[0, 1, 3, 2])
    if kind <= 5:
        return helper.make_node(str(rng.choice(_UNARY)), [operand()], [name], name=name)
    return helper.make_node(str(rng.choice(_BINARY)), [operand(), operand()], [name], name=name)


def measure(nodes: int, target: str, distinct: bool = False) -> dict[str, float]:
    """Stage -> seconds, of compiling the graph of so many nodes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        onnx.save(generated(nodes, distinct), path)
        marks: list[tuple[str, float]] = []
        compile_model(
            path,
            target=target,
            output=Path(folder) / "model.edge",
            progress=lambda stage, done, total: marks.append((stage, perf_counter())),
        )
        marks.append(("", perf_counter()))
    stages: dict[str, float] = defaultdict(float)
    for (stage, begin), (_, end) in pairwise(marks):
        stages[stage] += end - begin
    return {**stages, "all": marks[-1][1] - marks[0][1]}


def draw(rows: Mapping[int, Mapping[str, float]], title: str, path: Path) -> None:
    """Seconds over nodes, the stages stacked, as the picture `path`: SVG, PNG or whatever its suffix says."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    stages = [stage for stage in next(iter(rows.values())) if stage != "all"]
    with pyplot.rc_context({"svg.fonttype": "none", "svg.hashsalt": title}):
        figure, axes = pyplot.subplots(figsize=(6, 3.5), layout="constrained")
        axes.stackplot(list(rows), [[row[stage] for row in rows.values()] for stage in stages], labels=stages)
        axes.plot(list(rows), [row["all"] for row in rows.values()], "k.")
        axes.set(xlabel="nodes", ylabel="seconds", title=title, xlim=(0, max(rows)), ylim=(0, None))
        axes.legend(loc="upper left", reverse=True)
        figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)
        pyplot.close(figure)


def main(arguments: Sequence[str]) -> int:
    """Print seconds a stage for graphs of several sizes."""
    parser = argparse.ArgumentParser(prog="python -m edgec.benchmarks.scaling", description=main.__doc__)
    parser.add_argument("sizes", nargs="*", type=int, default=SIZES, metavar="NODES")
    parser.add_argument("--target", default="host", help="as in 'edgec compile'")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--distinct", action="store_true", help="graphs that repeat nothing")
    parser.add_argument("--plot", type=Path, metavar="FILE.svg", help="draw seconds over nodes")
    options = parser.parse_args(arguments)
    if not options.distinct:
        measure(options.sizes[0], options.target)  # compiles the kernels, which all sizes share
    rows = {nodes: measure(nodes, options.target, options.distinct) for nodes in options.sizes}
    if options.plot:
        draw(rows, f"edgec compile --target {options.target}", options.plot)
    if options.json:
        print(json.dumps(rows, indent=1))
        return 0
    table = Table("nodes", *rows[options.sizes[0]], box=None, title="seconds", title_justify="left")
    for nodes, stages in rows.items():
        table.add_row(str(nodes), *(f"{seconds:.2f}" for seconds in stages.values()))
    Console().print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
