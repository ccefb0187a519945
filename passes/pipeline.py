"""The order of the passes."""

from collections.abc import Callable, Sequence
from pathlib import Path

from ..compiler.ir.extent import Undecided
from ..compiler.ir.graph import Graph
from ..compiler.ir.text import print_graph
from ..compiler.ir.verify import verify as check
from ..errors import EdgeError
from . import (
    absorb_qdq,
    absorb_transpose,
    channels_last,
    cse,
    dce,
    eliminate_copies,
    fold_constants,
    fold_pad,
    fold_scale,
    fuse_clamp,
    fuse_epilogue,
    fuse_gelu,
    fuse_map,
    fuse_normalize,
    fuse_unary,
    invert_divisors,
    narrow_regions,
    simplify,
)

Pass = Callable[[Graph], bool]
"""Edits the graph in place; whether it changed anything."""

Dump = Callable[[str, Graph], None]
"""Is told the name of a pass and the graph after it."""

FLOAT: tuple[Pass, ...] = (
    fold_constants.run,
    narrow_regions.run,
    simplify.run,
    eliminate_copies.run,
    cse.run,
    fuse_normalize.run,
    fuse_gelu.run,
    dce.run,
    fold_scale.run,
    fold_pad.run,
    fuse_clamp.run,
    fuse_unary.run,
    dce.run,
)
"""Before quantization: what changes the values that get a range. Every value left is worth an int8 tensor."""

LATE: tuple[Pass, ...] = (
    absorb_qdq.run,
    dce.run,
    fold_constants.run,
    fuse_epilogue.run,
    invert_divisors.run,
    fuse_map.run,
    channels_last.run,
    simplify.run,
    eliminate_copies.run,
    absorb_transpose.run,
    cse.run,
    narrow_regions.run,
    dce.run,
)
"""After quantization: what makes the graph fast without changing a byte of integers, and floats by rounding only."""


def run_pipeline(graph: Graph, passes: Sequence[Pass], *, verify: bool = False, dump: Dump | None = None) -> None:
    """Run `passes` in order on `graph` and its regions, with `verify` the verifier after each: EdgeError if one broke
    the graph."""
    for step in passes:
        try:
            for part in list(graph.graphs()):
                step(part)
        except Undecided as question:
            raise EdgeError(f"the pass {pass_name(step)} cannot treat all runs alike: {question}") from None
        if verify:
            check(graph)
        if dump is not None:
            dump(pass_name(step), graph)


def pass_name(step: Pass) -> str:
    """`fold_constants` for `edgec.passes.fold_constants.run`."""
    return step.__module__.rpartition(".")[2]


def dump_to(folder: Path) -> Dump:
    """A dump that writes `01_fold_constants.txt`, `02_simplify.txt` ... into `folder`, numbered over all its calls."""
    count = 0

    def write(name: str, graph: Graph) -> None:
        nonlocal count
        count += 1
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{count:02}_{name}.txt").write_text(print_graph(graph), encoding="utf-8")

    return write
