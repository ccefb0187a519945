"""NAME=VALUE arguments."""

from pathlib import Path

import pytest
import typer

from edgec.compiler.cli import arguments


def test_shapes() -> None:
    assert arguments.shapes(["x=1,3,480,640", "a=b=7"]) == {"x": (1, 3, 480, 640), "a=b": (7,)}


@pytest.mark.parametrize("text", ["", "x", "x=", "=1", "x=1,", "x=a", "x=0", "x=-1", "x=1.5", f"x={2**31}"])
def test_what_is_no_shape(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="as in x=1,3,480,640"):
        arguments.shapes([text])


def test_files() -> None:
    assert arguments.files(["x=a/b=c.npy"]) == {"x": Path("a/b=c.npy")}


@pytest.mark.parametrize("text", ["", "x", "x=", "=x.npy"])
def test_what_is_no_file(text: str) -> None:
    with pytest.raises(typer.BadParameter, match=r"as in x=x\.npy"):
        arguments.files([text])
