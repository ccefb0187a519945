"""What sums may become decides about the instructions that scale them: the reference's bytes up to each bound, another
kernel beyond."""

from pathlib import Path

import numpy as np
import pytest

from edgec.compiler.ir.graph import Graph, Node, Value, constant
from edgec.compiler.ir.types import Quant, TensorType
from edgec.compiler.kernels.convolutions.rescale import MOST_MEDIUM, MOST_SMALL, SCALINGS
from edgec.compiler.lower.lower import lower
from edgec.targets.registry import find
from edgec.tests.compiler.lower.running import BASE, DOTPROD, HOST, MATRIX, check

LIMIT = 2**22

LARGEST = LIMIT + 1


def product(
    largest: int, zero: int, multiplier: float, *, fixed_point: bool = True
) -> tuple[Graph, dict[str, np.ndarray]]:
    """A matmul whose sums reach exactly +-`largest` for some rows, and come to every remainder of a step near 0."""
    depth = 1100
    reach = max(127 - zero, 128 + zero)
    w = np.zeros((depth, 8), np.int8)
    for channel in range(8):
        budget = largest // reach
        for row in range(depth):
            w[row, channel] = min(127, budget)
            budget -= int(w[row, channel])
        assert budget == 0, "a deeper matrix is needed"
    w[:, 1::2] *= -1
    rest = largest - int(np.abs(w[:, 0].astype(int)).sum()) * reach
    bias = np.where(np.arange(8) % 2 == 0, rest, -rest).astype(np.int32)
    far = 127 if 127 - zero == reach else -128
    bias = bias if far == 127 else -bias
    rng = np.random.default_rng(zero & 0xFF)
    x = np.concatenate([np.full((1, depth), far), np.full((1, depth), zero), rng.integers(-128, 128, (14, depth))])
    types = TensorType(x.shape, "int8", Quant.per_tensor(0.5, zero)), Quant((0.25,) * 8, (0,) * 8, 1)
    value, out = Value("x", types[0]), Value("y", TensorType((16, 8), "int8", Quant.per_tensor(0.125 / multiplier, 3)))
    operands = [value, constant("w", w, types[1]), constant("b", bias)]
    node = Node("matmul", operands, [out], {"fixed_point": fixed_point}, "n")
    return Graph("graph", [value], [out], [node]), {"x": x.astype(np.int8)}


def scaling(graph: Graph) -> str:
    """What the kernel says of its sums."""
    kernel = lower(graph, find("arm64-neon")).plan.steps[-1].kernel
    return next((word for word in SCALINGS if kernel.endswith(f"_{word}")), "medium")


@pytest.mark.parametrize("zero", [-128, 0, 5, 127])
@pytest.mark.parametrize(
    ("multiplier", "found"),
    [
        (2.0**-15, "small"),
        ((MOST_SMALL - 1) / LARGEST, "small"),
        ((MOST_SMALL + 1) / LARGEST, "medium"),
        ((MOST_MEDIUM - 2) / LARGEST, "medium"),
        ((MOST_MEDIUM + 2) / LARGEST, "any"),
        (1.5, "any"),
    ],
)
def test_fixed_point_up_to_the_bounds_and_beyond(zero: int, multiplier: float, found: str, tmp_path: Path) -> None:
    graph, inputs = product(LARGEST, zero, multiplier)
    assert scaling(graph) == found
    for device in (HOST, BASE, DOTPROD, MATRIX):
        check(graph, inputs, tmp_path, device)


@pytest.mark.parametrize(("multiplier", "found"), [(2.0**-13, "small"), (2.0**-15, "any"), (2.0**-28, "any")])
def test_sums_that_floats_do_not_hold(multiplier: float, found: str, tmp_path: Path) -> None:
    graph, inputs = product(2**24 + 3, 0, multiplier)
    assert scaling(graph) == found
    for device in (HOST, DOTPROD):
        check(graph, inputs, tmp_path, device)


@pytest.mark.parametrize("zero", [-128, 0, 5, 127])
@pytest.mark.parametrize("multiplier", [2.0**-15, 127.5 / LIMIT, 1 / 130])
def test_sums_with_an_offset_at_the_bound(zero: int, multiplier: float, tmp_path: Path) -> None:
    graph, inputs = product(LIMIT - 1, zero, multiplier, fixed_point=False)
    assert scaling(graph) == "offset"
    for device in (BASE, DOTPROD, MATRIX):
        check(graph, inputs, tmp_path, device)


@pytest.mark.parametrize(("largest", "multiplier"), [(LIMIT, 2.0**-15), (LIMIT - 1, 2**15 / LIMIT)])
def test_no_offset_beyond_it(largest: int, multiplier: float, tmp_path: Path) -> None:
    graph, inputs = product(largest, 0, multiplier, fixed_point=False)
    assert scaling(graph) == "float"
    check(graph, inputs, tmp_path, DOTPROD)
