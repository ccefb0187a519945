"""The user's cache of what is the same in many compiles. Files in it appear whole or not at all."""

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from platformdirs import user_cache_dir

from ..errors import EdgeError

_DIGEST_BYTES = 32


def cache_dir() -> Path:
    """The cache's folder: $EDGEC_CACHE_DIR, or that of the user's cache directory."""
    return Path(os.environ.get("EDGEC_CACHE_DIR") or user_cache_dir("edgec")).absolute()


def read(path: Path) -> bytes | None:
    """What `write` left in a file of the cache; None where there is no such file, or it has been damaged since."""
    if not path.is_file():
        return None
    stored = path.read_bytes()
    data = stored[_DIGEST_BYTES:]
    return data if hashlib.sha256(data).digest() == stored[:_DIGEST_BYTES] else None


def write(path: Path, data: bytes) -> None:
    """Keep `data` in a file of the cache, behind its hash; EdgeError when the disk refuses. Other processes may be
    writing the same file."""
    with folder_beside(path) as folder:
        temporary = folder / path.name
        temporary.write_bytes(hashlib.sha256(data).digest() + data)
        os.replace(temporary, path)


@contextmanager
def folder_beside(path: Path) -> Iterator[Path]:
    """A temporary folder from which something is renamed to `path`; EdgeError when the disk refuses."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".", dir=path.parent) as name:
            yield Path(name)
    except OSError as error:
        raise EdgeError(
            f"the cache folder {cache_dir()} cannot be written ({error.strerror}); make room, or set "
            "EDGEC_CACHE_DIR to one that can"
        ) from error
