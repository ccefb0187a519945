"""Runs single kernels, here and as arm64 code under qemu, on memory that catches every access outside the operands.

A kernel is linked with `kernel_runner.c` into a static program; operands travel over pipes. Each operand ends at an
unreadable page (after the `slack` that the kernel may over-read), and bytes around it are checked for writes.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from edgec.compiler.bundle.toolchain import NATIVE, Triple, compile_c
from edgec.compiler.codegen.llvm import object_code
from edgec.compiler.kernels.isa import Isa
from edgec.targets.avx2 import Avx2
from edgec.targets.neon import Neon

Array = np.ndarray[Any, Any]

_OPERANDS, _GUARD = 5, 64
_ZIG = (sys.executable, "-m", "ziglang")
_LINKER = {"x86_64": "elf_x86_64", "aarch64": "aarch64linux"}


@dataclass(frozen=True)
class Machine:
    """Where a kernel runs: the code's vector ISA and LLVM target, and what its program is started with."""

    name: str
    arch: str
    cpu: str
    isa: Isa = field(compare=False)
    prefix: tuple[str, ...] = ()

    @property
    def llvm(self) -> dict[str, str]:
        """The target for `object_code`."""
        return {"kind": "llvm", "mtriple": f"{self.arch}-linux-gnu", "mcpu": self.cpu}

    @property
    def available(self) -> bool:
        """Whether this machine can run it."""
        return bool(shutil.which(self.prefix[0])) if self.prefix else Triple.host().arch == self.arch


HOST = Machine("avx2", "x86_64", "haswell", Avx2())
NEON = Machine("neon", "aarch64", "cortex-a53", Neon(dotprod=False), ("qemu-aarch64", "-cpu", "cortex-a53"))
NEON_DOT = Machine("neondot", "aarch64", "cortex-a76", Neon(dotprod=True), ("qemu-aarch64", "-cpu", "cortex-a76"))
MACHINES = tuple(m for m in (HOST, NEON, NEON_DOT) if m.available)


def run_kernel(
    module: ModuleType,
    spec: Any,
    machine: Machine,
    operands: Mapping[str, Array],
    params: Mapping[str, int | float],
    tiles: int,
    ranges: Sequence[tuple[int, int]] | None = None,
    slack: Mapping[str, int] | None = None,
) -> dict[str, Array]:
    """The operands' contents after the kernel `spec` of `module` ran over `tiles` tiles.

    `operands` and `params` are by name; float parameters are passed as their float32 bits. `ranges` are the calls'
    tile ranges (all tiles in one call by default); `slack` says by how many bytes an operand may be over-read.
    AssertionError when the kernel touches anything outside its operands.
    """
    if set(params) != set(spec.params):
        raise ValueError(f"{spec.symbol} takes {sorted(spec.params)}, not {sorted(params)}")
    names = module.OPERANDS if hasattr(module, "OPERANDS") else spec.operands
    data = [np.ascontiguousarray(operands[n]).tobytes() if n in operands else b"" for n in names]
    data += [b""] * (_OPERANDS - len(data))
    slacks = [(slack or {}).get(n, 0) for n in names] + [0] * (_OPERANDS - len(names))
    calls = [(0, tiles)] if ranges is None else list(ranges)
    head = np.array([*(len(d) for d in data), *slacks, len(params)], np.int32).tobytes()
    head += b"".join(_word(params[name]) for name in spec.params)
    head += np.array([len(calls), *(t for call in calls for t in call)], np.int32).tobytes()
    areas = [_noise(_GUARD) + d + _noise(s) for d, s in zip(data, slacks, strict=True)]
    command = [*machine.prefix, str(_program(module, spec, machine))]
    done = subprocess.run(command, input=head + b"".join(areas), capture_output=True, check=False)
    assert done.returncode == 0, f"{spec.symbol} on {machine.name} ended with {done.returncode}: {done.stderr.decode()}"
    return _results(spec, machine, names, operands, areas, done.stdout)


def _results(
    spec: Any, machine: Machine, names: Sequence[str], operands: Mapping[str, Array], areas: Sequence[bytes], output: bytes
) -> dict[str, Array]:
    results, at = {}, 0
    for i, area in enumerate(areas):
        after = output[at : at + len(area)]
        at += len(area)
        if i < len(names) and names[i] in operands:
            before = operands[names[i]]
            end = _GUARD + before.nbytes
            assert after[:_GUARD] == area[:_GUARD], f"{spec.symbol} on {machine.name} wrote before {names[i]}"
            assert after[end:] == area[end:], f"{spec.symbol} on {machine.name} wrote behind {names[i]}"
            results[names[i]] = np.frombuffer(after[_GUARD:end], before.dtype).reshape(before.shape)
    return results


def _word(value: int | float) -> bytes:
    return np.float32(value).tobytes() if isinstance(value, float | np.floating) else np.int32(value).tobytes()


def _noise(count: int) -> bytes:
    return np.random.default_rng(count).integers(0, 256, count, np.uint8).tobytes()


_programs: dict[tuple[str, str], Path] = {}
_folder = tempfile.TemporaryDirectory(prefix="edgec-kernels-")


def _program(module: ModuleType, spec: Any, machine: Machine) -> Path:
    """The static program of one kernel, built once."""
    key = (spec.symbol, machine.name)
    if key not in _programs:
        path = Path(_folder.name) / "-".join(key)
        kernel = path.with_suffix(".o")
        kernel.write_bytes(object_code([module.build(spec, machine.isa)], machine.llvm))
        link = ["-m", _LINKER[machine.arch], "-static", "--gc-sections", f"--defsym=kernel={spec.symbol}"]
        subprocess.run(
            [*_ZIG, "ld.lld", *link, "-o", path, kernel, _runner(machine.arch)],
            check=True, capture_output=True, env=_environment(),
        )  # fmt: skip
        _programs[key] = path
    return _programs[key]


@cache
def _runner(arch: str) -> Path:
    source = (Path(__file__).with_suffix("").parent / "kernel_runner.c").read_text()
    start = (NATIVE / "runner" / "start.c").read_text().replace("../src/", "")
    path = Path(_folder.name) / f"runner-{arch}.o"
    path.write_bytes(compile_c(source + start, Triple(arch), position_independent=False))
    return path


def _environment() -> dict[str, str]:
    cache_folder = str(Path(_folder.name) / "zig")
    return {**os.environ, "ZIG_GLOBAL_CACHE_DIR": cache_folder, "ZIG_LOCAL_CACHE_DIR": cache_folder}
