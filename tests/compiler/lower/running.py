"""Graphs as programs: what lowering made of a graph, run on this machine or as arm64 or riscv64 code under qemu."""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

import edgec.compiler.ops  # noqa: F401  (fills the op registry)
from edgec.benchmarks.options import target_of
from edgec.compiler.bundle.assemble import assemble
from edgec.compiler.bundle.writer import write_bundle
from edgec.compiler.cache import cache_dir
from edgec.compiler.codegen.kernels import compile_kernels
from edgec.compiler.ir.expr import In, call
from edgec.compiler.ir.graph import Array, Graph, Node, Value
from edgec.compiler.ir.types import TensorType
from edgec.compiler.lower.lower import lower
from edgec.compiler.ops.reference import run_graph
from edgec.errors import EdgeError
from edgec.runtimes.devices import EMULATED_CPUS, RunOptions, open_device
from edgec.targets.registry import find

HOST, BASE, DOTPROD, MATRIX = "local", "qemu:cortex-a53", "qemu:cortex-a76", "qemu:max"
RISCV = f"qemu:{EMULATED_CPUS['riscv64']}"

IN_ORDER = "dotprod_inorder"
"""The variant for a core that the emulator does not have."""


@dataclass(frozen=True)
class DevicePort:
    """An input or output as devices take it."""

    name: str
    shape: tuple[int, ...]
    dtype: str


def _ports(values: list[Value]) -> list[DevicePort]:
    return [DevicePort(v.name, v.type.shape, v.type.dtype) for v in values]


def run(
    graph: Graph, inputs: Mapping[str, Array], folder: Path, device: str = HOST, threads: int = 1,
    variant: str | None = None,
) -> dict[str, Array]:  # fmt: skip
    """The outputs of `graph` (after all passes). The runner finds every access outside of operands and arena. The
    bundle in `folder` is made once and used again."""
    name = target_of(device)
    path = folder / f"{name}.edge"
    if not path.exists():
        target = find(name)
        if target.halves and any(v.type.dtype == "float16" for v in graph.values()):
            target = target.for_halves()
        graph.name = "graph"
        lowered = lower(graph, target)
        objects = compile_kernels(lowered.kernels.values(), target, cache_dir())
        write_bundle(path, *assemble(lowered, objects, target, "test"))
    options = RunOptions(threads=threads, guard=True, timeout=60, variant=variant)
    ports = _ports(graph.inputs), _ports(graph.outputs)
    return open_device(device).run(path, *ports, inputs, None, options).outputs


def check(
    graph: Graph, inputs: Mapping[str, Array], folder: Path, device: str = HOST, threads: int = 1,
    variant: str | None = None,
) -> None:  # fmt: skip
    """AssertionError unless the program gives the reference's bytes; floats to 1e-4 of an output's range. On this
    machine, all code variants that its CPU runs; else `variant`, or the device's own."""
    expected = run_graph(graph, inputs)
    for name in _variants() if device == HOST else (variant,):
        where = f"{device} with {threads} threads, variant {name}"
        _compare(graph, expected, run(graph, inputs, folder, device, threads, name), where)


@cache
def _variants() -> tuple[str, ...]:
    """Those of the host's target that this CPU runs. The plainest one, which is the last, always does."""
    value = Value("x", TensorType((1,), "float32"))
    node = Node("map", [value], [Value("y", value.type)], {"expr": call("neg", In(0))}, "n")
    graph, ones = Graph("graph", [value], node.outputs, [node]), {"x": np.ones(1, np.float32)}
    *others, last = (v.name for v in find("host").variants)
    with tempfile.TemporaryDirectory() as folder:
        run(graph, ones, Path(folder), variant=last)
        return (*(v for v in others if _runs(graph, ones, Path(folder), v)), last)


def _runs(graph: Graph, inputs: Mapping[str, Array], folder: Path, variant: str) -> bool:
    try:
        run(graph, inputs, folder, variant=variant)
    except EdgeError as error:
        if "this CPU cannot run" not in str(error):
            raise
        return False
    return True


def _compare(graph: Graph, expected: Mapping[str, Array], found: Mapping[str, Array], where: str) -> None:
    for value in graph.outputs:
        want, got, what = expected[value.name], found[value.name], f"{value.name} on {where}"
        if want.dtype.kind != "f":
            np.testing.assert_array_equal(got, want, err_msg=what)
            continue
        finite = np.isfinite(want)
        np.testing.assert_array_equal(got[~finite], want[~finite], err_msg=what)
        bound = 1e-4 * max(1e-3, float(np.ptp(want[finite]))) if finite.any() else 0.0
        np.testing.assert_allclose(got[finite], want[finite], rtol=1e-5, atol=bound, err_msg=what)
