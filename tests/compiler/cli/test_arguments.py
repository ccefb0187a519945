"""NAME=VALUE arguments."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import typer

from edgec import EdgeError
from edgec.compiler.cli import arguments
from edgec.compiler.ir.extent import Symbol, term_of


def test_shapes() -> None:
    assert arguments.shapes(["x=1,3,480,640", "a=b=7"]) == {"x": (1, 3, 480, 640), "a=b": (7,)}


def test_ranges() -> None:
    table = arguments.shapes(["x=1..8,3,H:32..650/32,W", "y.in=2..4,W:16..64/16,7..7"])
    batch, channels, height, width = table["x"]
    assert [term_of(e) for e in table["x"]] == [
        Symbol("x_0", 1, 8), 3, Symbol("H", 32, 640, 32), Symbol("W", 16, 64, 16),
    ]  # fmt: skip
    assert [int(e) for e in (batch, channels, height, width)] == [8, 3, 640, 64]
    assert table["y.in"][1] == width
    assert [term_of(e) for e in table["y.in"]] == [Symbol("y_in_0", 2, 4), Symbol("W", 16, 64, 16), 7]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("x=1,W", "the extent W has no range"),
        ("x=W:1..2,W:1..3", r"defined twice, as W:1\.\.2 and as W:1\.\.3"),
        ("x=4..2", "4..2' is not"),
        ("x=1..8/0", "is not"),
        ("x=0..8", "is not"),
        ("x=1...8", "is not"),
        ("x=W:", "is not|no range"),
        ("x=1..8/", "is not"),
        ("x=1..4294967296", "is not"),
    ],
)
def test_what_is_no_range(text: str, problem: str) -> None:
    with pytest.raises(typer.BadParameter, match=problem):
        arguments.shapes([text])


@pytest.mark.parametrize("text", ["", "x", "x=", "=1", "x=1,", "x=a b", "x=0", "x=-1", "x=1.5", f"x={2**31}"])
def test_what_is_no_shape(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="as in x=1,3,480,640"):
        arguments.shapes([text])


def test_files() -> None:
    assert arguments.files(["x=a/b=c.npy"]) == {"x": Path("a/b=c.npy")}


@pytest.mark.parametrize("text", ["", "x", "x=", "=x.npy"])
def test_what_is_no_file(text: str) -> None:
    with pytest.raises(typer.BadParameter, match=r"as in x=x\.npy"):
        arguments.files([text])


def test_constants(tmp_path: Path) -> None:
    np.save(tmp_path / "w.npy", np.arange(3))
    found = arguments.constants(["axes=0,-1", "a=b=1.5e3", "flag=true", f"w={tmp_path}/w.npy"])
    assert np.array_equal(found["w"], [0, 1, 2])
    assert {k: v for k, v in found.items() if k != "w"} == {"axes": [0, -1], "a=b": [1500.0], "flag": [True]}


@pytest.mark.parametrize("text", ["", "x", "x=", "=1", "x=1,", "x=a", "x=w.txt"])
def test_what_is_no_constant(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="as in axes=0,-1"):
        arguments.constants([text])


def test_a_constant_without_its_file() -> None:
    with pytest.raises(EdgeError, match=r"none\.npy cannot be read"):
        arguments.constants(["x=none.npy"])


@pytest.mark.parametrize(
    ("read", "text"),
    [
        (arguments.shapes, "x=1"),
        (arguments.files, "x=x.npy"),
        (arguments.states, "x=y"),
        (arguments.constants, "x=1"),
    ],
)
def test_a_name_twice(read: Callable[[list[str]], object], text: str) -> None:
    with pytest.raises(typer.BadParameter, match=f"'{text}' names x again"):
        read([text, text])
