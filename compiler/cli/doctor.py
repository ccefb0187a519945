"""`edgec doctor`: what this machine lacks, and the command that mends it."""

from dataclasses import asdict
from typing import TYPE_CHECKING

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from .console import Json, Verbose, emit, plain, progress

if TYPE_CHECKING:
    from ..environment import Check


def doctor_command(json: Json = False, verbose: Verbose = False) -> None:
    """Check that this machine can compile and run, and print the command that fixes what it can't.

    [bold]Example[/bold]: edgec doctor
    """
    from ..environment import checks

    results: list[Check] = []
    with progress() as report:
        for check in checks():
            results.append(check)
            report("checking", len(results), 0)
    emit([asdict(check) for check in results], lambda: Group(*map(_render, results)))
    if any(r.required and not r.ok for r in results):
        raise typer.Exit(2)


def _render(check: "Check") -> RenderableType:
    word, style = ("ok  ", "green") if check.ok else ("FAIL", "bold red") if check.required else ("none", "yellow")
    text = Text.assemble((word, style), f"  {check.name}: {plain(check.found)}")
    return Text.assemble(text, "\n      fix: ", (check.fix, "bold")) if check.fix else text
