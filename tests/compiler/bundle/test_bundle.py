"""Bundles are written whole or not at all, and opened only when every byte is the one that was written."""

import os
import struct
from pathlib import Path

import pytest

from edgec.compiler.bundle import writer
from edgec.compiler.bundle.manifest import Manifest, Memory, Target, Tensor, Variant
from edgec.compiler.bundle.reader import open_bundle
from edgec.compiler.bundle.writer import write_bundle
from edgec.errors import EdgeError


def _elf(kind: int, machine: int) -> bytes:
    return b"\x7fELF\x02\x01\x01".ljust(16, b"\0") + struct.pack("<HH", kind, machine) + bytes(200)


MANIFEST = Manifest(
    model="tiny",
    edgec="0.1.0",
    tools={},
    target=Target("arm64-neon", "aarch64-linux-android", "aarch64", (Variant("v8_0", ()),)),
    precision="float32",
    inputs=(Tensor("x", (1, 4), "float32"),),
    outputs=(Tensor("y", (1, 4), "float32"),),
    memory=Memory.of(64, 4096, 100),
    code_bytes=216,
    macs=0,
    steps=(),
)
FILES = {
    "libtiny.so": _elf(3, 183),
    "run": _elf(2, 183),
    "tiny.h": b"/* header */\n",
    "edge.h": b"/* api */\n",
    "weights.bin": bytes(4096),
}


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.edge"
    write_bundle(path, FILES, MANIFEST)
    return path


def _content(path: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in path.iterdir()}


def test_what_was_written_opens(bundle: Path) -> None:
    opened = open_bundle(bundle)
    assert opened.manifest.memory == MANIFEST.memory
    assert set(opened.manifest.files) == set(FILES)
    assert opened.library.read_bytes() == FILES["libtiny.so"]
    assert opened.weights.stat().st_size == 4096
    assert os.access(opened.runner, os.X_OK) and not os.access(opened.library, os.X_OK)


def test_equal_arguments_give_equal_bytes(bundle: Path, tmp_path: Path) -> None:
    write_bundle(tmp_path / "again.edge", dict(reversed(FILES.items())), MANIFEST)
    assert _content(bundle) == _content(tmp_path / "again.edge")


def test_replaces_a_bundle(bundle: Path) -> None:
    write_bundle(bundle, {**FILES, "tiny.h": b"new"}, MANIFEST)
    assert (open_bundle(bundle).path / "tiny.h").read_bytes() == b"new"
    assert [p.name for p in bundle.parent.iterdir()] == ["tiny.edge"]


def test_replaces_an_empty_directory(tmp_path: Path) -> None:
    (tmp_path / "m.edge").mkdir()
    write_bundle(tmp_path / "m.edge", FILES, MANIFEST)
    open_bundle(tmp_path / "m.edge")


@pytest.mark.parametrize("manifest", [None, "{}", '{"files": {}}', '{"edgec": "1", "files": {}}', "[" * 100_000])
def test_never_replaces_what_is_not_a_bundle(tmp_path: Path, manifest: str | None) -> None:
    thesis = tmp_path / "work" / "thesis.tex"
    thesis.parent.mkdir()
    thesis.write_text("ten years")
    if manifest is not None:
        (thesis.parent / "manifest.json").write_text(manifest)
    with pytest.raises(EdgeError, match="not a bundle"):
        write_bundle(thesis.parent, FILES, MANIFEST)
    with pytest.raises(EdgeError, match="not a bundle"):
        write_bundle(thesis, FILES, MANIFEST)
    assert thesis.read_text() == "ten years"


@pytest.mark.parametrize("failing", ["_write", "_sync_directory"])
def test_a_full_disk_leaves_the_old_bundle_and_nothing_else(
    bundle: Path, failing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = _content(bundle)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(writer, failing, full)
    with pytest.raises(EdgeError, match="No space left on device"):
        write_bundle(bundle, {**FILES, "tiny.h": b"new"}, MANIFEST)
    assert _content(bundle) == before
    assert [p.name for p in bundle.parent.iterdir()] == ["tiny.edge"]


def test_a_failing_rename_brings_the_old_bundle_back(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before, rename = _content(bundle), os.rename

    def second_fails(source: Path, target: Path) -> None:
        if Path(target) == bundle and not str(source).endswith(".old"):
            raise OSError(5, "Input/output error")
        rename(source, target)

    monkeypatch.setattr(os, "rename", second_fails)
    with pytest.raises(EdgeError, match="Input/output error"):
        write_bundle(bundle, {**FILES, "tiny.h": b"new"}, MANIFEST)
    assert _content(bundle) == before


def test_the_parent_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EdgeError, match="cannot be written"):
        write_bundle(tmp_path / "file" / "m.edge", FILES, MANIFEST)


@pytest.mark.parametrize("name", sorted(FILES))
def test_any_changed_byte_is_found(bundle: Path, name: str) -> None:
    data = bytearray((bundle / name).read_bytes())
    data[len(data) // 2 : len(data) // 2 + 1] = b"\xff"
    (bundle / name).write_bytes(data)
    with pytest.raises(EdgeError, match="damaged"):
        open_bundle(bundle)


@pytest.mark.parametrize("name", sorted(FILES))
def test_truncated_missing_and_linked_files_are_found(bundle: Path, name: str) -> None:
    data = (bundle / name).read_bytes()
    (bundle / name).write_bytes(data[:-1])
    with pytest.raises(EdgeError, match="bytes that the manifest states"):
        open_bundle(bundle)
    (bundle / name).unlink()
    with pytest.raises(EdgeError, match=f"lacks its file {name}"):
        open_bundle(bundle)
    (bundle.parent / "elsewhere").write_bytes(data)
    (bundle / name).symlink_to(bundle.parent / "elsewhere")
    with pytest.raises(EdgeError, match="cannot be read"):
        open_bundle(bundle)
    (bundle / name).unlink()
    os.mkfifo(bundle / name)
    with pytest.raises(EdgeError):
        open_bundle(bundle)


def test_a_file_too_many_is_found(bundle: Path) -> None:
    (bundle / "libevil.so").write_bytes(b"")
    with pytest.raises(EdgeError, match=r"not its own, 'libevil.so'"):
        open_bundle(bundle)


@pytest.mark.parametrize("path", ["", "nowhere", "libtiny.so"])
def test_no_bundle_at_all(bundle: Path, path: str) -> None:
    with pytest.raises(EdgeError, match="not a bundle"):
        open_bundle(bundle.parent / path if path != "libtiny.so" else bundle / path)


@pytest.mark.parametrize(
    ("library", "said"),
    [
        (_elf(3, 62), "machine 62, not aarch64"),
        (_elf(1, 183), "ELF type 1"),
        (b"MZ", "not a 64-bit"),
        (b"", "not a 64-bit"),
    ],
)
def test_code_for_another_machine_is_refused(tmp_path: Path, library: bytes, said: str) -> None:
    write_bundle(tmp_path / "m.edge", {**FILES, "libtiny.so": library}, MANIFEST)
    with pytest.raises(EdgeError, match=said):
        open_bundle(tmp_path / "m.edge")


def test_an_unlisted_role_is_refused(tmp_path: Path) -> None:
    write_bundle(tmp_path / "m.edge", {n: d for n, d in FILES.items() if n != "run"}, MANIFEST)
    with pytest.raises(EdgeError, match="does not list run"):
        open_bundle(tmp_path / "m.edge")
