"""Depthwise convolutions, from lowering to the machine, against the numpy reference."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgec.compiler.codegen.kernels import compile_kernels
from edgec.compiler.ir.expr import Const, In, call
from edgec.compiler.ir.graph import Attr
from edgec.compiler.kernels.convolutions import depthwise as kernels
from edgec.compiler.kernels.convolutions.depthwise import DepthwiseSpec
from edgec.compiler.kernels.spec import Kernel
from edgec.targets.registry import find
from edgec.tests.compiler.kernels.assembly import assembly
from edgec.tests.compiler.kernels.convolutions.contractions import Case
from edgec.tests.compiler.kernels.convolutions.test_conv import check_cases, common, examples, few, on_types
from edgec.tests.compiler.lower.running import BASE, DOTPROD, HOST


@st.composite
def depthwise(draw: st.DrawFn) -> Case:
    """Kernels with code of their own and others, odd and even heights, few and many channels, a depth multiplier."""
    kernel = draw(st.sampled_from([(3, 3), (3, 3), (3, 3), (5, 5), (5, 5), (1, 3), (4, 2), (7, 7)]))
    dilations = draw(st.sampled_from([(1, 1), (1, 1), (1, 1), (2, 2)]))
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
    pads = draw(st.tuples(*(st.integers(0, reach[i % 2] - 1) for i in range(4))))
    least = [max(1, reach[i] - pads[i] - pads[i + 2]) for i in range(2)]
    plane = draw(st.tuples(*(st.integers(n, n + 9) for n in least)))
    strides = draw(st.sampled_from([(1, 1), (1, 1), (2, 2), (2, 2), (1, 2), (3, 1)]))
    channels, multiplier = draw(st.sampled_from([2, 3, 8, 9, 16, 17, 24, 40, 67])), draw(st.sampled_from([1, 1, 1, 2]))
    attrs: dict[str, Attr] = {
        "strides": strides, "pads": pads, "dilations": dilations, "groups": channels, "layout": "NHWC",
    }  # fmt: skip
    x, residual = (draw(st.integers(1, 2)), *plane, channels), draw(st.booleans())
    return Case("conv2d", x, (channels * multiplier, 1, *kernel), 0, attrs, residual=residual, **common(draw))


@on_types
@examples
@given(cases=st.lists(depthwise(), min_size=4, max_size=6), threads=st.integers(1, 4))
def test_host(cases: list[Case], threads: int, int8: bool, tmp_path_factory: pytest.TempPathFactory) -> None:
    check_cases(cases, int8=int8, folder=tmp_path_factory.mktemp("b"), devices=((HOST, None),), threads=threads)


@on_types
@few
@given(cases=st.lists(depthwise(), min_size=6, max_size=6))
def test_arm64(cases: list[Case], int8: bool, tmp_path_factory: pytest.TempPathFactory) -> None:
    devices = ((BASE, None), (DOTPROD, None))
    check_cases(cases, int8=int8, folder=tmp_path_factory.mktemp("b"), devices=devices, threads=2)


def test_wide_rows(tmp_path: Path) -> None:
    """Rows of float32 that are taken in spans, the last of fewer pixels."""
    cases = []
    for images, width, channels, stride, residual in ((1, 197, 16, 1, True), (2, 391, 12, 2, False)):
        attrs: dict[str, Attr] = {
            "strides": (stride, stride), "pads": (1,) * 4, "dilations": (1, 1), "groups": channels, "layout": "NHWC",
        }  # fmt: skip
        x, w = (images, 5, width, channels), (channels, 1, 3, 3)
        cases.append(Case("conv2d", x, w, 0, attrs, residual=residual, activation=1))
    check_cases(cases, int8=False, folder=tmp_path, devices=((DOTPROD, None), (HOST, None)), threads=2)


def test_registers_do_for_activations(tmp_path: Path) -> None:
    """Where results are finished one after the other: few copies of them."""
    part = call("min", call("max", call("add", call("mul", In(0), In(1)), In(2)), Const(0.0)), Const(1.0))
    spec = DepthwiseSpec(dtype="float32", kernel=(3, 3, 1), activation=call("mul", In(0), part))
    compiled = compile_kernels([Kernel(kernels.__name__, spec)], find("arm64-neon"), tmp_path)
    lines = assembly(compiled[spec.symbol, "dotprod"].code)
    assert sum(line.startswith("mov v") for line in lines) <= 12
