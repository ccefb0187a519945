"""What edgec needs of the machine it runs on, and the one command that mends each thing that is missing.

Nothing that is checked is imported here: tools that crash on import must not take the check with them, so they
are asked in a process of their own.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version

from packaging.requirements import Requirement

from ..counting.llvm import find_llvm
from ..errors import EdgeError
from .cache import cache_dir

TIMEOUT_S = 60
PIP = f"{sys.executable} -m pip install"


@dataclass(frozen=True)
class Check:
    """One thing looked at. `fix` is a shell command, empty when there is nothing to mend; what is not `required`
    only widens what can be done."""

    name: str
    ok: bool
    found: str
    fix: str = ""
    required: bool = True


def checks() -> Iterator[Check]:
    """Look at everything in turn; the slowest takes a second or two."""
    yield from _packages()
    yield _tvm()
    yield _ziglang()
    yield _cache()
    yield _qemu()
    yield _llvm()


def _packages() -> Iterator[Check]:
    for text in requires("edgec") or ():
        requirement = Requirement(text)
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        wanted = f"{requirement.name}{requirement.specifier}"
        try:
            found = version(requirement.name)
            ok = requirement.specifier.contains(found, prereleases=True)
        except PackageNotFoundError:
            found, ok = "not installed", False
        fix = "" if ok else f"{PIP} '{wanted}'"
        yield Check(wanted, ok, found, fix)


def _tvm() -> Check:
    program = (
        "import tvm.s_tir\n"
        "from tvm.target import codegen\n"
        "assert 'aarch64' in codegen.llvm_get_targets(), 'this LLVM has no aarch64'\n"
        "print('LLVM', codegen.llvm_version_major())"
    )
    ok, said = _ask([sys.executable, "-c", program])
    fix = f"{PIP} --force-reinstall apache-tvm==0.27.0.post1 apache-tvm-ffi==0.1.14.post1"
    return Check("TVM generates arm64 code", ok, said, "" if ok else fix)


def _ziglang() -> Check:
    ok, said = _ask([sys.executable, "-m", "ziglang", "version"])
    fix = f"{PIP} --force-reinstall 'ziglang==0.17.*'"
    return Check("C compiler and linker (ziglang)", ok, said, "" if ok else fix)


def _cache() -> Check:
    path = cache_dir()
    existing = next(p for p in (path, *path.parents) if p.exists())
    ok = existing.is_dir() and os.access(existing, os.W_OK | os.X_OK)
    kept = sum(f.stat().st_size for f in path.rglob("*") if f.is_file()) if ok and path.exists() else 0
    fix = "" if ok else f"sudo chown -R $(id -u) {existing}"
    return Check("cache", ok, f"{path}, {kept / 1e6:.1f} MB" if ok else f"{existing} is not writable", fix)


def _qemu() -> Check:
    name = "arm64 emulator (qemu-aarch64), for run --device qemu"
    path = shutil.which("qemu-aarch64") or shutil.which("qemu-aarch64-static")
    if path is None:
        return Check(name, False, "not found", f"{_sudo()}apt-get install -y qemu-user", required=False)
    ok, said = _ask([path, "--version"])
    return Check(name, ok, said, "" if ok else f"{_sudo()}apt-get install -y --reinstall qemu-user", required=False)


def _llvm() -> Check:
    name = "models of cores (llvm-mca), for bench --count"
    try:
        return Check(name, True, f"LLVM {find_llvm().version}", required=False)
    except EdgeError:
        fix = f"{_sudo()}apt-get install -y --no-install-recommends llvm-22"
        return Check(name, False, "not found", fix, required=False)


def _sudo() -> str:
    return "" if os.geteuid() == 0 else "sudo "


def _ask(command: list[str]) -> tuple[bool, str]:
    """Whether `command` succeeds, and the first line that it prints (or the last of its complaint)."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.TimeoutExpired) as error:
        return False, str(error)
    if done.returncode == 0:
        return True, done.stdout.strip().splitlines()[0] if done.stdout.strip() else ""
    complaint = done.stderr.strip().splitlines()
    return False, complaint[-1] if complaint else f"ended with status {done.returncode}"
