"""Graphs as programs: what lowering made of a graph, run on this machine or as arm64 code under qemu."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import edgec.compiler.ops  # noqa: F401  (fills the op registry)
from edgec.compiler.bundle.assemble import assemble
from edgec.compiler.bundle.toolchain import cache_dir
from edgec.compiler.bundle.writer import write_bundle
from edgec.compiler.codegen.kernels import compile_kernel
from edgec.compiler.ir.graph import Array, Graph, Value
from edgec.compiler.lower.lower import lower
from edgec.compiler.ops.reference import run_graph
from edgec.runtimes.devices import RunOptions, open_device
from edgec.targets.registry import find

HOST, BASE, DOTPROD = "local", "qemu:cortex-a53", "qemu:cortex-a76"


@dataclass(frozen=True)
class DevicePort:
    """An input or output as devices take it."""

    name: str
    shape: tuple[int, ...]
    dtype: str


def _ports(values: list[Value]) -> list[DevicePort]:
    return [DevicePort(v.name, v.type.shape, v.type.dtype) for v in values]


def run(
    graph: Graph, inputs: Mapping[str, Array], folder: Path, device: str = HOST, threads: int = 1
) -> dict[str, Array]:
    """The outputs of `graph` (after all passes). The runner finds every access outside of operands and arena. The
    bundle in `folder` is made once and used again."""
    path = folder / f"{'host' if device == HOST else 'arm64'}.edge"
    if not path.exists():
        target = find("host" if device == HOST else "arm64-neon")
        graph.name = "graph"
        lowered = lower(graph, target)
        kernels, variants = lowered.kernels.values(), target.variants
        objects = {(k.spec.symbol, v.name): compile_kernel(k, v, cache_dir()) for k in kernels for v in variants}
        write_bundle(path, *assemble(lowered, objects, target, "test"))
    options = RunOptions(threads=threads, guard=True, timeout=60)
    ports = _ports(graph.inputs), _ports(graph.outputs)
    return open_device(device).run(path, *ports, inputs, None, options).outputs


def check(graph: Graph, inputs: Mapping[str, Array], folder: Path, device: str = HOST, threads: int = 1) -> None:
    """AssertionError unless the program gives the reference's bytes; floats to 1e-4 of an output's range."""
    expected = run_graph(graph, inputs)
    found = run(graph, inputs, folder, device, threads)
    for value in graph.outputs:
        want, got = expected[value.name], found[value.name]
        where = f"{value.name} on {device} with {threads} threads"
        if want.dtype.kind != "f":
            np.testing.assert_array_equal(got, want, err_msg=where)
            continue
        finite = np.isfinite(want)
        np.testing.assert_array_equal(got[~finite], want[~finite], err_msg=where)
        bound = 1e-4 * max(1e-3, float(np.ptp(want[finite]))) if finite.any() else 0.0
        np.testing.assert_allclose(got[finite], want[finite], rtol=1e-5, atol=bound, err_msg=where)
