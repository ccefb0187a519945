"""What the code for results with functions consists of: what it computes is tested in `lower/nodes`."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from edgec.compiler.codegen.kernels import compile_kernels
from edgec.compiler.ir.arrays import literals
from edgec.compiler.ir.expr import In, call
from edgec.compiler.kernels.convolutions import conv, winograd
from edgec.compiler.kernels.convolutions.conv import ConvSpec
from edgec.compiler.kernels.convolutions.winograd import WinogradSpec
from edgec.compiler.kernels.convolutions.winograd_transforms import Form
from edgec.compiler.kernels.spec import Kernel
from edgec.targets.neon import Neon
from edgec.targets.registry import find
from edgec.tests.compiler.kernels.assembly import assembly

PLAIN = ConvSpec(dtype="float32", tile_rows=32, pointwise=True, paired=True, activation=call("gelu", In(0)))
SCALED = ConvSpec(
    dtype="int8", tile_rows=40, pointwise=True, scaled=True, rows=True, activation=call("gelu", In(0))
)  # fmt: skip
WINOGRAD = WinogradSpec(dtype="float32", form=Form(4), tile_rows=32, paired=True, activation=call("gelu", In(0)))
FAMILIES = {ConvSpec: conv, WinogradSpec: winograd}


@pytest.mark.parametrize("spec", [PLAIN, SCALED, WINOGRAD])
@pytest.mark.parametrize("variant", ["dotprod", "i8mm"])
def test_functions_load_their_literals_out_of_order(
    spec: ConvSpec | WinogradSpec, variant: str, tmp_path: Path
) -> None:
    """Sums that begin with a literal overwrite it: kept in a register it would be copied for each vector."""

    def copies(of: ConvSpec | WinogradSpec) -> int:
        compiled = compile_kernels([Kernel(FAMILIES[type(of)].__name__, of)], find("arm64-neon"), tmp_path)
        lines = assembly(compiled[of.symbol, variant].code)
        assert of.activation is None or any(text.startswith("fmls") for text in lines)  # a vector of gelu ends with one
        return sum(bool(re.match(r"(mov v\d+\.16b|dup v\d+\.4s, w)", text)) for text in lines)

    assert copies(spec) <= copies(replace(spec, activation=None))


@pytest.mark.parametrize("spec", [PLAIN, SCALED])
def test_literals_are_loaded_out_of_order_alone(spec: ConvSpec) -> None:
    """In order other rows hide what copies take. GELU computes with ten numbers."""
    loaded = spec.literals(Neon(dotprod=True))
    assert loaded is not None
    assert len(set(loaded.values)) == len(loaded.values) == 10
    assert spec.literals(Neon(dotprod=True, in_order=True)) is None


def test_zeros_are_not_loaded() -> None:
    """They take no unit that multiplies."""
    spec = replace(PLAIN, activation=call("atan", In(0)))
    assert 0.0 in literals(call("atan", In(0)))
    loaded = spec.literals(Neon(dotprod=True))
    assert loaded is not None
    assert {*loaded.values, 0.0} == {*literals(call("atan", In(0)))}


def test_results_of_half_the_size_have_no_vectors_of_literals() -> None:
    """float32 functions whose results are stored as float16 are finished as whole rows."""
    assert replace(PLAIN, halved=True).literals(Neon(half=True)) is None
