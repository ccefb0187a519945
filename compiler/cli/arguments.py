"""`NAME=VALUE` arguments."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from ...errors import EdgeError

if TYPE_CHECKING:
    from ..importer import Constant


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


def states(texts: Iterable[str]) -> Mapping[str, str]:
    """`["h=hn"]` -> `{"h": "hn"}`; typer.BadParameter for anything else."""
    table: dict[str, str] = {}
    for text in texts:
        name, _, output = text.partition("=")
        if not name or not output or name in table:
            raise typer.BadParameter(f"{text!r} is not INPUT=OUTPUT, each input once, as in state=stateN")
        table[name] = output
    return table


def constants(texts: Iterable[str]) -> Mapping[str, "Constant"]:
    """`["axes=0,-1", "w=w.npy"]` -> `{"axes": [0, -1], "w": array}`; typer.BadParameter for anything else."""
    table: dict[str, Constant] = {}
    for text in texts:
        name, _, value = text.rpartition("=")
        try:
            table[name] = array(Path(value)) if value.endswith(".npy") else [_number(v) for v in value.split(",")]
        except ValueError:
            name = ""
        if not name:
            raise typer.BadParameter(f"{text!r} is not NAME=V0,V1,... or NAME=FILE.npy, as in axes=0,-1")
    return table


def array(path: Path) -> Any:
    """The array in a .npy file; EdgeError for what is none."""
    import numpy as np

    try:
        return np.load(path, allow_pickle=False, mmap_mode="r")
    except OSError as error:
        raise EdgeError(f"the input {path} cannot be read: {error.strerror or error}") from error
    except (ValueError, EOFError) as error:
        raise EdgeError(f"the input {path} is not a .npy file ({error}); write it with numpy.save") from error


def _number(text: str) -> float:
    truths = {"true": True, "false": False}
    if text.lower() in truths:
        return truths[text.lower()]
    return int(text) if text.lstrip("+-").isdigit() else float(text)
