"""`NAME=VALUE` arguments."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from ...errors import EdgeError

if TYPE_CHECKING:
    from ..importer import Constant


_EXTENT = re.compile(r"(?:(?P<name>[A-Za-z_]\w*)(?::|$))?(?:(?P<low>\d+)(?:\.\.(?P<high>\d+)(?:/(?P<step>\d+))?)?)?")


def shapes(texts: Iterable[str]) -> Mapping[str, tuple[int, ...]]:
    """`["x=1,3,480,640"]` -> `{"x": (1, 3, 480, 640)}`; typer.BadParameter for anything else.

    An extent may be a range, LOW..HIGH or LOW..HIGH/STEP, and have a name, NAME:LOW..HIGH, which stands for the same
    extent elsewhere: these become `ir.extent.Extent`s.
    """
    inputs: dict[str, list[re.Match[str]]] = {}
    for text in texts:
        name, _, extents = text.rpartition("=")
        found = [_EXTENT.fullmatch(e) for e in extents.split(",")]
        matches = [m for m in found if m and (m["name"] or m["low"])]
        if not name or len(matches) != len(found):
            raise _no_shape(text)
        _once(inputs, name, text)
        inputs[name] = matches
    symbols = _symbols(m for matches in inputs.values() for m in matches if m["name"] and m["low"])
    return {
        name: tuple(_extent(f"{name}_{axis}", m, symbols) for axis, m in enumerate(matches))
        for name, matches in inputs.items()
    }


def _no_shape(text: str) -> typer.BadParameter:
    return typer.BadParameter(
        f"{text!r} is not NAME=D0,D1,... with positive extents, as in x=1,3,480,640, or ranges, as in "
        "x=1..8,3,48,W:32..640/32"
    )


def _symbols(definitions: Iterable[re.Match[str]]) -> Mapping[str, int]:
    """The named extents."""
    texts: dict[str, str] = {}
    symbols = {}
    for definition in definitions:
        name, text = definition["name"], definition.string
        if texts.setdefault(name, text) != text:
            raise typer.BadParameter(f"the extent {name} is defined twice, as {texts[name]} and as {text}")
        symbols[name] = _range(name, definition)
    return symbols


def _extent(default: str, match: re.Match[str], symbols: Mapping[str, int]) -> int:
    if not match["name"]:
        return _range(re.sub(r"\W", "_", default), match)
    if match["name"] not in symbols:
        raise typer.BadParameter(f"the extent {match['name']} has no range; define it once, as in W:32..640/32")
    return symbols[match["name"]]


def _range(name: str, match: re.Match[str]) -> int:
    from ..ir.extent import symbol

    low, high, step = int(match["low"]), int(match["high"] or match["low"]), int(match["step"] or 1)
    if not (0 < low <= high < 2**31 and step > 0):
        raise typer.BadParameter(
            f"{match.string!r} is not an extent from 1 to {2**31 - 1}, or a range of such, as in x=1,3,480,640 or "
            "x=1..8,3,48,W:32..640/32"
        )
    last = high - (high - low) % step
    return low if last == low else symbol(name, low, last, step)


def files(texts: Iterable[str]) -> Mapping[str, Path]:
    """`["x=x.npy"]` -> `{"x": Path("x.npy")}`; typer.BadParameter for anything else."""
    table: dict[str, Path] = {}
    for text in texts:
        name, _, path = text.partition("=")
        if not name or not path:
            raise typer.BadParameter(f"{text!r} is not NAME=FILE, as in x=x.npy")
        _once(table, name, text)
        table[name] = Path(path)
    return table


def states(texts: Iterable[str]) -> Mapping[str, str]:
    """`["h=hn"]` -> `{"h": "hn"}`; typer.BadParameter for anything else."""
    table: dict[str, str] = {}
    for text in texts:
        name, _, output = text.partition("=")
        if not name or not output:
            raise typer.BadParameter(f"{text!r} is not INPUT=OUTPUT, as in state=stateN")
        _once(table, name, text)
        table[name] = output
    return table


def constants(texts: Iterable[str]) -> Mapping[str, "Constant"]:
    """`["axes=0,-1", "w=w.npy"]` -> `{"axes": [0, -1], "w": array}`; typer.BadParameter for anything else."""
    table: dict[str, Constant] = {}
    for text in texts:
        name, _, value = text.rpartition("=")
        _once(table, name, text)
        try:
            table[name] = array(Path(value)) if value.endswith(".npy") else [_number(v) for v in value.split(",")]
        except ValueError:
            name = ""
        if not name:
            raise typer.BadParameter(f"{text!r} is not NAME=V0,V1,... or NAME=FILE.npy, as in axes=0,-1")
    return table


def _once(table: Mapping[str, object], name: str, text: str) -> None:
    """typer.BadParameter for a name that came before: only one of the values could count."""
    if name in table:
        raise typer.BadParameter(f"{text!r} names {name} again; give each name once")


def array(path: Path) -> Any:
    """The array in a .npy file; EdgeError for what is none."""
    import numpy as np

    if path.exists() and not path.is_file():
        raise EdgeError(f"the input {path} cannot be read: it is not a regular file")
    try:
        with path.open("rb") as file:
            np.lib.format.read_magic(file)
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
