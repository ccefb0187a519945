"""Engines in processes of their own, on the same cores, one at a time: the others are stopped while one runs."""

import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Self

import numpy as np

from ...errors import EdgeError
from .environment import engines_python
from .forms import Form

Array = np.ndarray[Any, Any]
DRIVER = Path(__file__).with_name("driver.py")
PATIENCE_S = 300.0


@dataclass(frozen=True)
class Start:
    """How an engine began: times of loading the model and of the first inference, and KiB of resident memory that
    importing the engine took, and at most loading and the first inference together."""

    load_ns: int
    first_ns: int
    import_kib: int
    peak_kib: int


class Worker:
    """A process that has loaded one engine's form of a model. It stands still but in `run`. EdgeError when it dies."""

    def __init__(self, form: Form, model: Path, feeds: Path, threads: int, folder: Path) -> None:
        self._folder = tempfile.TemporaryDirectory(dir=folder)
        self._outputs = Path(self._folder.name) / "outputs.npz"
        python = sys.executable if form.engine == "edgec" else str(engines_python(folder))
        cpus = ",".join(map(str, sorted(os.sched_getaffinity(0))[-threads:]))
        words = [python, DRIVER, form.engine, model, feeds, self._outputs, threads, cpus]
        self._errors = (Path(self._folder.name) / "errors").open("w+")
        self._process = subprocess.Popen(
            [str(word) for word in words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)} if form.engine == "edgec" else None,
        )
        try:
            self.start = Start(**json.loads(self._answer()))
        except BaseException:
            self.close()
            raise
        self._signal(signal.SIGSTOP)

    @property
    def process_id(self) -> int:
        """Of the process."""
        return self._process.pid

    def outputs(self) -> list[Array]:
        """Of the first inference."""
        with np.load(self._outputs) as file:
            return [file[name] for name in file.files]

    def run(self, count: int) -> list[int]:
        """Nanoseconds of `count` inferences."""
        assert self._process.stdin
        self._signal(signal.SIGCONT)
        print(count, file=self._process.stdin, flush=True)
        times = [int(word) for word in self._answer().split()]
        self._signal(signal.SIGSTOP)
        return times

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()
        self._errors.close()
        self._folder.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def _answer(self) -> str:
        assert self._process.stdout
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            if not selector.select(PATIENCE_S):
                raise EdgeError(f"it did not answer within {PATIENCE_S:.0f} s")
        if line := self._process.stdout.readline():
            return line
        status = self._process.wait()
        self._errors.seek(0)
        said = (self._errors.read().strip().splitlines() or ["nothing"])[-1]
        how = signal.Signals(-status).name if status < 0 else f"exit code {status}"
        raise EdgeError(f"it died ({how}), and said: {said[-300:]}")


@dataclass(frozen=True)
class Measured:
    """One engine's form of one model: milliseconds, KiB, and the least cosine between its outputs and the float
    model's under ONNX Runtime. `cold_ms` is loading and the first inference with warm files."""

    label: str
    median_ms: float
    min_ms: float
    cold_ms: float
    import_kib: int
    peak_kib: int
    cosine: float


def measure(
    files: Mapping[Form, Path], feeds: Path, want: Sequence[Array], threads: int, runs: int, starts: int, folder: Path
) -> tuple[list[Measured], dict[str, str]]:
    """The engines in turns, `starts` times from nothing and `runs` times again; and, by label, why some are missing."""
    workers: dict[Form, Worker] = {}
    begun: dict[Form, list[Start]] = {form: [] for form in files}
    times: dict[Form, list[int]] = {form: [] for form in files}
    missing: dict[str, str] = {}

    def give_up(form: Form, error: EdgeError) -> None:
        missing[form.label] = str(error)
        if form in workers:
            workers.pop(form).close()

    try:
        for turn in range(starts):
            for form, path in files.items():
                if form.label in missing:
                    continue
                try:
                    worker = Worker(form, path, feeds, threads, folder)
                except EdgeError as error:
                    give_up(form, error)
                    continue
                begun[form].append(worker.start)
                if turn == starts - 1:
                    workers[form] = worker
                else:
                    worker.close()
        for _ in range(runs):
            for form, worker in list(workers.items()):
                try:
                    times[form] += worker.run(1)
                except EdgeError as error:
                    give_up(form, error)
        found = [_figures(f, begun[f], times[f], cosine(w.outputs(), want)) for f, w in workers.items()]
    finally:
        for worker in workers.values():
            worker.close()
    return found, missing


def cosine(found: Sequence[Array], want: Sequence[Array]) -> float:
    """The least cosine between outputs, whatever their shapes; 0 if they are not as many or not as large."""
    if [a.size for a in found] != [a.size for a in want]:
        return 0.0
    return min(
        _cosine(a.ravel().astype(np.float64), b.ravel().astype(np.float64)) for a, b in zip(found, want, strict=True)
    )


def _cosine(a: Array, b: Array) -> float:
    size = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b) / size if size > 0 and np.isfinite(size) else 0.0


def _figures(form: Form, begun: Sequence[Start], times: Sequence[int], cosine: float) -> Measured:
    return Measured(
        label=form.label,
        median_ms=median(times) / 1e6,
        min_ms=min(times) / 1e6,
        cold_ms=median(start.load_ns + start.first_ns for start in begun) / 1e6,
        import_kib=round(median(start.import_kib for start in begun)),
        peak_kib=round(median(start.peak_kib for start in begun)),
        cosine=cosine,
    )
