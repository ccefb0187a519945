"""`NAME=VALUE` arguments."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import typer


def shapes(texts: Iterable[str]) -> Mapping[str, tuple[int, ...]]:
    """`["x=1,3,480,640"]` -> `{"x": (1, 3, 480, 640)}`; typer.BadParameter for anything else."""
    table: dict[str, tuple[int, ...]] = {}
    for text in texts:
        name, _, extents = text.rpartition("=")
        try:
            shape = tuple(int(e) for e in extents.split(","))
        except ValueError:
            shape = ()
        if not name or not shape or any(not 0 < e < 2**31 for e in shape):
            raise typer.BadParameter(f"{text!r} is not NAME=D0,D1,... with positive extents, as in x=1,3,480,640")
        table[name] = shape
    return table


def files(texts: Iterable[str]) -> Mapping[str, Path]:
    """`["x=x.npy"]` -> `{"x": Path("x.npy")}`; typer.BadParameter for anything else."""
    table: dict[str, Path] = {}
    for text in texts:
        name, _, path = text.partition("=")
        if not name or not path:
            raise typer.BadParameter(f"{text!r} is not NAME=FILE, as in x=x.npy")
        table[name] = Path(path)
    return table
