"""A bundle's shared library in this process."""

import ctypes as c
import fcntl
import os
import threading

from ...errors import EdgeError
from .abi import declare

_dlclose = c.CDLL(None).dlclose
_dlclose.argtypes = (c.c_void_p,)


class Library:
    """A bundle's library in this process, for as long as somebody uses it.

    It is loaded from memory of its own: what was checked is what runs, whatever happens to the file meanwhile, and two
    libraries never are taken for one, as dlopen does with a path that it has seen before.
    """

    def __init__(self, code: bytes, source: str) -> None:
        self._users = 1
        self._lock = threading.Lock()
        # Open until the code is gone: its number names the library, and must not come to name another one.
        self._file = _sealed(code, source)
        try:
            self.calls = c.CDLL(f"/proc/self/fd/{self._file}")
        except OSError as error:
            os.close(self._file)
            raise EdgeError(f"{source} cannot be loaded here ({error}); is the bundle for this machine?") from None
        try:
            declare(self.calls, source)
        except EdgeError:
            self.release()
            raise

    def retain(self) -> None:
        """One more user, who will call `release`."""
        with self._lock:
            self._users += 1

    def release(self) -> None:
        """One user less; the last one unloads the code."""
        with self._lock:
            self._users -= 1
            if self._users == 0:
                _dlclose(self.calls._handle)
                os.close(self._file)


def _sealed(code: bytes, source: str) -> int:
    """The descriptor of a file in memory that holds `code` and can no longer change."""
    try:
        with open(os.memfd_create("edgec", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING), "wb") as memory:
            memory.write(code)
            memory.flush()
            file = os.dup(memory.fileno())
    except OSError as error:
        raise EdgeError(f"{source} cannot be loaded: the system gives no memory for it ({error.strerror})") from None
    fcntl.fcntl(file, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW)
    return file
