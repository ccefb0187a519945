"""Memory of edgec's bundles: planned, against what no plan can undercut; and measured, against other engines.

Planned: the arena, and the largest sum of tensors that are alive at one time in the graph that is compiled (inputs and
outputs, which are the user's, are in neither). Measured here: by how much resident memory grows at most while a process
loads the model and runs it once, importing the engine not counted; of the other engines the least that is right.
"""

import argparse
import json
import logging
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import get_args

import numpy as np
from rich.console import Console
from rich.table import Table

from ..compiler.bundle.reader import open_bundle
from ..compiler.driver import build_graph
from ..compiler.ir.cost import live_bytes
from .compare import PEERS, Row
from .options import add_models
from .oracle import onnx_runtime
from .peers.cases import CASES, HELD_OUT, Case
from .peers.compared import FOLDER, files_of
from .peers.contest import Measured, measure
from .peers.forms import Forms, Precision
from .zoo import write_samples


@dataclass(frozen=True)
class Memory:
    """Bytes. `arena`, `weights` and `runtime` are planned, `alive` is the largest sum of live tensors; `ours` and
    `theirs` were measured, the latter of `peer`."""

    model: str
    precision: Precision
    arena: int
    alive: int
    weights: int
    runtime: int
    ours: int
    theirs: int | None
    peer: str

    @property
    def over_alive(self) -> float:
        """The arena in shares of the least that is possible without overwriting operands."""
        return self.arena / self.alive if self.alive else 1.0


def rows(cases: Sequence[Case], precisions: Sequence[Precision], engines: Sequence[str]) -> Iterator[Memory]:
    """One after another, as they are measured."""
    forms = Forms(FOLDER, "host")
    for case in cases:
        for precision in precisions:
            yield _row(forms, case, precision, engines)


def _row(forms: Forms, case: Case, precision: Precision, engines: Sequence[str]) -> Memory:
    files, _ = files_of(forms, case, precision, engines)
    feeds = case.feeds(HELD_OUT)
    want = list(onnx_runtime(case.load())(feeds).values())
    with tempfile.TemporaryDirectory() as folder:
        given = Path(folder) / "feeds.npz"
        np.savez(given, **feeds)  # type: ignore[arg-type]
        found, missing = measure(files, given, want, threads=1, runs=1, starts=1, folder=FOLDER)
        alive = _alive(case, precision, Path(folder))
    row = Row(case.name, precision, 1, found, missing)
    best = min((e for e in found if e is not row.ours and row.right(e)), key=_peak, default=None)
    bundle = next(path for form, path in files.items() if form.engine == "edgec")
    planned = open_bundle(bundle).manifest.memory
    return Memory(
        case.name, precision, planned.arena, alive, planned.weights, planned.runtime,
        _peak(row.ours), _peak(best) if best else None, best.label if best else "",
    )  # fmt: skip


def _peak(engine: Measured) -> int:
    return engine.peak_kib << 10


def _alive(case: Case, precision: Precision, folder: Path) -> int:
    samples = write_samples(case.calibration(), folder / "samples") if precision == "int8" else None
    shapes = {name: array.shape for name, array in case.feeds(0).items()}
    return live_bytes(build_graph(case.load(), int8=precision == "int8", calibrate=samples, shapes=shapes))


def table(rows: Sequence[Memory]) -> Table:
    """One line a model and precision; MiB."""
    made = Table(box=None)
    for column in ("model", "precision"):
        made.add_column(column)
    for column in (
        *("arena", "live tensors", "arena / live", "weights", "runtime", "in all (planned)"),
        *("edgec (measured)", "least other (measured)", "", "planned / it"),
    ):
        made.add_column(column, justify="right")
    for r in rows:
        planned = r.arena + r.weights + r.runtime
        made.add_row(
            r.model, r.precision, _mib(r.arena), _mib(r.alive), f"{r.over_alive:.2f}", _mib(r.weights), _mib(r.runtime),
            _mib(planned), _mib(r.ours), _mib(r.theirs) if r.theirs else "-", r.peer,
            f"{planned / r.theirs:.2f}" if r.theirs else "-",
        )  # fmt: skip
    return made


def _mib(size: int) -> str:
    return f"{size / (1 << 20):.2f}"


def main(arguments: Sequence[str]) -> int:
    """Show the memory of edgec's bundles, planned and measured, beside that of other engines."""
    parser = argparse.ArgumentParser(prog="python -m edgec.benchmarks.memory", description=main.__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--precision", choices=get_args(Precision), nargs="+", default=["float32", "int8"])
    parser.add_argument("--engines", choices=PEERS, nargs="+", default=PEERS)
    add_models(parser, CASES)
    options = parser.parse_args(arguments)
    logging.disable(logging.WARNING)  # of quantizers and converters
    done = list(rows([CASES[name] for name in options.models or CASES], options.precision, options.engines))
    if options.json:
        print(json.dumps([asdict(row) for row in done], indent=2))
    else:
        Console(width=160).print(table(done))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
