"""What the commands print, and where: results on stdout (as text or JSON), everything else on stderr."""

import json
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import Annotated, Any

import typer
from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

PROGRESS_AFTER_S = 2.0
"""Work that ends sooner shows no progress bar."""

WIDTH_OF_FILES = 160
"""Columns of what is printed to a file or a pipe."""

ReportProgress = Callable[[str, int, int], None]
"""(stage, steps done, steps in all)."""


@dataclass
class Settings:
    """The options that every command has."""

    json: bool = False
    verbose: bool = False


settings = Settings()


def _set_json(value: bool) -> None:
    settings.json = settings.json or value


def _set_verbose(value: bool) -> None:
    settings.verbose = settings.verbose or value


Json = Annotated[bool, typer.Option("--json", callback=_set_json, help="Print the result as one JSON document.")]
Verbose = Annotated[
    bool, typer.Option("--verbose", "-v", callback=_set_verbose, help="Say on stderr what is done, stage by stage.")
]


def emit(data: Any, render: Callable[[], RenderableType]) -> None:
    """Print a command's result: `data` with --json, else what `render` makes of it."""
    if settings.json:
        sys.stdout.write(json.dumps(data, indent=1, ensure_ascii=False) + "\n")
    else:
        width = None if sys.stdout.isatty() else WIDTH_OF_FILES
        Console(highlight=False, width=width).print(render())


def note(message: str) -> None:
    """A line on stderr, with -v only."""
    if settings.verbose:
        Console(stderr=True, highlight=False).print(message, style="dim", markup=False, soft_wrap=True)


def fail(message: str) -> None:
    """An error as one line on stderr."""
    console = Console(stderr=True, highlight=False)
    console.print(Text.assemble(("error:", "bold red"), " ", " ".join(plain(message).split())), soft_wrap=True)


def plain(text: str) -> str:
    """`text` without what could steer a terminal: names come from untrusted files."""
    return "".join(c if c.isprintable() else " " for c in text)


def table(*columns: str) -> Table:
    """A table whose columns after the first are numbers or short words, set right."""
    made = Table(box=None, header_style="bold", pad_edge=False)
    for i, column in enumerate(columns):
        made.add_column(Text(plain(column)), justify="left" if i == 0 else "right", overflow="fold")
    return made


def add_row(to: Table, *cells: str) -> None:
    """A row of literal text: brackets in names are no markup."""
    to.add_row(*(Text(plain(cell)) for cell in cells))


def facts(*rows: tuple[str, str]) -> Table:
    """Names and their values, without a header."""
    made = Table(box=None, show_header=False, pad_edge=False)
    for row in rows:
        add_row(made, *row)
    return made


def size(nbytes: int) -> str:
    """`1.2 MB`: decimal units, as storage is sold and as `ls --si` prints."""
    amount = float(nbytes)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000 or unit == "GB":
            break
        amount /= 1000
    return f"{amount:.0f} B" if unit == "B" else f"{amount:.2f} {unit}"


@contextmanager
def progress() -> Iterator[ReportProgress]:
    """A function to report progress to; a bar appears on a terminal's stderr when the work takes a while."""
    console = Console(stderr=True)
    bars = Progress(TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), console=console, transient=True)
    task: TaskID = bars.add_task("starting", total=None)
    timer = threading.Timer(PROGRESS_AFTER_S, bars.start)
    timer.daemon = True
    current, started = "", perf_counter()

    def report(stage: str, done: int, total: int) -> None:
        nonlocal current, started
        if stage != current:
            if current:
                note(f"{current}: {perf_counter() - started:.2f} s")
            current, started = stage, perf_counter()
        bars.update(task, description=stage, completed=done, total=total or None)

    if console.is_terminal:
        timer.start()
    try:
        yield report
        if current:
            note(f"{current}: {perf_counter() - started:.2f} s")
    finally:
        timer.cancel()
        if bars.live.is_started:  # a stop prints an empty line even when nothing was shown
            bars.stop()
