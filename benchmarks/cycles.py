"""What one inference costs on Arm's cores: instructions counted under emulation, cycles modelled from them.

float32: the model as it is. float16: `--fp16`. int8: edgec's own quantization. One thread.
`edgec bench` says how the figures are made.
"""

import argparse
import json
import re
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from rich.console import Console
from rich.table import Table

from ..compiler.bundle.reader import open_bundle
from ..compiler.kernels.convolutions.winograd_transforms import Form
from ..counting.cores import CORES
from ..counting.report import Figures, Report, added, report
from .options import add_models
from .peers.cases import CASES, compiled

_TILE = re.compile(r"(.*?)(_(?:m\d+|small|[0-9a-f]{8})(?:_.*)?)?$")
MOST_EXPENSIVE = 8
"""Steps that a page shows by themselves."""
PRECISIONS = ("float32", "float16", "int8")
DENSE = re.compile(r"_(?:conv|gemm|winograd(\d)(?:s(\d))?)_")
"""Kernels of convolutions that are not depthwise, and of products of matrices; side and stride of Winograd's forms."""
CAPTION = (
    "of peak: multiply-accumulates of the model, of those that the core could do; dense of peak: in the cycles of "
    "dense layers those that are done, by Winograd's algorithm 36 in place of 144, 16 in place of 36 or, with a stride "
    "of 2, 25 in place of 36"
)


def reports(
    models: Sequence[str], precisions: Sequence[str], cores: Sequence[str]
) -> Iterator[tuple[str, list[Report]]]:
    """(model, its report on each core) for each model and precision."""
    for name in models:
        for precision in precisions:
            with tempfile.TemporaryDirectory() as folder:
                bundle = open_bundle(compiled(CASES[name], "arm64-neon", precision, Path(folder)))
                yield name, [report(bundle, CORES[core]) for core in cores]


def dense(done: Report) -> Figures:
    """The sum of a model's dense convolutions and products, with the multiply-accumulates that are done."""
    found = ((DENSE.search(step.kernel), step.figures) for step in done.steps)
    return added(replace(figures, macs=_done(figures.macs, form)) for form, figures in found if form)


def _done(macs: int, kernel: re.Match[str]) -> int:
    """Of so many multiply-accumulates of the direct form: tiles beyond the plane's edge not counted."""
    if kernel[1] is None:
        return macs
    form = Form(int(kernel[1]), int(kernel[2] or 1))
    return macs * form.positions // (3 * form.side) ** 2


@dataclass(frozen=True)
class Row:
    """One model in one precision on one core: instructions counted, cycles modelled. `of_peak` is the share of the
    core's multiply-accumulates that is reached in all cycles by those of the model, `dense_of_peak` in those of dense
    layers by those that are done."""

    model: str
    precision: str
    core: str
    instructions: int
    cycles: float
    macs_per_cycle: float
    of_peak: float
    dense_of_peak: float

    @staticmethod
    def of(model: str, done: Report) -> "Row":
        """The figures of a report."""
        rate, most = done.total.macs / done.total.cycles, dense(done)
        return Row(
            model=model,
            precision=done.precision,
            core=done.core,
            instructions=done.total.instructions,
            cycles=done.total.cycles,
            macs_per_cycle=rate,
            of_peak=rate / done.peak,
            dense_of_peak=most.macs / max(1.0, most.cycles) / done.peak,
        )


def table(rows: Sequence[Row]) -> Table:
    """One line a row."""
    made = Table(
        box=None, title="one inference, one thread", title_justify="left", caption=CAPTION, caption_justify="left"
    )
    for column in ("model", "precision", "core"):
        made.add_column(column)
    for column in ("M instr. (counted)", "M cycles (modelled)", "MACs per cycle", "of peak", "dense of peak"):
        made.add_column(column, justify="right")
    for r in rows:
        figures = (f"{r.instructions / 1e6:.2f}", f"{r.cycles / 1e6:.2f}", f"{r.macs_per_cycle:.2f}")
        shares = (f"{100 * r.of_peak:.0f} %", f"{100 * r.dense_of_peak:.0f} %")
        made.add_row(r.model, r.precision, r.core, *figures, *shares)
    return made


def family(kernel: str) -> str:
    """A kernel's name without its tile; `qs8_gemm_m8_whole_add` -> `qs8_gemm_add`."""
    name, tile = _TILE.match(kernel).groups()  # type: ignore[union-attr]
    return f"{name}_add" if tile and "_add" in tile else str(name)


def page(model: str, done: Sequence[Report]) -> str:
    """Where the cycles of one model go on some cores, in markdown: families of kernels, then single steps, each with
    those first that take longest on the first core."""
    steps = done[0].steps
    groups: dict[str, list[int]] = {}
    for number, step in enumerate(steps):
        groups.setdefault(family(step.kernel), []).append(number)
    single = [(f"{step.name}: {family(step.kernel)}", [number]) for number, step in enumerate(steps)]
    titles = [f"{report.core}: k cycles | of peak | taken longest | misses" for report in done]
    return "\n".join(
        [
            f"| {model} {done[0].precision} | steps | M MACs | {' | '.join(titles)} |",
            "|---" * (3 + 4 * len(done)) + "|",
            *_rows(done, groups.items()),
            *_rows(done, single)[:MOST_EXPENSIVE],
            *_rows(done, [("all", range(len(steps)))]),
        ]
    )


def _rows(done: Sequence[Report], groups: Iterable[tuple[str, Sequence[int]]]) -> list[str]:
    """A line for each group of steps, (name, their numbers)."""
    sums = [(name, [added(r.steps[n].figures for n in numbers) for r in done], numbers) for name, numbers in groups]
    return [
        f"| `{name}` | {len(numbers)} | {each[0].macs / 1e6:.1f} | {' | '.join(map(_cells, done, each))} |"
        for name, each, numbers in sorted(sums, key=lambda row: -row[1][0].cycles)
    ]


def _cells(report: Report, figures: Figures) -> str:
    """Cycles and their share of all, the share of the peak, the resource that is taken longest and the share of the
    cycles for which it is, and the share of misses."""
    name, busy = figures.demand.busiest
    cycles = max(1.0, figures.cycles)
    shares = (figures.cycles / report.total.cycles, figures.macs / cycles / report.peak, busy / cycles)
    of_all, of_peak, taken = (f"{100 * share:.0f} %" for share in shares)
    return (
        f"{figures.cycles / 1e3:,.0f} ({of_all}) | {of_peak} | {name} {taken} | {100 * figures.misses / cycles:.0f} %"
    )


def main(arguments: Sequence[str]) -> int:
    """Count and model what an inference costs on Arm's cores."""
    parser = argparse.ArgumentParser(prog="python -m edgec.benchmarks.cycles", description=main.__doc__)
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print JSON")
    form.add_argument("--pages", action="store_true", help="print where the cycles go, in markdown")
    parser.add_argument("--precision", nargs="+", choices=PRECISIONS, default=PRECISIONS)
    parser.add_argument("--core", nargs="+", choices=list(CORES), default=list(CORES))
    add_models(parser, CASES)
    options = parser.parse_args(arguments)
    found = list(reports(options.models or list(CASES), options.precision, options.core))
    if options.pages:
        print("\n\n".join(page(name, cores) for name, cores in found))
        return 0
    rows = [Row.of(name, done) for name, cores in found for done in cores]
    if options.json:
        print(json.dumps([asdict(row) for row in rows], indent=2))
    else:
        Console(width=120).print(table(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
