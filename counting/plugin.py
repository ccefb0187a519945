"""Building `plugin.c` for this machine's qemu, once."""

import hashlib
import platform
import re
import subprocess
from functools import cache
from pathlib import Path

from ..compiler.bundle.toolchain import run_zig, toolchain_version
from ..compiler.cache import cache_dir, folder_beside
from ..errors import EdgeError

SOURCE = Path(__file__).with_name("plugin.c")
_CFLAGS = (
    *("-std=c11", "-D_GNU_SOURCE", "-O2", "-Wall", "-Wextra", "-Werror", "-fPIC", "-fvisibility=hidden", "-g0"),
    "-fno-sanitize=undefined",
)
_EMULATIONS = {"x86_64": "elf_x86_64", "aarch64": "aarch64linux"}


@cache
def build_plugin(qemu: str) -> Path:
    """The plugin as a shared library for the qemu program at `qemu`. It takes libc's functions and qemu's from the
    process that loads it, so nothing but the C compiler is needed. EdgeError where qemu takes no such plugin."""
    version, machine = _plugin_version(qemu), platform.machine().lower().replace("amd64", "x86_64")
    if machine not in _EMULATIONS:
        raise EdgeError(f"counting works on {' and '.join(_EMULATIONS)} machines, but this one is {machine}")
    flags = ("-target", f"{machine}-linux-gnu.2.28", *_CFLAGS, f"-DPLUGIN_VERSION={version}")
    key = hashlib.sha256(repr((toolchain_version(), flags)).encode() + SOURCE.read_bytes()).hexdigest()[:16]
    path = cache_dir() / "counting" / f"{machine}-{key}.so"
    if not path.is_file():
        with folder_beside(path) as folder:
            run_zig(["cc", *flags, "-c", str(SOURCE), "-o", "plugin.o"], folder)
            run_zig(["ld.lld", "-m", _EMULATIONS[machine], "-shared", "-s", "plugin.o", "-o", "plugin.so"], folder)
            (folder / "plugin.so").rename(path)
    return path


def _plugin_version(qemu: str) -> int:
    """Of qemu's plugin interface: qemu loads plugins of the versions that it still supports."""
    said = subprocess.run([qemu, "--version"], capture_output=True, text=True, check=False).stdout
    found = re.search(r"version (\d+)\.(\d+)", said)
    if not found or (int(found[1]), int(found[2])) < (4, 2):
        raise EdgeError(f"counting needs qemu-aarch64 4.2 or newer; {qemu} is {said.strip() or 'of unknown version'}")
    return 1 if int(found[1]) < 9 else 2
