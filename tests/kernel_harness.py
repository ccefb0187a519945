"""Runs single kernels, here and as arm64 code under qemu, on memory that catches every access outside the operands.

A kernel is linked with `kernel_runner.c` into a static program; operands travel over pipes. Each operand ends at an
unreadable page (after the `slack` that the kernel may over-read), and all bytes around it are checked for writes.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import ziglang
from hypothesis import settings

import edgec.compiler.ops  # noqa: F401  (fills the op registry)
from edgec.compiler.bundle.toolchain import NATIVE, Triple, compile_c
from edgec.compiler.codegen.llvm import object_code
from edgec.compiler.ir.graph import Node, Value
from edgec.compiler.ir.registry import lookup
from edgec.compiler.ir.types import Quant, TensorType
from edgec.compiler.kernels.emit.isa import Isa
from edgec.compiler.ops.reference import run_node
from edgec.targets.arm64 import ARM64_NEON
from edgec.targets.host import host
from edgec.targets.target import Variant

Array = np.ndarray[Any, Any]

_OPERANDS, _GUARD = 5, 64
_ZIG = str(Path(ziglang.__file__).with_name("zig"))
_LINKER = {"x86_64": "elf_x86_64", "aarch64": "aarch64linux"}


@dataclass(frozen=True)
class Machine:
    """Where a kernel runs: a target's code variant, and the command that runs programs for it."""

    name: str
    arch: str
    variant: Variant = field(compare=False)
    prefix: tuple[str, ...] = ()

    @property
    def isa(self) -> Isa:
        """The variant's vector ISA."""
        return self.variant.isa()

    @property
    def available(self) -> bool:
        """Whether this machine can run it."""
        return bool(shutil.which(self.prefix[0])) if self.prefix else Triple.host().arch == self.arch


def _machines() -> list[Machine]:
    """The last variant of this machine's own target, which every CPU runs, and those of arm64's that qemu has a CPU
    for. (What is made for Cortex-A55 is other code for convolutions only.)"""
    native, emulated = host(), {"dotprod": "cortex-a76", "base": "cortex-a53"}
    return [Machine(f"host-{native.variants[-1].name}", native.arch, native.variants[-1])] + [
        Machine(f"arm64-{v.name}", "aarch64", v, ("qemu-aarch64", "-cpu", emulated[v.name]))
        for v in ARM64_NEON.variants
        if v.name in emulated
    ]


MACHINES = tuple(_machines())

on_machines = pytest.mark.parametrize(
    "machine",
    [
        pytest.param(m, id=m.name, marks=pytest.mark.skipif(not m.available, reason=f"needs {m.prefix or m.arch}"))
        for m in MACHINES
    ],
)
"""A test for each machine."""

examples = settings(max_examples=15, deadline=None, derandomize=True)
"""Hypothesis tests: each example is a process or three."""


def run_kernel(
    module: ModuleType,
    spec: Any,
    machine: Machine,
    operands: Mapping[str, Array],
    params: Mapping[str, int | float],
    tiles: int,
    slack: Mapping[str, int] | None = None,
) -> dict[str, Array]:
    """The operands' contents after the kernel `spec` of `module` ran over `tiles` tiles, last ones first.

    `operands` and `params` are by name; Python and numpy floats are passed as float32 bits. An operand may be a view
    of a larger array: then that is the memory, and AssertionError is raised when the kernel changes anything in it but
    the view. `slack` says by how many bytes a kernel may read beyond the memory of an operand.
    """
    if set(params) != set(spec.params):
        raise ValueError(f"{spec.symbol}: parameters {sorted(set(params) ^ set(spec.params))} do not match")
    names = list(module.OPERANDS)
    memory = [_Memory.of(operands[n], (slack or {}).get(n, 0)) if n in operands else _Memory() for n in names]
    memory += [_Memory()] * (_OPERANDS - len(names))
    words = [*(m.size for m in memory), *(m.slack for m in memory), *(m.offset for m in memory)]
    words += [len(params), *(_word(params[name]) for name in spec.params)]
    words += [3, 2 * tiles // 3, tiles, tiles // 3, 2 * tiles // 3, 0, tiles // 3]
    request = np.array(words, np.int32).tobytes() + b"".join(m.area for m in memory)
    command = [*machine.prefix, str(_program(module, spec, machine))]
    done = subprocess.run(command, input=request, capture_output=True, check=False)
    assert done.returncode == 0, f"{spec.symbol} on {machine.name} ended with {done.returncode}: {done.stderr.decode()}"
    results, at = {}, 0
    for i, m in enumerate(memory):
        if i < len(names) and names[i] in operands:
            where = f"{spec.symbol} on {machine.name}, operand {names[i]}"
            results[names[i]] = m.after(done.stdout[at : at + len(m.area)], where)
        at += len(m.area)
    return results


@dataclass(frozen=True)
class _Memory:
    """An operand: a view at byte `offset` of `size` bytes, with guard bytes before and `slack` bytes behind them."""

    view: Array | None = None
    whole: Array = field(default_factory=lambda: np.zeros(0, np.uint8))
    offset: int = 0
    slack: int = 0

    @staticmethod
    def of(array: Array, slack: int) -> "_Memory":
        whole = array
        while isinstance(whole.base, np.ndarray):
            whole = whole.base
        assert whole.flags.c_contiguous
        return _Memory(array, whole, array.ctypes.data - whole.ctypes.data, slack)

    @property
    def size(self) -> int:
        return self.whole.nbytes

    @property
    def area(self) -> bytes:
        return _noise(_GUARD) + self.whole.tobytes() + _noise(self.slack)

    def after(self, area: bytes, where: str) -> Array:
        """The view's new contents."""
        assert self.view is not None
        assert area[:_GUARD] == _noise(_GUARD), f"{where}: wrote in front of it"
        assert area[_GUARD + self.size :] == _noise(self.slack), f"{where}: wrote behind it"
        data = np.frombuffer(area[_GUARD : _GUARD + self.size], np.uint8)
        result = np.ndarray(self.view.shape, self.view.dtype, data.data, self.offset, self.view.strides)
        expected = np.frombuffer(self.whole.tobytes(), np.uint8).copy()
        inside = np.ndarray(self.view.shape, self.view.dtype, expected.data, self.offset, self.view.strides)
        inside[...] = result
        assert np.array_equal(expected, data), f"{where}: wrote between its rows"
        return result.copy()


def _word(value: int | float) -> int:
    return int(np.float32(value).view(np.int32)) if isinstance(value, float | np.floating) else value


@cache
def _noise(count: int) -> bytes:
    return np.random.default_rng(count).integers(0, 256, count, np.uint8).tobytes()


_folder = tempfile.TemporaryDirectory(prefix="edgec-kernels-")
_programs: dict[tuple[str, str], Path] = {}


def _program(module: ModuleType, spec: Any, machine: Machine) -> Path:
    """The static program of one kernel, built once."""
    key = (spec.symbol, machine.name)
    if key not in _programs:
        path = Path(_folder.name) / "-".join(key)
        kernel = path.with_suffix(".o")
        kernel.write_bytes(object_code({spec.symbol: module.build(spec, machine.isa)}, machine.variant.llvm))
        link = ["-m", _LINKER[machine.arch], "-static", "--gc-sections", f"--defsym=kernel={spec.symbol}"]
        inputs = [str(kernel), str(_runner(machine.arch))]
        subprocess.run([_ZIG, "ld.lld", *link, "-o", path, *inputs], check=True, env=_zig())
        _programs[key] = path
    return _programs[key]


@cache
def _runner(arch: str) -> Path:
    source = Path(__file__).with_name("kernel_runner.c").read_text()
    start = (NATIVE / "runner" / "start.c").read_text().replace("../src/", "")
    path = Path(_folder.name) / f"runner-{arch}.o"
    path.write_bytes(compile_c(source + start, Triple(arch), position_independent=False))
    return path


def _zig() -> dict[str, str]:
    folder = str(Path(_folder.name) / "zig")
    return {**os.environ, "ZIG_GLOBAL_CACHE_DIR": folder, "ZIG_LOCAL_CACHE_DIR": folder}


def image(array: Array, halo: Sequence[int] = (0, 0, 0, 0), channels: Sequence[int] = (0, 0)) -> Array:
    """A copy of `array` [H, W, C] as a view inside a larger buffer: `halo` = (top, left, bottom, right) pixels around
    it, `channels` = (before, after) other channels beside its own."""
    top, left, bottom, right = halo
    height, width, own = array.shape
    shape = (top + height + bottom, left + width + right, channels[0] + own + channels[1])
    noise = np.random.default_rng(7).integers(0, 100, shape).astype(array.dtype)
    noise[top : top + height, left : left + width, channels[0] : channels[0] + own] = array
    return noise[top : top + height, left : left + width, channels[0] : channels[0] + own]


def reference(
    op: str, inputs: Sequence[Array], x_quants: Sequence[Quant | None], y_quant: Quant | None = None, **attrs: Any
) -> Array:
    """What the numpy reference of `op` says: the specification."""
    values = [
        Value(f"x{i}", TensorType(x.shape, str(x.dtype), q))
        for i, (x, q) in enumerate(zip(inputs, x_quants, strict=True))
    ]
    node = Node(op, values, [Value("y", TensorType((), "float32"))], attrs)
    (type_,) = lookup(op).infer(node)
    node.outputs[0].type = TensorType(type_.shape, "int8", y_quant) if y_quant else type_
    return run_node(node, list(inputs))[0]
