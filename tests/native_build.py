"""The native runtime built by gcc, which has the sanitizers, with a test's own main()."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

from edgec.compiler.bundle import toolchain

ADDRESS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")
THREAD = ("-fsanitize=thread",)

_PLATFORMS = {"posix": ("platform_raw", "freestanding"), "raw": ("platform_posix", "freestanding")}
"""Platform -> sources of the runtime that it does without."""


def build(output: Path, files: Sequence[Path], flags: Sequence[str], platform: str = "posix") -> Path:
    """An executable from the runtime and C sources or objects; the flags are for all of the sources."""
    native = toolchain.NATIVE
    runtime = [path for path in (native / "src").glob("*.c") if path.stem not in _PLATFORMS[platform]]
    command = ["gcc", "-std=gnu11", "-O1", "-g", "-Wall", "-Wextra", "-Werror", "-pthread", *flags]
    command += [f"-I{native / 'include'}", f"-I{native / 'src'}", *map(str, (*files, *runtime)), "-o", str(output)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return output


def run(program: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Runs a program. TSan of older compilers cannot cope with the kernel's newer address randomisation."""
    command = ["setarch", "-R", str(program), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
