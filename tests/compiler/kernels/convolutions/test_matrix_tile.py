"""Products by smmla: the reference's bytes at the edges of tiles and of the numbers' range."""

from pathlib import Path

import numpy as np
import pytest

from edgec.compiler.codegen.kernels import compile_kernels
from edgec.compiler.kernels.convolutions import conv
from edgec.compiler.kernels.convolutions.conv import ConvSpec
from edgec.compiler.kernels.convolutions.gathered import DEEPEST
from edgec.compiler.kernels.spec import Kernel
from edgec.compiler.lower.lower import lower
from edgec.targets.registry import find
from edgec.tests.compiler.kernels.assembly import assembly
from edgec.tests.compiler.kernels.convolutions.contractions import Case, graph_of
from edgec.tests.compiler.lower.running import MATRIX, check

ARM64 = find("arm64-neon")
PRODUCTS = [
    (2, 16, 8),
    (9, 48, 24),
    (10, 8, 16),
    (11, 320, 8),
    (32, 64, 48),
    (39, 24, 19),
    (40, 32, 32),
    (41, 96, 40),
    (97, 16, 16),
]
LAYOUT: dict[str, object] = {"layout": "NHWC", "strides": (1, 1), "dilations": (1, 1), "groups": 1}
WINDOWS = [
    ((1, 7, 9, 16), (24, 16, 3, 3), (1, 1, 1, 1)), ((2, 6, 6, 32), (8, 32, 1, 1), (0, 0, 0, 0)),
    ((1, 9, 5, 24), (16, 24, 3, 3), (1, 1, 1, 1)), ((1, 4, 13, 8), (11, 8, 3, 1), (1, 0, 0, 0)),
]  # fmt: skip
MANY_BLOCKS = [(45, 512, 72), (21, 1024, 264)]
"""Weights that are multiplied in parts: all that a second cache holds, and more."""


def products(weights: str, *, residual: bool) -> list[Case]:
    return [
        Case("matmul", (m, k), (k, n), 1, {}, weights, residual=residual, activation=seed, seed=seed)
        for seed, (m, k, n) in enumerate(PRODUCTS)
    ]


@pytest.mark.parametrize("residual", [False, True], ids=["plain", "residual"])
@pytest.mark.parametrize("weights", ["symmetric", "full", "wide"])
def test_products(weights: str, residual: bool, tmp_path: Path) -> None:
    graph, inputs = graph_of(products(weights, residual=residual), int8=True)
    kernels = [step.kernel for step in lower(graph, ARM64).plan.steps]
    assert sum("even" in kernel for kernel in kernels) == len(PRODUCTS)
    check(graph, inputs, tmp_path, MATRIX, threads=2)


def test_parts_of_weights(tmp_path: Path) -> None:
    cases = [Case("matmul", (m, k), (k, n), 1, seed=n) for m, k, n in MANY_BLOCKS]
    graph, inputs = graph_of(cases, int8=True)
    assert [step.tiles > 2 for step in lower(graph, ARM64).plan.steps if "even" in step.kernel] == [True] * 2
    check(graph, inputs, tmp_path, MATRIX, threads=2)


@pytest.mark.parametrize(("depth", "gathered"), [(DEEPEST, True), (DEEPEST + 16, False)])
def test_rows_too_long_to_be_copied(depth: int, gathered: bool, tmp_path: Path) -> None:
    graph, inputs = graph_of([Case("matmul", (12, depth), (depth, 16), 1)], int8=True)
    kernels = [step.kernel for step in lower(graph, ARM64).plan.steps]
    assert ["even" in kernel for kernel in kernels if "gemm" in kernel] == [gathered]
    check(graph, inputs, tmp_path, MATRIX)


def test_windows(tmp_path: Path) -> None:
    cases = [Case("conv2d", x, w, 0, {**LAYOUT, "pads": pads}, "full") for x, w, pads in WINDOWS]  # type: ignore[dict-item]
    check(*graph_of(cases, int8=True), tmp_path, MATRIX)


@pytest.mark.parametrize("far", [-128, 127])
def test_extreme_sums(far: int, tmp_path: Path) -> None:
    """All products are the largest that there are."""
    graph, inputs = graph_of([Case("matmul", (40, 1024), (1024, 16), 1, {}, "full", bias=False)], int8=True)
    weights = graph.nodes[0].inputs[1].data
    assert weights is not None
    weights[:, ::2], weights[:, 1::2] = -128, 127
    check(graph, {name: np.full_like(x, far) for name, x in inputs.items()}, tmp_path, MATRIX)


def test_only_even_runs_are_computed_so(tmp_path: Path) -> None:
    specs = [ConvSpec(dtype="int8", tile_rows=40, pointwise=True, even=even, scaling="small") for even in (True, False)]
    objects = compile_kernels([Kernel(conv.__name__, spec) for spec in specs], ARM64, tmp_path)
    found = [[_multiplies(objects[spec.symbol, name].code) for name in ("i8mm", "dotprod")] for spec in specs]
    assert found == [["smmla", "sdot"], ["sdot", "sdot"]]


def _multiplies(code: bytes) -> str:
    """What most products are made by."""
    names = [text.split()[0] for text in assembly(code)]
    return max(("smmla", "sdot"), key=names.count)
