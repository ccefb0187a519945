"""What the code for results with functions consists of: what it computes is tested in `lower/nodes`."""

import re
from pathlib import Path

import pytest

from edgec.compiler.codegen.kernels import compile_kernels
from edgec.compiler.ir.expr import In, call
from edgec.compiler.kernels.convolutions import conv
from edgec.compiler.kernels.convolutions.conv import ConvSpec
from edgec.compiler.kernels.spec import Kernel
from edgec.targets.neon import Neon
from edgec.targets.registry import find
from edgec.tests.compiler.kernels.assembly import assembly

PLAIN = ConvSpec(dtype="float32", tile_rows=32, pointwise=True, paired=True, activation=call("gelu", In(0)))
SCALED = ConvSpec(
    dtype="int8", tile_rows=40, pointwise=True, scaled=True, rows=True, activation=call("gelu", In(0))
)  # fmt: skip


@pytest.mark.parametrize("spec", [PLAIN, SCALED])
@pytest.mark.parametrize("variant", ["dotprod", "i8mm"])
def test_functions_load_their_literals_out_of_order(spec: ConvSpec, variant: str, tmp_path: Path) -> None:
    """Sums that begin with a literal overwrite it: kept in a register it would be copied for each vector."""
    compiled = compile_kernels([Kernel(conv.__name__, spec)], find("arm64-neon"), tmp_path)
    lines = assembly(compiled[spec.symbol, variant].code)
    copies = [text for text in lines if re.match(r"(mov v\d+\.16b|dup v\d+\.4s, w)", text)]
    assert any(text.startswith("fmls") for text in lines)  # a vector of gelu ends with one
    assert not copies


@pytest.mark.parametrize("spec", [PLAIN, SCALED])
def test_what_literals_are_loaded(spec: ConvSpec) -> None:
    """None in order, where other rows hide what copies take; and no zeros, which cost nothing."""
    assert spec.literals(Neon(dotprod=True, in_order=True)) is None
    found = spec.literals(Neon(dotprod=True))
    assert found is not None
    assert 0.0 not in found.values
