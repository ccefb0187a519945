"""C for tests: the native runtime by gcc, which has the sanitizers; C++ and arm64 by zig, which needs nothing else."""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

import ziglang

from edgec.compiler.bundle import toolchain
from edgec.compiler.cache import cache_dir

ADDRESS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")
THREAD = ("-fsanitize=thread",)

ARM64 = "aarch64-linux-gnu"
ARM64_LIBC = Path("/usr") / ARM64 / "lib" / "libc.so.6"
"""Of Debian's libc6-arm64-cross: what arm64 programs that are not static run on under qemu."""

_ZIG = Path(ziglang.__file__).with_name("zig")

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


def zig(*arguments: object) -> None:
    """Runs zig. What it builds of libcs for its first arm64 program takes half a minute, so that is kept."""
    caches = dict.fromkeys(("ZIG_GLOBAL_CACHE_DIR", "ZIG_LOCAL_CACHE_DIR"), str(cache_dir() / "zig"))
    command = [str(_ZIG), *map(str, arguments)]
    done = subprocess.run(command, env={**os.environ, **caches}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def compile_cplusplus(source: str, path: Path, *flags: object) -> None:
    """Compiles C++ with all warnings to `path`.o, without a library: what a header's users do."""
    path.write_text(source)
    zig("c++", "-target", "x86_64-linux-gnu", "-Wall", "-Wextra", "-Werror", *flags, "-c", path, "-o", f"{path}.o")


def run(program: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Runs a program. TSan of older compilers cannot cope with the kernel's newer address randomisation."""
    command = ["setarch", "-R", str(program), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
