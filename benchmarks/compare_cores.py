"""edgec and other engines on arm64 cores: instructions of one inference with one thread, counted under qemu, and the
cycles that a model of the core gives for them.

The first run makes an arm64 Python of Debian's packages under build/peers, with the engines' wheels in it. Models and
files are those of `compare`, which measures on this machine.
"""

import argparse
import logging
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import get_args

from rich.table import Table

from ..counting.cores import CORES
from ..errors import EdgeError
from .comparison import add_forms, show
from .options import add_models
from .oracle import onnx_runtime
from .peers.arm64 import arm64
from .peers.cases import CASES, HELD_OUT, Case
from .peers.compared import FOLDER, Compared, files_of, reasons
from .peers.counted import Array, Counted, counted
from .peers.forms import Form, Forms, Precision
from .zoo import Feeds

PEERS = ("onnxruntime", "litert", "ncnn", "mnn")


@dataclass(frozen=True)
class Row(Compared[Counted]):
    """A model on a core."""

    model: str
    precision: Precision
    core: str
    engines: Sequence[Counted]
    missing: dict[str, str]

    @staticmethod
    def cost(engine: Counted) -> float:
        """Its cycles."""
        return engine.cycles


def rows(
    cases: Sequence[Case], precisions: Sequence[Precision], cores: Sequence[str], engines: Sequence[str], jobs: int
) -> Iterator[Row]:
    """One after another, as they are counted."""
    forms = Forms(FOLDER, "arm64-neon")
    arm64(FOLDER)  # once, before engines use it at the same time
    with ThreadPoolExecutor(jobs) as pool:
        for case in cases:
            feeds = case.feeds(HELD_OUT)
            want = list(onnx_runtime(case.load())(feeds).values())
            for precision in precisions:
                files, missing = files_of(forms, case, precision, engines)
                for core in cores:
                    count = partial(_try, core=core, feeds=feeds, want=want)
                    found = dict(zip(files, pool.map(count, files.items()), strict=True))
                    good = [e for e in found.values() if isinstance(e, Counted)]
                    failed = {form.label: why for form, why in found.items() if isinstance(why, str)}
                    yield Row(case.name, precision, core, good, missing | failed)


def _try(file: tuple[Form, Path], core: str, feeds: Feeds, want: Sequence[Array]) -> Counted | str:
    """Or why an engine was not counted."""
    try:
        return counted(*file, core, feeds, want, FOLDER)
    except EdgeError as error:
        return str(error)


def table(rows: Sequence[Row]) -> Table:
    """One line an engine."""
    made = Table(box=None)
    for column in ("model", "precision", "core", "engine"):
        made.add_column(column)
    for column in ("M instr. (counted)", "M cycles (modelled)", "edgec / it, instr.", "cycles", "cosine"):
        made.add_column(column, justify="right")
    for row in rows:
        first = [row.model, row.precision, row.core]
        for e in row.engines:
            ratios = [f"{row.ours.instructions / e.instructions:.2f}", f"{row.ours.cycles / e.cycles:.2f}"]
            said = ["", ""] if e is row.ours else ratios if row.right(e) else ["wrong", "wrong"]
            made.add_row(
                *first, e.label, f"{e.instructions / 1e6:.1f}", f"{e.cycles / 1e6:.1f}", *said, f"{e.cosine:.4f}"
            )
            first = ["", "", ""]
    return made


def markdown(rows: Sequence[Row]) -> str:
    """README's tables, one a core: instructions (counted) / cycles (modelled) in millions, of each engine its best form
    that is right."""
    lines: list[str] = []
    for core in dict.fromkeys(row.core for row in rows):
        lines += [f"**{core}**", "", "| model | precision | edgec | " + " | ".join(PEERS) + " | edgec / best |"]
        lines.append("|---|---" + "|---:" * (len(PEERS) + 2) + "|")
        for row in rows:
            if row.core == core:
                cells = [_figures(row, [row.ours]), *(_figures(row, row.forms(engine)) for engine in PEERS)]
                lines.append(f"| {row.model} | {row.precision} | {' | '.join(cells)} | {_ratios(row)} |")
        lines.append("")
    return "\n".join([*lines, *reasons(rows)])


def _figures(row: Row, forms: Sequence[Counted]) -> str:
    if not forms:
        return "-"
    best = min((e for e in forms if row.right(e)), key=row.cost, default=None)
    shown = best or min(forms, key=row.cost)
    kind = shown.label.partition(" ")[2]
    text = f"{shown.instructions / 1e6:.1f} / {shown.cycles / 1e6:.1f}{kind and f' {kind}'}"
    return text if best else f"{text} (wrong)"


def _ratios(row: Row) -> str:
    if row.best is None or row.ratio is None:
        return "-"
    return f"{row.ours.instructions / row.best.instructions:.2f} / {row.ratio:.2f}"


def main(arguments: Sequence[str]) -> int:
    """Count instructions of edgec and other engines on arm64 cores, and model their cycles."""
    parser = argparse.ArgumentParser(prog="python -m edgec.benchmarks.compare_cores", description=main.__doc__)
    add_forms(parser, "README's tables")
    parser.add_argument("--cores", choices=CORES, nargs="+", default=list(CORES))
    parser.add_argument("--precision", choices=get_args(Precision), nargs="+", default=get_args(Precision))
    parser.add_argument("--engines", choices=PEERS, nargs="+", default=PEERS)
    parser.add_argument("--jobs", type=int, default=1, help="engines that are counted at the same time (default 1)")
    add_models(parser, CASES)
    options = parser.parse_args(arguments)
    logging.disable(logging.WARNING)  # of quantizers and converters
    cases = [CASES[name] for name in options.models or CASES]
    done = []
    for row in rows(cases, options.precision, options.cores, options.engines, options.jobs):
        print(f"{row.model} {row.precision} {row.core}: {len(row.engines)} engines", file=sys.stderr)
        done.append(row)
    show(options, done, table, markdown)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
