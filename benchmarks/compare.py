"""edgec and other engines on this machine: the same model, the same inputs, the same cores, in turns.

Every engine runs its own file of the model, made by its own tools, in a process of its own, and the others stand still
meanwhile. Outputs are compared with the float model's under ONNX Runtime: who is wrong does not count. The first run
installs the engines into build/peers, apart from edgec.
"""

import argparse
import logging
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import numpy as np
from rich.table import Table

from .comparison import add_forms, show
from .options import add_models
from .oracle import onnx_runtime
from .peers.cases import CASES, HELD_OUT, Case
from .peers.compared import FOLDER, Compared, files_of, reasons
from .peers.contest import Measured, measure
from .peers.forms import Forms, Precision

PEERS = ("onnxruntime", "openvino", "litert", "ncnn", "mnn")


@dataclass(frozen=True)
class Row(Compared[Measured]):
    """A model on so many threads."""

    model: str
    precision: Precision
    threads: int
    engines: Sequence[Measured]
    missing: dict[str, str]

    @staticmethod
    def cost(engine: Measured) -> float:
        """Its median, in milliseconds."""
        return engine.median_ms


def rows(
    cases: Sequence[Case], precisions: Sequence[Precision], engines: Sequence[str], threads: Sequence[int],
    runs: int, starts: int,
) -> Iterator[Row]:  # fmt: skip
    """One after another, as they are measured."""
    forms = Forms(FOLDER, "host")
    for case in cases:
        feeds = case.feeds(HELD_OUT)
        want = list(onnx_runtime(case.load())(feeds).values())
        for precision in precisions:
            files, missing = files_of(forms, case, precision, engines)
            for count in threads:
                with tempfile.TemporaryDirectory() as folder:
                    path = Path(folder) / "feeds.npz"
                    np.savez(path, **feeds)  # type: ignore[arg-type]
                    found, dead = measure(files, path, want, count, runs, starts, FOLDER)
                yield Row(case.name, precision, count, found, missing | dead)


def table(rows: Sequence[Row]) -> Table:
    """One line a measurement of an engine."""
    made = Table(box=None, title=f"measured here ({len(os.sched_getaffinity(0))} CPUs)", title_justify="left")
    for column in ("model", "precision", "threads", "engine"):
        made.add_column(column)
    for column in ("median ms", "min", "edgec / it", "cold ms", "cold / median", "peak MiB", "cosine"):
        made.add_column(column, justify="right")
    for row in rows:
        first = [row.model, row.precision, str(row.threads)]
        for e in row.engines:
            ratio = f"{row.ours.median_ms / e.median_ms:.2f}" if row.right(e) else "wrong"
            made.add_row(
                *first, e.label, f"{e.median_ms:.2f}", f"{e.min_ms:.2f}", "" if e is row.ours else ratio,
                f"{e.cold_ms:.1f}", f"{e.cold_ms / e.median_ms:.2f}", f"{e.peak_kib / 1024:.1f}", f"{e.cosine:.4f}",
            )  # fmt: skip
            first = ["", "", ""]
    return made


def markdown(rows: Sequence[Row]) -> str:
    """README's table: medians in milliseconds, of each engine its best form that is right."""
    lines = ["| model | precision | threads | edgec | " + " | ".join(PEERS) + " | edgec / best |"]
    lines.append("|---|---|---:" + "|---:" * (len(PEERS) + 2) + "|")
    for row in rows:
        cells = [_cell(row, engine) for engine in PEERS]
        ratio = f"{row.ratio:.2f}" if row.ratio else "-"
        ours = f"{row.ours.median_ms:.2f}" + ("" if row.right(row.ours) else " (wrong)")
        line = [row.model, row.precision, str(row.threads), ours, *cells, ratio]
        lines.append(f"| {' | '.join(line)} |")
    return "\n".join([*lines, "", *reasons(rows)])


def _cell(row: Row, engine: str) -> str:
    forms = row.forms(engine)
    if right := [e for e in forms if row.right(e)]:
        best = min(right, key=row.cost)
        return f"{best.median_ms:.2f}{best.label.removeprefix(engine)}"
    return f"{min(map(row.cost, forms)):.2f} (wrong)" if forms else "-"


def main(arguments: Sequence[str]) -> int:
    """Time edgec and other engines on this machine, in turns."""
    parser = argparse.ArgumentParser(prog="python -m edgec.benchmarks.compare", description=main.__doc__)
    add_forms(parser, "README's table")
    parser.add_argument("--runs", type=int, default=30, help="timed runs of each engine (default 30)")
    parser.add_argument("--starts", type=int, default=5, help="how often each engine loads the model (default 5)")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2], help="default 1 2")
    parser.add_argument("--precision", choices=get_args(Precision), nargs="+", default=["float32", "int8"])
    parser.add_argument("--engines", choices=PEERS, nargs="+", default=PEERS)
    add_models(parser, CASES)
    options = parser.parse_args(arguments)
    logging.disable(logging.WARNING)  # of quantizers and converters
    cases = [CASES[name] for name in options.models or CASES]
    done = []
    for row in rows(cases, options.precision, options.engines, options.threads, options.runs, options.starts):
        print(f"{row.model} {row.precision} {row.threads}: {len(row.engines)} engines", file=sys.stderr)
        done.append(row)
    show(options, done, table, markdown)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
