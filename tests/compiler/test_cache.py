"""The cache gives back what was written, or nothing."""

import os
from pathlib import Path

import pytest

from edgec.compiler import cache
from edgec.errors import EdgeError


def test_gives_back_what_was_written(tmp_path: Path) -> None:
    path = tmp_path / "kernels" / "a.o"
    assert cache.read(path) is None
    for data in (b"code", b"", b"other"):
        cache.write(path, data)
        assert cache.read(path) == data
    assert os.listdir(path.parent) == ["a.o"]


@pytest.mark.parametrize("damage", [lambda b: b[:-1], lambda b: b"", lambda b: b + b"\0", lambda b: b"\1" + b[1:]])
def test_gives_nothing_back_of_a_damaged_file(tmp_path: Path, damage) -> None:
    path = tmp_path / "a.o"
    cache.write(path, b"code" * 100)
    path.write_bytes(damage(path.read_bytes()))
    assert cache.read(path) is None


def test_a_full_disk_is_an_error_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Path, data: bytes) -> int:
        with open(self, "wb") as file:
            file.write(data[:10])
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(EdgeError, match=r"cannot be written \(No space left on device\); make room, or set"):
        cache.write(tmp_path / "a.o", b"code" * 100)
    assert os.listdir(tmp_path) == []


def test_a_folder_that_is_a_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "kernels").write_text("")
    with pytest.raises(EdgeError, match="set EDGEC_CACHE_DIR to one that can"):
        cache.write(tmp_path / "kernels" / "a.o", b"code")
