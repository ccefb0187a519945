"""From C and kernel objects to the files of a bundle, with the clang and lld inside the `ziglang` wheel.

Everything is compiled freestanding: no libc is built (zig would take minutes for its first) and none is needed.

- **linux**: the library and the runner make system calls themselves (`platform_raw.c`). The library has no needed
  libraries and no undefined symbols, so one file loads into glibc and musl programs of any age.
- **android**: the library uses bionic's pthreads (`platform_posix.c`), the form that the system's debuggers and
  profilers understand. It links against a stub that only lists symbols, so no NDK is involved.

The runtime's objects are compiled once and kept in a cache, keyed by sources, flags and compiler version.
"""

import hashlib
import os
import platform
import re
import subprocess
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from ...errors import EdgeError
from .. import cache
from ..lower.weights import PAGE_SIZE

PACKAGE = Path(__file__).parents[2]
NATIVE = PACKAGE / "runtimes" / "native"

_COMMON = (
    "affinity",
    "bands",
    "cpu",
    "introspect",
    "memory",
    "model",
    "pool",
    "ports",
    "report",
    "session",
    "shapes",
    "states",
    "text",
    "unpack",
)
_RUNNER = ("arguments", "main", "output", "report", "start", "tensors")
_EMULATIONS = {"x86_64": "elf_x86_64", "aarch64": "aarch64linux", "riscv64": "elf64lriscv"}
_CFLAGS = (
    *("-std=c11", "-Os", "-Wall", "-Wextra", "-Werror", "-ffreestanding", "-nostdlib", "-nostdinc"),
    *("-fvisibility=hidden", "-ffunction-sections", "-fdata-sections", "-fno-ident", "-g0"),
    *("-fno-sanitize=undefined", "-fno-stack-protector", "-fno-unwind-tables", "-fno-asynchronous-unwind-tables"),
)
_FREESTANDING = ("-O2", "-fno-builtin", "-fno-vectorize", "-fno-unroll-loops")
_BIONIC = (
    *("clock_gettime", "close", "getauxval", "getpid", "lseek", "madvise", "mmap", "munmap", "open", "read", "syscall"),
    *("pthread_create", "pthread_join", "pthread_sigmask", "sched_getaffinity", "sched_getcpu"),
    "sched_setaffinity",
    *("memcmp", "memcpy", "memmove", "memset"),
)
"""What the Android library may take from libc.so."""


@dataclass(frozen=True)
class Triple:
    """A machine and a system that a bundle is linked for."""

    arch: str
    os: str = "linux"

    def __post_init__(self) -> None:
        if self.arch not in _EMULATIONS or self.os not in ("linux", "android"):
            raise EdgeError(f"cannot link for {self}; known are {', '.join(_EMULATIONS)} with -linux or -android")

    def __str__(self) -> str:
        return f"{self.arch}-{self.os}"

    @staticmethod
    def host() -> "Triple":
        """This machine."""
        arch = platform.machine().lower()
        return Triple({"amd64": "x86_64", "arm64": "aarch64"}.get(arch, arch))

    @property
    def _cflags(self) -> tuple[str, ...]:
        # The same code serves every Linux, Android included (whose shadow call stack owns x18). zig's android target
        # would call out-of-line atomics, which live in a compiler runtime that is not linked.
        aarch64 = ("-mcpu=generic-outline_atomics", "-ffixed-x18") if self.arch == "aarch64" else ()
        return ("-target", f"{self.arch}-linux-musl", *aarch64)


def compile_c(source: str, triple: Triple, position_independent: bool = True) -> bytes:
    """Compiles one C file that may include the runtime's headers."""
    with tempfile.TemporaryDirectory(prefix="edgec-") as folder:
        path = Path(folder) / "source.c"
        path.write_text(source, encoding="utf-8")
        return _compile(path, triple, position_independent).read_bytes()


def link_library(name: str, exports: Sequence[str], objects: Sequence[bytes], triple: Triple) -> bytes:
    """The shared library from the program's and the kernels' objects. `name` is its SONAME, which should be the name of
    its file; `exports` are its visible symbols (globs allowed)."""
    arguments = ["-shared", "-soname", name, "-Bsymbolic", "--version-script=exports"]
    arguments += ["-z", f"max-page-size={PAGE_SIZE}", "-z", "relro", "-z", "now", "-z", "text", "--hash-style=both"]
    arguments += ["--no-undefined", "--as-needed"]
    script = f"{{ global: {' '.join(f'{symbol};' for symbol in exports)} local: *; }};\n"
    return _link(triple, arguments, [*objects, *_runtime(triple, "library")], {"exports": script})


def link_runner(objects: Sequence[bytes], triple: Triple) -> bytes:
    """The static runner. It makes system calls only, so it is the same for linux and android."""
    linux = Triple(triple.arch)
    return _link(linux, ["-static", "-z", f"max-page-size={PAGE_SIZE}"], [*objects, *_runtime(linux, "runner")], {})


def toolchain_version() -> str:
    """Name and version of the compiler, for manifests and cache keys."""
    return f"ziglang {metadata.version('ziglang')}"


@lru_cache
def _zig() -> Path:
    spec = find_spec("ziglang")
    if spec is None or spec.origin is None:
        raise EdgeError("the C compiler of the ziglang package is missing; run: pip install ziglang")
    return Path(spec.origin).with_name("zig")


def run_zig(arguments: Sequence[str], cwd: Path) -> None:
    """Runs zig in a temporary folder; its own caches stay there too, for nothing in them would be used again."""
    caches = {name: str(cwd / ".zig") for name in ("ZIG_GLOBAL_CACHE_DIR", "ZIG_LOCAL_CACHE_DIR")}
    command, environment = [str(_zig()), *arguments], {**os.environ, **caches}
    try:
        done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    except OSError as error:
        raise EdgeError(f"the C compiler {_zig()} cannot be started ({error.strerror}); 'edgec doctor' helps") from None
    if done.returncode == 0:
        return
    if missing := sorted(set(re.findall(r"undefined symbol: (\S+)", done.stderr))):
        raise EdgeError(
            f"the kernels call {', '.join(missing)}, but a bundle has no C library: "
            "only memcpy, memmove, memset and memcmp may be called"
        )
    raise EdgeError(f"zig {arguments[0]} failed: {done.stderr.strip() or f'exit code {done.returncode}'}")


def _compile(source: Path, triple: Triple, position_independent: bool = True, into: Path | None = None) -> Path:
    """Compiles `source` to an object beside it, or in the folder `into`."""
    output = (into or source.parent) / f"{source.stem}.o"
    resources = _zig().parent / "lib" / "include"
    includes = ["-isystem", str(resources), f"-I{NATIVE / 'include'}", f"-I{NATIVE / 'src'}"]
    maps = [f"-ffile-prefix-map={source.parent}=.", f"-ffile-prefix-map={NATIVE}=."]
    flags = [*_CFLAGS, *triple._cflags, "-fPIC" if position_independent else "-fno-pic"]
    if source.stem == "freestanding":
        flags += _FREESTANDING  # kernels call it
    run_zig(["cc", *flags, *includes, *maps, "-c", str(source), "-o", str(output)], output.parent)
    return output


def _link(triple: Triple, arguments: Sequence[str], objects: Sequence[bytes], files: dict[str, str]) -> bytes:
    """Links in a folder of its own, under names that do not depend on the machine."""
    with tempfile.TemporaryDirectory(prefix="edgec-") as name:
        folder = Path(name)
        inputs = []
        for i, data in enumerate(objects):
            (folder / f"{i}.o").write_bytes(data)
            inputs.append(f"{i}.o")
        for file, text in files.items():
            (folder / file).write_text(text)
        common = ["ld.lld", "-m", _EMULATIONS[triple.arch], "--gc-sections", "--build-id=none", "-s", "-o", "linked"]
        run_zig([*common, *arguments, *inputs], folder)
        return (folder / "linked").read_bytes()


def _runtime(triple: Triple, form: str) -> list[bytes]:
    """Objects (and stub libraries) of the runtime as a "library" or a "runner", from the cache or compiled now."""
    sources = {f"{source.parent.name}-{source.stem}.o": source for source in _sources(triple, form)}
    folder = cache.cache_dir() / "runtime" / f"{triple}-{form}-{_key(triple, form)}"
    names = [*sources, *["libc.so"] * _needs_libc(triple, form)]
    kept = [data for name in names if (data := cache.read(folder / name)) is not None]
    if len(kept) == len(names):
        return kept

    def build(name: str) -> bytes:
        if name not in sources:
            return _stub_library(triple, name, _BIONIC)
        with tempfile.TemporaryDirectory(prefix="edgec-") as inside:
            return _compile(sources[name], triple, form == "library", Path(inside)).read_bytes()

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        built = list(pool.map(build, names))
    for name, data in zip(names, built, strict=True):
        cache.write(folder / name, data)
    return built


def _needs_libc(triple: Triple, form: str) -> bool:
    return triple.os == "android" and form == "library"


def _sources(triple: Triple, form: str) -> list[Path]:
    system = ("platform_posix",) if _needs_libc(triple, form) else ("platform_raw", "freestanding")
    runner = _RUNNER if form == "runner" else ()
    return [NATIVE / "src" / f"{name}.c" for name in _COMMON + system] + [
        NATIVE / "runner" / f"{name}.c" for name in runner
    ]


def _key(triple: Triple, form: str) -> str:
    digest = hashlib.sha256(repr((toolchain_version(), _CFLAGS, _FREESTANDING, triple._cflags, _BIONIC, form)).encode())
    for path in (Path(cache.__file__), *sorted(NATIVE.rglob("*.[ch]"))):
        digest.update(path.relative_to(PACKAGE).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def _stub_library(triple: Triple, soname: str, symbols: Sequence[str]) -> bytes:
    """A library of empty functions: enough for the linker to record whose symbols they are."""
    with tempfile.TemporaryDirectory(prefix="edgec-") as name:
        source = Path(name) / "stub.c"
        source.write_text("\n".join(f".globl {s}\n.type {s}, %function\n{s}:" for s in symbols) + "\n.byte 0\n")
        assembly = source.rename(source.with_suffix(".s"))
        run_zig(["cc", *triple._cflags, "-c", assembly.name, "-o", "stub.o"], assembly.parent)
        arguments = ["ld.lld", "-m", _EMULATIONS[triple.arch], "-shared", "-soname", soname, "stub.o", "-o", "stub.so"]
        run_zig(arguments, assembly.parent)
        return (assembly.parent / "stub.so").read_bytes()
