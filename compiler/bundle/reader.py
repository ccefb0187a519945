"""Opening a bundle: nothing in it is used before all of it is checked against its manifest."""

import hashlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from ...errors import EdgeError
from . import elf
from .manifest import MANIFEST, RUNNER, RUNTIME_HEADER, WEIGHTS, FileInfo, Manifest, from_json

MAX_MANIFEST_BYTES = 32 << 20


@dataclass(frozen=True)
class Bundle:
    """A bundle on disk whose files are what its manifest says."""

    path: Path
    manifest: Manifest

    @property
    def library(self) -> Path:
        """The shared library for Linux: kernels, plan and runtime."""
        return self.path / self.manifest.library

    def library_code(self) -> bytes:
        """The content of `library`, found to be right in memory, where nobody changes it before it is used."""
        code = self.library.read_bytes()
        if hashlib.sha256(code).hexdigest() != self.manifest.files[self.manifest.library].sha256:
            raise _damaged(self.library)
        return code

    @property
    def weights(self) -> Path:
        """The packed weights, page-aligned when mapped."""
        return self.path / WEIGHTS

    @property
    def runner(self) -> Path:
        """The static program that runs the model without a C library."""
        return self.path / RUNNER


def open_bundle(path: Path) -> Bundle:
    """Open and check the bundle at `path`: manifest, exact set of files, sizes, hashes, ELF machine.

    EdgeError when anything differs; nothing is executed and no file is read past its stated size.
    """
    path = Path(path)
    if not (path / MANIFEST).is_file():
        raise EdgeError(f"{path} is not a bundle (it has no {MANIFEST}); make one with 'edgec compile MODEL.onnx'")
    try:
        manifest = from_json(_read_manifest(path / MANIFEST), str(path / MANIFEST))
        _check_names(path, manifest)
        for name, info in manifest.files.items():
            _check_file(path / name, info)
        for name in (*manifest.libraries, RUNNER):
            with open(path / name, "rb") as file:
                elf.check(file.read(elf.HEADER_BYTES), manifest.target.arch, str(path / name))
    except OSError as error:
        raise EdgeError(f"the bundle {path} cannot be read: {error.strerror} ({error.filename})") from error
    return Bundle(path, manifest)


def _read_manifest(path: Path) -> str:
    with open(path, "rb") as file:
        data = file.read(MAX_MANIFEST_BYTES + 1)
    if len(data) > MAX_MANIFEST_BYTES:
        raise EdgeError(f"{path} is larger than {MAX_MANIFEST_BYTES} bytes, which no manifest is")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise EdgeError(f"{path} is not UTF-8 text; the bundle is damaged, compile the model again") from error


def _check_names(path: Path, manifest: Manifest) -> None:
    stated = {MANIFEST, *manifest.files}
    if missing := {*manifest.libraries, manifest.header, RUNTIME_HEADER, WEIGHTS, RUNNER} - stated:
        raise EdgeError(f"{path / MANIFEST} does not list {min(missing)}; compile the model again")
    present = set(os.listdir(path))
    if missing := stated - present:
        raise EdgeError(f"the bundle {path} lacks its file {min(missing)}; copy it again, or compile the model again")
    if extra := present - stated:
        raise EdgeError(f"the bundle {path} holds a file that is not its own, {min(extra)!r}; remove it")


def _check_file(path: Path, info: FileInfo) -> None:
    """Regular file, exact size, right hash. Opened without following links and without waiting on pipes."""
    with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode) or status.st_size != info.bytes:
            raise EdgeError(f"{path} is not the file of {info.bytes} bytes that the manifest states; copy it again")
        if hashlib.file_digest(file, "sha256").hexdigest() != info.sha256:
            raise _damaged(path)


def _damaged(path: Path) -> EdgeError:
    return EdgeError(f"{path} is damaged (its hash is not the one in the manifest); copy it again")
