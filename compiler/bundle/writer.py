"""Writing a bundle: a directory that appears whole or not at all."""

import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from ...errors import EdgeError
from .manifest import MANIFEST, RUNNER, FileInfo, Manifest, to_json


def write_bundle(path: Path, files: Mapping[str, bytes], manifest: Manifest) -> Manifest:
    """Write `files` (name -> content) and the manifest to the directory `path`; return the manifest with hashes.

    The directory is made beside `path` and renamed into place, so nobody sees half of it. An earlier bundle at
    `path` is replaced, anything else there is left alone. Equal arguments give equal bytes.
    EdgeError when `path` is taken by something else, or the disk refuses (full, read-only, no permission).
    """
    infos = {name: FileInfo(hashlib.sha256(data).hexdigest(), len(data)) for name, data in sorted(files.items())}
    complete = replace(manifest, files=infos)
    path = Path(os.path.abspath(path))
    check_place(path)
    staging = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        staging.mkdir()
        for name, data in {**files, MANIFEST: to_json(complete).encode()}.items():
            _write(staging / name, data)
        _sync_directory(staging)
        _swap_in(staging, path)
    except OSError as error:
        raise _refused(path, f"{error.strerror}; make room or") from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return complete


def default_place(model: str | Path) -> Path:
    """Where the bundle of the file `model` is written if nobody says otherwise: <model>.edge in this folder."""
    return Path(f"{Path(model).stem or 'model'}.edge")


def check_place(path: Path) -> None:
    """EdgeError unless a bundle can be written to `path`, as far as can be said before it is there."""
    path = Path(os.path.abspath(path))
    parent = next(p for p in path.parents if os.path.lexists(p))
    if not parent.is_dir():
        raise _refused(path, f"{parent} is not a folder;")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise _refused(path, f"nothing may be written to {parent};")
    if not os.path.lexists(path) or _is_bundle(path):
        return
    if path.is_dir() and not path.is_symlink() and not any(path.iterdir()):
        return
    raise EdgeError(f"{path} exists and is not a bundle, so it is not replaced; choose another place with -o")


def _refused(path: Path, why: str) -> EdgeError:
    return EdgeError(f"the bundle {path} cannot be written: {why} choose another place with -o")


def _is_bundle(path: Path) -> bool:
    """Whether all that a replacement would delete is a bundle's own, of whatever format version."""
    try:
        manifest = json.loads((path / MANIFEST).read_bytes())
        return set(os.listdir(path)) <= {MANIFEST, *manifest["files"]} and "edgec" in manifest
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return False


def _write(path: Path, data: bytes) -> None:
    mode = 0o755 if path.name == RUNNER else 0o644
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _swap_in(staging: Path, path: Path) -> None:
    """Rename `staging` to `path`; what was there before comes back if that fails."""
    old = staging.with_name(f"{staging.name}.old")
    had_old = os.path.lexists(path)
    if had_old:
        os.rename(path, old)
    try:
        os.rename(staging, path)
    except OSError:
        if had_old:
            os.rename(old, path)
        raise
    _sync_directory(path.parent)
    shutil.rmtree(old, ignore_errors=True)


def _sync_directory(path: Path) -> None:
    """Make renames and new names in a directory survive a power cut."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
