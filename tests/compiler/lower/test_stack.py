"""How much of its caller's stack a run takes, measured on a painted one, against what `edge.h` says."""

import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from edgec.benchmarks.options import target_of
from edgec.compiler.bundle import toolchain
from edgec.compiler.ir.expr import In, call
from edgec.compiler.ir.graph import Array, Attr, Graph
from edgec.compiler.kernels.convolutions.gathered import DEEPEST
from edgec.tests import native_build
from edgec.tests.compiler.kernels.convolutions.contractions import Case, graph_of
from edgec.tests.runtimes.python.test_binding import require_arm64_libc

from .running import HOST, MATRIX, run

SOURCE = Path(__file__).parents[2] / "runtimes" / "native" / "stack.c"
THREAD = re.compile(r"EDGE_THREAD_STACK \(\(size_t\)(\d+) << 10\)")
"""What workers have, for the same work and their own loop."""


def promised() -> int:
    """Bytes."""
    header = (toolchain.NATIVE / "include" / "edge.h").read_text()
    (kilobytes,) = re.findall(r"edge_session_run takes up to (\d+) KB of the stack", header)
    return int(kilobytes) << 10


def used(graph: Graph, inputs: Mapping[str, Array], folder: Path, device: str) -> int:
    """Bytes of stack that a run takes."""
    run(graph, inputs, folder, device)
    bundle, program = folder / f"{target_of(device)}.edge", folder / "stack"
    flags = [str(SOURCE), "-o", str(program), "-std=gnu11", "-D_GNU_SOURCE", f"-I{bundle}", "-pthread", "-ldl"]
    emulator: list[str] = []
    if device == HOST:
        subprocess.run(["gcc", *flags], check=True)
    else:
        require_arm64_libc()
        native_build.zig("cc", "-target", f"{native_build.ARM64}.2.28", *flags)
        emulator = ["qemu-aarch64", "-cpu", device.partition(":")[2], "-L", str(native_build.ARM64_LIBC.parents[1])]
    (library,) = (path for path in bundle.glob("*.so") if "android" not in path.name)
    command = [*emulator, str(program), str(library), str(bundle / "weights.bin")]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def test_copies_for_matrix_products_are_not_on_the_stack(tmp_path: Path) -> None:
    """The most that is copied: 40 rows and the weights of 8 columns."""
    cases = [Case("matmul", (40, k), (k, 16), 1, residual=True, seed=k) for k in (DEEPEST // 4, DEEPEST)]
    assert used(*graph_of(cases, int8=True), tmp_path, MATRIX) <= promised()


@pytest.mark.parametrize("stride", [1, 2])
def test_transforms_of_winograd(stride: int, tmp_path: Path) -> None:
    """The largest frames that there are: a tile of vectors on its way, and an activation's constants."""
    attrs: dict[str, Attr] = {"pads": (1, 1, 1, 1), "strides": (stride, stride), "layout": "NHWC"}
    graph, inputs = graph_of([Case("conv2d", (1, 40, 40, 64), (64, 64, 3, 3), 0, attrs)], int8=False)
    (node,) = (node for node in graph.nodes if node.op == "conv2d")
    node.attrs["activation"] = call("div", In(0), call("add", call("exp", call("neg", In(0))), 1.0))
    assert used(graph, inputs, tmp_path, HOST) <= promised()


def test_workers_have_as_much_and_more_for_their_loop() -> None:
    text = (toolchain.NATIVE / "src" / "platform.h").read_text()
    assert [int(kilobytes) << 10 for kilobytes in THREAD.findall(text)] == [promised() + (4 << 10)]
