"""Products of a single row by sdot: the reference's bytes, and sums that do not wait for one another."""

import re
from collections import Counter
from pathlib import Path

import pytest

from edgec.compiler.codegen.kernels import compile_kernels
from edgec.compiler.kernels.convolutions import conv
from edgec.compiler.kernels.convolutions.conv import ConvSpec
from edgec.compiler.kernels.spec import Kernel
from edgec.compiler.lower.lower import lower
from edgec.targets.registry import find
from edgec.tests.compiler.kernels.assembly import assembly
from edgec.tests.compiler.kernels.convolutions.contractions import Case, graph_of
from edgec.tests.compiler.lower.running import DOTPROD, MATRIX, check

ARM64 = find("arm64-neon")
DEPTHS = (4, 8, 12, 16, 28, 36, 64, 76)
"""Whole steps of four groups, what may be left of one, and both."""


@pytest.mark.parametrize("device", [DOTPROD, MATRIX])
@pytest.mark.parametrize("weights", ["symmetric", "full"])
def test_a_single_row(weights: str, device: str, tmp_path: Path) -> None:
    cases = [Case("matmul", (1, depth), (depth, 24), 1, {}, weights, seed=depth) for depth in DEPTHS]
    graph, inputs = graph_of(cases, int8=True)
    kernels = [step.kernel for step in lower(graph, ARM64).plan.steps]
    assert sum("gemm_m1" in kernel for kernel in kernels) == len(DEPTHS)
    check(graph, inputs, tmp_path, device)


@pytest.mark.parametrize("variant", ["dotprod", "i8mm"])
def test_a_block_has_two_chains_of_sums(variant: str, tmp_path: Path) -> None:
    """Its columns are two vectors."""
    spec = ConvSpec(dtype="int8", tile_rows=1, pointwise=True, scaling="small")
    code = compile_kernels([Kernel(conv.__name__, spec)], ARM64, tmp_path)[spec.symbol, variant].code
    sums = Counter(found[1] for text in assembly(code) if (found := re.match(r"sdot (v\d+)\.4s", text)))
    assert len([register for register, times in sums.items() if times > 1]) == 4
