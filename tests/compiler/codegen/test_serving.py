"""Which kernels share code: those that do little of a model's work."""

from dataclasses import replace

import pytest

from edgec.compiler.codegen.serving import LITTLE, SOME, serving
from edgec.compiler.kernels.convolutions import conv, depthwise
from edgec.compiler.kernels.convolutions.conv import ConvSpec
from edgec.compiler.kernels.convolutions.depthwise import DepthwiseSpec
from edgec.compiler.kernels.convolutions.rescale import Scaling
from edgec.compiler.kernels.emit.quantization import SumForm
from edgec.compiler.kernels.spec import Kernel
from edgec.targets.registry import find

ARM64 = find("arm64-neon")


def convolution(*, whole: bool = False, small: bool = False) -> Kernel:
    scaling: Scaling = "small" if small else "medium"
    spec = ConvSpec(dtype="int8", tile_rows=40, clamped=False, paired=True, scaling=scaling, whole=whole)
    return Kernel(conv.__name__, spec)


SMALL, WHOLE, GENERAL = convolution(whole=True, small=True), convolution(whole=True), convolution()


def served(kernels: list[Kernel], shares: dict[Kernel, float], variant: str = "dotprod") -> list[tuple[str, str]]:
    """The symbols and variants whose code runs for `kernels` in `variant`."""
    found = serving(kernels, ARM64, {kernel.spec.symbol: share for kernel, share in shares.items()})
    codes = [found[kernel.spec.symbol, variant] for kernel in kernels]
    return [(kernel.spec.symbol, of.name) for kernel, of in codes]


def code(kernel: Kernel, variant: str = "dotprod") -> tuple[str, str]:
    return kernel.spec.symbol, variant


def test_kernels_that_do_little_share_a_general_one() -> None:
    little = {SMALL: 0.01, WHOLE: 0.02}
    assert served([SMALL, WHOLE], little) == [code(GENERAL)] * 2
    assert served([SMALL, WHOLE], {SMALL: 0.01, WHOLE: LITTLE}) == [code(SMALL), code(WHOLE)]
    assert served([SMALL, WHOLE], {}) == [code(SMALL), code(WHOLE)], "nothing is known of their work"


def test_floats_of_pairs_of_blocks_join_those_of_single_ones() -> None:
    pairs, single = (
        Kernel(conv.__name__, ConvSpec(dtype="float32", tile_rows=40, paired=paired, whole=paired))
        for paired in (True, False)
    )
    assert served([pairs, single], {pairs: 0.01, single: 0.5}) == [code(single)] * 2
    assert served([pairs, single], {pairs: LITTLE, single: 0.5}) == [code(pairs), code(single)]


def test_a_general_kernel_that_does_much_serves_those_that_do_little() -> None:
    assert served([SMALL, WHOLE, GENERAL], {SMALL: 0.01, WHOLE: 0.5, GENERAL: 0.4}) == [
        code(GENERAL), code(WHOLE), code(GENERAL),
    ]  # fmt: skip


def test_loops_serve_no_short_runs() -> None:
    short = Kernel(conv.__name__, ConvSpec(dtype="int8", tile_rows=40, clamped=False, paired=True, short=3))
    assert served([short, SMALL, WHOLE], {short: 0.01, SMALL: 0.01, WHOLE: 0.02}) == [code(short), *[code(GENERAL)] * 2]


def test_a_kernel_that_shares_with_none_is_as_it_is() -> None:
    assert served([SMALL], {SMALL: 0.01}) == [code(SMALL)]


def test_depthwise_kernels_share_what_takes_larger_sums() -> None:
    scalings: list[Scaling] = ["small", "medium"]
    small, medium = (
        Kernel(depthwise.__name__, DepthwiseSpec(dtype="int8", kernel=(3, 3, 1), scaling=scaling))
        for scaling in scalings
    )
    for variant in ("dotprod_inorder", "dotprod"):
        assert {name for name, _ in served([small, medium], {small: 0.01, medium: 0.4}, variant)} == {
            medium.spec.symbol
        }


@pytest.mark.parametrize(
    ("share", "coders"),
    [
        (0.03, ["dotprod_inorder", "i8mm", "dotprod", "base"]),
        (0.015, ["dotprod_inorder", "dotprod", "dotprod", "base"]),
        (0.005, ["dotprod", "dotprod", "dotprod", "base"]),
        (0.0, ["base"] * 4),
    ],
)
def test_a_variant_has_code_of_its_own_for_what_matters(share: float, coders: list[str]) -> None:
    assert [served([SMALL], {SMALL: share}, variant.name)[0][1] for variant in ARM64.variants] == coders


@pytest.mark.parametrize(("share", "form"), [(SOME, "shifted"), (SOME - 0.01, "small")])
def test_shifts_of_residuals_that_do_little_are_done_without(share: float, form: SumForm) -> None:
    spec = ConvSpec(dtype="int8", tile_rows=40, paired=True, residual=True, whole=True, sum_form="shifted")
    kernel, other = (Kernel(conv.__name__, replace(spec, sum_form=f)) for f in ("shifted", form))
    assert served([kernel], {kernel: share}) == [code(other)]


def test_kernels_that_differ_in_shifts_are_worth_code_of_their_own_together() -> None:
    spec = ConvSpec(dtype="int8", tile_rows=40, paired=True, residual=True, even=True)
    forms: tuple[SumForm, ...] = ("shifted", "small")
    kernels = [Kernel(conv.__name__, replace(spec, sum_form=form)) for form in forms]
    least = next(v.least for v in ARM64.variants if v.name == "i8mm")
    assert {name for _, name in served(kernels, dict.fromkeys(kernels, least / 2), "i8mm")} == {"i8mm"}
    assert served(kernels[:1], {kernels[0]: least / 2}, "i8mm")[0][1] == "dotprod"


def test_floats_that_do_little_are_in_the_plainest_order() -> None:
    """dotprod multiplies int8 only; what it has for floats is the order that large cores want."""
    float32, int8 = (
        Kernel(conv.__name__, ConvSpec(dtype=dtype, tile_rows=40, clamped=False)) for dtype in ("float32", "int8")
    )
    least = next(v.least_reordered for v in ARM64.variants if v.name == "dotprod")
    shares = dict.fromkeys((float32, int8), least / 2)
    assert [variant for _, variant in served([float32, int8], shares)] == ["base", "dotprod"]
    assert served([float32], {float32: least})[0][1] == "dotprod"
