"""Register tiles of int8 for cores that issue in order, which take all runs of a window at once: every form of runs."""

from pathlib import Path

import pytest

from edgec.compiler.lower.lower import lower
from edgec.targets.neon_inorder import pair_loads
from edgec.targets.registry import find
from edgec.tests.compiler.kernels.convolutions.contractions import Case, graph_of
from edgec.tests.compiler.lower.running import BASE, DOTPROD, IN_ORDER, check


def convolution(
    depth: int,
    outputs: int,
    kernel: int,
    *,
    stride: int = 1,
    dilation: int = 1,
    height: int = 6,
    width: int = 9,
    residual: bool = False,
) -> Case:
    pad = (kernel - 1) * dilation // 2
    attrs = {
        "strides": (stride, stride), "pads": (pad,) * 4, "dilations": (dilation, dilation), "groups": 1,
        "layout": "NHWC",
    }  # fmt: skip
    w = (outputs, depth, kernel, kernel)
    return Case("conv2d", (1, height, width, depth), w, 0, attrs, residual=residual, seed=depth * kernel)  # type: ignore[arg-type]


FORMS = {
    "gemm_m40_pair_whole": convolution(16, 32, 1),
    "gemm_m40_pair_even": convolution(24, 32, 1),
    "gemm_m40_whole": convolution(48, 40, 1, residual=True),
    "gemm_m40": convolution(20, 24, 1),
    "conv_m40_pair_whole": convolution(32, 16, 3),
    "conv_m40_pair_whole_dilated": convolution(64, 16, 3, dilation=2),
    "conv_m40_pair_runs3": convolution(3, 32, 3, stride=2, width=17),
    "conv_m40_pair_runs6": convolution(3, 16, 7, stride=2, width=17),
    "conv_m40_pair_runs9": convolution(12, 16, 3, width=12),
    "conv_m40_runs12": convolution(16, 24, 3),
    "gemm_m1": convolution(52, 24, 1, height=1, width=1, residual=True),
}


def test_runs_of_nothing(tmp_path: Path) -> None:
    """Every other output of a transposed convolution with stride 2 and a kernel of one element."""
    attrs = {
        "strides": (1, 2), "pads": (0,) * 4, "dilations": (1, 1), "groups": 1, "layout": "NHWC",
        "output_padding": (0, 0),
    }  # fmt: skip
    case = Case("conv_transpose2d", (1, 1, 3, 16), (16, 16, 1, 1), 1, attrs)  # type: ignore[arg-type]
    for device, variant in ((BASE, None), (DOTPROD, IN_ORDER)):
        check(*graph_of([case], int8=True), tmp_path, device, 1, variant)


@pytest.mark.parametrize("form", FORMS)
def test_forms_of_runs(form: str, tmp_path: Path) -> None:
    """A case is a graph of its own: kernels that do little of a model's work share code."""
    graph, inputs = graph_of([FORMS[form]], int8=True)
    assert form.removesuffix("_dilated") in lower(graph, find("arm64-neon")).plan.steps[-1].kernel
    for device, variant in ((BASE, None), (DOTPROD, IN_ORDER)):
        check(graph, inputs, tmp_path, device, 1, variant)


@pytest.mark.parametrize("rows", [4, 5])
def test_no_multiplication_waits_for_weights(rows: int) -> None:
    """A load takes four cycles on A53, and a multiplication, with a load beside it, one."""
    at = {half: column * rows + row for (column, row), half in pair_loads(rows).items()}
    for column in range(4):
        used, low, high = column * rows, at[column, 0], at[column, 1]
        ahead = column < 2  # for the next group
        assert low >= used + rows - 1 if ahead else low < used
        assert low + 4 <= high <= used - 4 + ahead * 4 * rows
    assert max(at.values()) < 3 * rows  # behind these, words are loaded
