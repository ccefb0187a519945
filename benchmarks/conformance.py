"""The ONNX standard's own test cases through the whole of edgec: `make conformance`.

Every node, simple and light case of the installed onnx is compiled and run, and its outputs compared with the case's,
in dtype, shape and values, with the case's tolerances. A case

- passes; or
- passes with operands bound: edgec must know some operands when it compiles (shapes, axes, ...) that the case passes as
  inputs, its error says so, and with those as constants (`--const`) it passes; or
- is unsupported: the compiler refuses it with an EdgeError, shown; or
- is wrong: other outputs, or any other exception, a crash, or no end.
"""

import argparse
import json
import os
import random
import re
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter
from typing import Any, Literal, get_args

import numpy as np
import onnx
from rich.console import Console
from rich.progress import track
from rich.table import Table

from ..compiler.bundle.reader import open_bundle
from ..compiler.driver import compile_model
from ..errors import EdgeError
from ..runtimes.devices import open_device
from ..runtimes.python.binding import Model
from .onnx_cases import Case, NotTensors, load_cases
from .options import target_of
from .workers import Died, run_jobs

Array = np.ndarray[Any, Any]
Status = Literal["passed", "bound", "unsupported", "wrong"]

SECONDS = 120.0
"""What a case may take, kernels that are not in the cache included."""

REASONS = 8
"""How many different ones the table shows of an op; the JSON file has all."""

SEED = 2026
"""Of the order in which a sample is drawn."""

BFLOAT16_RTOL = 2.0**-6
"""The standard's runner compares bfloat16 with at least this."""

ROUNDED = ("DFT",)
"""Ops whose expected values are float32 sums, off by a rounding of the largest one also where the exact sum is 0
(`test_dft_inverse` expects 1.9e-7 there, and allows 1e-7): they are compared with such an absolute tolerance."""


@dataclass(frozen=True)
class Outcome:
    """What became of a case: `bound` are the inputs that had to be constants, `reason` why it did not pass."""

    name: str
    kind: str
    op: str
    status: Status
    reason: str = ""
    bound: tuple[str, ...] = ()
    seconds: float = 0.0


def judge(case: Case, device: str) -> Outcome:
    """Compile and run one case on `device`."""
    started, bound = perf_counter(), dict[str, None]()
    try:
        _pass(case, device, bound)
    except (EdgeError, NotTensors) as error:
        reason = str(error) or "its inputs or outputs are not tensors"
        status: Status = "unsupported"
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        status = "wrong"
    else:
        reason, status = "", "bound" if bound else "passed"
    return Outcome(case.name, case.kind, case.op, status, reason, tuple(bound), perf_counter() - started)


def _pass(case: Case, device: str, bound: dict[str, None]) -> None:
    """AssertionError unless every data set gives the expected outputs. `bound` gets the inputs made constants."""
    for inputs, expected in case.data_sets():
        with tempfile.TemporaryDirectory() as folder:
            found = _run(case, inputs, device, bound, Path(folder))
        for name, want in expected.items():
            _compare(found[name], want, case)


def _run(
    case: Case, inputs: Mapping[str, Array], device: str, bound: dict[str, None], folder: Path
) -> Mapping[str, Array]:
    model, bundle = folder / "model.onnx", folder / "model.edge"
    onnx.save(case.model, model)
    while True:
        constants = {name: inputs[name] for name in bound}
        shapes = {name: a.shape for name, a in inputs.items() if name not in bound}
        try:
            compile_model(model, target=target_of(device), shapes=shapes, constants=constants, output=bundle)
            break
        except EdgeError as error:
            asked = [n for n in shapes if re.search(rf"--const {re.escape(n)}=", str(error))]
            if not asked:
                raise
            bound.update(dict.fromkeys(asked))
    feeds = {name: inputs[name] for name in shapes}
    opened = open_bundle(bundle)
    if device == "host":
        with Model(opened.library_code(), opened.weights) as loaded:
            return loaded.run(feeds)
    manifest = opened.manifest
    return open_device(device).run(bundle, manifest.inputs, manifest.outputs, feeds).outputs


def _compare(found: Array, want: Array, case: Case) -> None:
    if (found.dtype, found.shape) != (want.dtype, want.shape):
        raise AssertionError(f"{found.dtype}{list(found.shape)} instead of {want.dtype}{list(want.shape)}")
    rtol, atol = case.rtol, case.atol
    if case.op in ROUNDED and want.dtype == np.float32:
        atol = max(atol, float(np.finfo(np.float32).eps * np.abs(want).max(initial=0)))
    if want.dtype.name == "bfloat16":
        rtol = max(rtol, BFLOAT16_RTOL)
        found, want = found.astype(np.float32), want.astype(np.float32)
    try:
        np.testing.assert_allclose(found, want, rtol=rtol, atol=atol)
    except AssertionError as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        raise AssertionError("; ".join(lines[:5])) from None


def run_cases(cases: Sequence[Case], device: str, jobs: int, sample: int | None = None) -> Iterator[Outcome]:
    """The outcomes of `cases`; of a `sample` drawn with a seed, those of the first so many that are supported."""
    order = list(range(len(cases)))
    if sample is not None:
        random.Random(SEED).shuffle(order)
    supported = 0
    for index, result in run_jobs(lambda i: judge(cases[i], device), order, jobs, SECONDS):
        case = cases[index]
        outcome = Outcome(case.name, case.kind, case.op, "wrong", str(result)) if isinstance(result, Died) else result
        supported += outcome.status != "unsupported"
        yield outcome
        if supported == sample:
            return


def totals(outcomes: Sequence[Outcome]) -> str:
    """One line a kind of case, and one for all."""
    lines = []
    for kind in (*dict.fromkeys(o.kind for o in outcomes), "all"):
        counts = Counter(o.status for o in outcomes if kind in (o.kind, "all"))
        lines.append(
            f"{kind}: {counts.total()} cases: {counts['passed'] + counts['bound']} passed ({counts['bound']} of them "
            f"with operands bound when compiling), {counts['unsupported']} unsupported, {counts['wrong']} wrong"
        )
    return "\n".join(lines)


def table(outcomes: Sequence[Outcome]) -> Table:
    """One line an op, with each reason for which a case did not pass, and how often."""
    made = Table(box=None, pad_edge=False)
    made.add_column("op")
    for column in get_args(Status):
        made.add_column("passed, bound" if column == "bound" else column, justify="right")
    made.add_column("why not")
    rows: dict[str, list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        rows[outcome.op].append(outcome)
    for op, found in sorted(rows.items()):
        counts = Counter(o.status for o in found)
        reasons = Counter(_reason(o) for o in found if o.reason)
        listed = "\n".join(f"{count}x {reason}" for reason, count in reasons.most_common(REASONS))
        made.add_row(op, *(str(counts[s] or "") for s in get_args(Status)), listed)
    return made


def markdown(outcomes: Sequence[Outcome]) -> str:
    """For docs/operators.md: totals, the ops that pass wholly, with their number of cases, and why others do not."""
    rows: dict[str, list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        rows[outcome.op].append(outcome)
    whole, lines = [], ["| op | passed | not | why |", "|---|---:|---:|---|"]
    for op, found in sorted(rows.items()):
        reasons = Counter(_kind_of_reason(o) for o in found if o.status in ("unsupported", "wrong"))
        if not reasons:
            whole.append(f"{op} {len(found)}")
            continue
        listed = "; ".join(f"{count}x {reason}" for reason, count in reasons.most_common())
        lines.append(f"| {op} | {len(found) - reasons.total()} | {reasons.total()} | {listed} |")
    parts = ["\n".join(f"- {line}" for line in totals(outcomes).splitlines()), ", ".join(whole) + ".", "\n".join(lines)]
    return "\n\n".join(parts) + "\n"


def _kind_of_reason(outcome: Outcome) -> str:
    """The reason in a few words, whatever the node, tensor or type is called."""
    reason = _reason(outcome)
    for pattern, short in _SHORT.items():
        if found := re.search(pattern, reason):
            return found.expand(short)
    return reason


_SHORT = {
    r"holds (\w+);": r"\1",
    r"casts to": "narrow or bfloat16 type",
    r"inputs or outputs are not tensors|Sequence|Optional": "sequences, optional values",
    r"does not support: (?:\S*String|Regex|TfIdf)": "strings",
    r"does not support: ([^\s;]+)": r"no \1",
    r"random": "random numbers",
    r"opset 1;": "opset 1",
}
"""Pattern of a reason -> what the table says of it."""


def _reason(outcome: Outcome) -> str:
    """The reason without what differs from case to case: files, nodes and their number. Wrong cases are named."""
    if outcome.status == "wrong":
        return f"WRONG {outcome.name}: {outcome.reason}"
    return re.sub(r"\S*/model\.onnx| ?\bnode '[^']*'| \(opset [^)]*\)", "", outcome.reason).strip()


def main(arguments: Sequence[str]) -> int:
    """Print the table and the totals; exit code 1 if any case is wrong."""
    parser = argparse.ArgumentParser(prog="python -m edgec.benchmarks.conformance", description=main.__doc__)
    parser.add_argument("--filter", default="", help="only cases whose name has this in it")
    parser.add_argument("--device", default="host", help="host, or a device as in 'edgec run', such as qemu:cortex-a76")
    parser.add_argument("--sample", type=int, help="only so many supported cases, drawn with a fixed seed")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes; default: one per CPU")
    parser.add_argument("--json", type=Path, help="write all outcomes to this file")
    parser.add_argument("--markdown", type=Path, help="write a summary as docs/operators.md has it to this file")
    options = parser.parse_args(arguments)
    cases = [case for case in load_cases() if options.filter in case.name]
    running = run_cases(cases, options.device, options.jobs, options.sample)
    shown = track(running, "conformance", total=options.sample or len(cases), console=Console(stderr=True))
    outcomes = sorted(shown, key=lambda o: (o.kind, o.name))
    if options.json:
        options.json.write_text(json.dumps([asdict(o) for o in outcomes], indent=1), encoding="utf-8")
    if options.markdown:
        options.markdown.write_text(markdown(outcomes), encoding="utf-8")
    console = Console(width=200, highlight=False, markup=False)
    console.print(table(outcomes))
    console.print(totals(outcomes))
    return int(any(o.status == "wrong" for o in outcomes))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
