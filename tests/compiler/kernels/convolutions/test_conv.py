"""conv2d, conv_transpose2d and matmul, from lowering to the machine, against the numpy references."""

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgec.compiler.codegen import serving
from edgec.compiler.ir.graph import Attr
from edgec.compiler.kernels.convolutions import conv
from edgec.compiler.lower.lower import lower
from edgec.targets.registry import find
from edgec.tests.compiler.kernels.convolutions.contractions import Case, graph_of
from edgec.tests.compiler.lower.running import BASE, DOTPROD, HOST, IN_ORDER, MATRIX, RISCV, check

examples = settings(
    max_examples=10, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
few = settings(examples, max_examples=2)

WEIGHTS = st.sampled_from(["symmetric", "symmetric", "full", "wide"])
CHANNELS = st.sampled_from([1, 2, 3, 5, 8, 13, 16, 17, 24, 32, 40, 64, 67])


def common(draw: st.DrawFn) -> dict[str, Any]:
    """What all ops have."""
    return {
        "weights": draw(WEIGHTS), "bias": draw(st.booleans()), "activation": draw(st.integers(0, 4)),
        "seed": draw(st.integers(0, 99)), "computed": draw(st.booleans()),
    }  # fmt: skip


@st.composite
def convolutions(draw: st.DrawFn) -> Case:
    """Any kernel, stride, padding, dilation and number of groups that fit together; planes down to 1 x 1."""
    kernel = draw(st.sampled_from([(1, 1), (1, 1), (3, 3), (5, 5), (1, 4), (2, 3)]))
    dilations = draw(st.sampled_from([(1, 1), (1, 1), (2, 3)]))
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
    pads = draw(st.tuples(*(st.integers(0, max(reach[i % 2] - 1, 1)) for i in range(4))))
    least = [max(1, reach[i] - pads[i] - pads[i + 2]) for i in range(2)]
    plane = draw(st.tuples(*(st.integers(n, n + 9) for n in least)))
    groups = draw(st.sampled_from([1, 1, 1, 2, 3]))
    depth, outputs = draw(CHANNELS), draw(CHANNELS)
    attrs: dict[str, Attr] = {
        "strides": draw(st.tuples(st.integers(1, 2), st.integers(1, 3))), "pads": pads, "dilations": dilations,
        "groups": groups, "layout": "NHWC",
    }  # fmt: skip
    x = (draw(st.integers(1, 2)), *plane, groups * depth)
    residual = draw(st.booleans())
    return Case("conv2d", x, (groups * outputs, depth, *kernel), 0, attrs, residual=residual, **common(draw))


@st.composite
def transposed(draw: st.DrawFn) -> Case:
    """Strides larger and smaller than the kernel, and equal; output padding, dilation, groups."""
    apart = draw(st.booleans())
    kernel, strides = (draw(st.tuples(st.integers(1, 4), st.integers(1, 4))) for _ in range(2))
    dilations = draw(st.sampled_from([(1, 1), (1, 1), (2, 1), (3, 2)]))
    plane = draw(st.tuples(st.integers(1, 6), st.integers(1, 6)))
    pads = draw(st.tuples(*(st.integers(0, 2) for _ in range(4))))
    full = [(plane[i] - 1) * strides[i] + (kernel[i] - 1) * dilations[i] + 1 for i in range(2)]
    if any(full[i] - pads[i] - pads[i + 2] < 1 for i in range(2)):
        pads = (0, 0, 0, 0)
    more = draw(st.tuples(*(st.integers(0, max(s, d) - 1) for s, d in zip(strides, dilations, strict=True))))
    groups = draw(st.sampled_from([1, 1, 2]))
    if apart:
        strides, dilations, pads, more, groups = kernel, (1, 1), (0, 0, 0, 0), (0, 0), 1
    depth, outputs = draw(CHANNELS), draw(CHANNELS)
    attrs: dict[str, Attr] = {
        "strides": strides, "pads": pads, "dilations": dilations, "groups": groups, "output_padding": more,
        "layout": "NHWC",
    }  # fmt: skip
    x = (draw(st.integers(1, 2)), *plane, groups * depth)
    return Case("conv_transpose2d", x, (groups * depth, outputs, *kernel), 1, attrs, **common(draw))


@st.composite
def products(draw: st.DrawFn) -> Case:
    """Vectors, matrices and stacks of them; a stack may be multiplied by one matrix or by as many, on both sides."""
    rows, depth, columns = draw(st.sampled_from([1, 1, 3, 8, 21])), draw(CHANNELS), draw(CHANNELS)
    stack = draw(st.sampled_from([(), (), (2,), (2, 3), (1, 2, 2), (2, 1, 3), (2, 1, 2, 1, 2)]))
    other = draw(st.sampled_from([(), (), stack, stack[-1:], tuple(1 if n > 1 else 3 for n in stack)]))
    more = common(draw)
    w, attrs = (*other, depth, columns), dict[str, Attr]()
    order = tuple(range(len(w)))
    if more["computed"] and draw(st.booleans()):
        order = tuple(draw(st.permutations(order)))
        w, attrs["w_perm"] = tuple(w[order.index(i)] for i in range(len(w))), order
    return Case("matmul", (*stack, rows, depth), w, order[-1], attrs, residual=draw(st.booleans()), **more)


STRATEGIES = {"conv2d": convolutions(), "conv_transpose2d": transposed(), "matmul": products()}


Devices = tuple[tuple[str, str | None], ...]


def check_cases(cases: list[Case], *, int8: bool, folder: Path, devices: Devices, threads: int) -> None:
    graph, inputs = graph_of(cases, int8=int8)
    for device, variant in devices:
        check(graph, inputs, folder, device, threads, variant)


on_types = pytest.mark.parametrize("int8", [True, False], ids=["int8", "float"])
on_ops = pytest.mark.parametrize("op", STRATEGIES)


@on_types
@on_ops
@examples
@given(data=st.data())
def test_host(op: str, int8: bool, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    cases = data.draw(st.lists(STRATEGIES[op], min_size=4, max_size=6))
    devices, threads = ((HOST, None),), data.draw(st.integers(1, 4))
    check_cases(cases, int8=int8, folder=tmp_path_factory.mktemp("b"), devices=devices, threads=threads)


@on_types
@on_ops
@few
@given(data=st.data())
def test_emulated(op: str, int8: bool, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    cases = data.draw(st.lists(STRATEGIES[op], min_size=6, max_size=6))
    devices = ((BASE, None), (DOTPROD, None), (DOTPROD, IN_ORDER), (MATRIX, None), (RISCV, None))
    check_cases(cases, int8=int8, folder=tmp_path_factory.mktemp("b"), devices=devices, threads=2)


@pytest.mark.parametrize(("depth", "dilation"), [(144, 1), (128, 2)], ids=["three runs", "nine runs"])
def test_many_long_runs_are_taken_in_parts(depth: int, dilation: int, tmp_path: Path) -> None:
    attrs: dict[str, Attr] = {
        "strides": (2, 2), "pads": (dilation,) * 4, "dilations": (dilation,) * 2, "groups": 1, "layout": "NHWC",
    }  # fmt: skip
    case = Case("conv2d", (1, 14, 14, depth), (48, depth, 3, 3), 0, attrs, activation=1, residual=True)
    graph, _ = graph_of([case], int8=False)
    assert "deep" in lower(graph, find("arm64-neon")).plan.steps[-1].kernel
    devices = ((BASE, None), (DOTPROD, None), (DOTPROD, IN_ORDER))
    check_cases([case], int8=False, folder=tmp_path, devices=devices, threads=2)


@pytest.mark.parametrize("threads", [1, 3])
@on_types
def test_neighbouring_tiles_of_the_same_pixels(int8: bool, threads: int, tmp_path: Path) -> None:
    """A product that has one tile of pixels and many of channels, alone and among others: a thread takes those of one
    product together, and not the next product's."""
    cases = [Case("matmul", (*stack, 5, 64), (*stack, 64, 160), len(stack) + 1) for stack in ((), (3,))]
    graph, _ = graph_of(cases, int8=int8)
    plan, m_tiles = lower(graph, find("arm64-neon")).plan, conv.PARAMS.index("m_tiles")
    assert all(step.params[m_tiles] == 1 and step.tiles >= 2 for step in plan.steps if step.macs)
    devices = ((HOST, None), (BASE, None), (DOTPROD, None), (DOTPROD, IN_ORDER), (MATRIX, None))
    check_cases(cases, int8=int8, folder=tmp_path, devices=devices, threads=threads)


def test_general_kernels_of_all_heights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Scheduling tiles of 50 and 32 pixels by single blocks of channels, in kernels that serve those of pairs."""
    monkeypatch.setattr(serving, "LITTLE", 2.0)
    attrs: dict[str, Attr] = {
        "strides": (1, 1), "pads": (1, 1, 1, 1), "dilations": (1, 1), "groups": 1, "layout": "NHWC",
    }  # fmt: skip
    planes, depths = ((7, 7), (8, 8)), (12, 13)  # whole steps and not
    cases = [Case("conv2d", (1, *p, depth), (32, depth, 3, 3), 0, attrs) for p in planes for depth in depths]
    graph, _ = graph_of(cases, int8=False)
    kernels = {step.kernel for step in lower(graph, find("arm64-neon")).plan.steps if step.macs}
    assert {re.findall(r"m\d+_pair", kernel)[0] for kernel in kernels} == {"m50_pair", "m32_pair"}
    devices = ((BASE, None), (DOTPROD, None), (DOTPROD, IN_ORDER), (MATRIX, None))
    check_cases(cases, int8=False, folder=tmp_path, devices=devices, threads=2)
