"""Whole random graphs through the late passes, lowering, code generation and the runtime: the reference's bytes."""

from pathlib import Path

import pytest

from edgec.passes.pipeline import LATE, run_pipeline
from edgec.tests.compiler.lower.random_graphs import random_graph
from edgec.tests.compiler.lower.running import BASE, DOTPROD, HOST, RISCV, check

NODES = 16


@pytest.mark.parametrize("int8", [False, True], ids=["float", "int8"])
@pytest.mark.parametrize("seed", range(25))
def test_host(seed: int, int8: bool, tmp_path: Path) -> None:
    graph, inputs = random_graph(seed, NODES, int8=int8)
    run_pipeline(graph, LATE, verify=True)
    for threads in (1, 3):
        check(graph, inputs, tmp_path, HOST, threads)


@pytest.mark.parametrize("int8", [False, True], ids=["float", "int8"])
@pytest.mark.parametrize("seed", range(100, 103))
def test_emulated(seed: int, int8: bool, tmp_path: Path) -> None:
    graph, inputs = random_graph(seed, NODES, int8=int8)
    run_pipeline(graph, LATE, verify=True)
    for device in (BASE, DOTPROD, RISCV):
        check(graph, inputs, tmp_path, device, threads=2)
