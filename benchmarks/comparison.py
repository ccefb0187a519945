"""What the commands that compare engines have in common: the forms in which they print their rows."""

import json
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any, TypeVar

from rich.console import Console
from rich.table import Table

from .peers.compared import Compared, reasons

_Row = TypeVar("_Row", bound=Compared[Any])


def add_forms(parser: ArgumentParser, markdown: str) -> None:
    """The options --json and --markdown; `markdown` says what the latter prints."""
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--markdown", action="store_true", help=f"print {markdown}")


def show(
    options: Namespace, rows: Sequence[_Row], table: Callable[[Sequence[_Row]], Table],
    markdown: Callable[[Sequence[_Row]], str],
) -> None:  # fmt: skip
    """Print the rows in the form that the options name, or as a table and why what is not in it was left out."""
    if options.json:
        print(json.dumps(rows, default=asdict, indent=2))
    elif options.markdown:
        print(markdown(rows))
    else:
        console = Console(width=130)
        console.print(table(rows))
        console.print(*reasons(rows), sep="\n", soft_wrap=True, markup=False)
