"""What the code for rows of float32 that are multiplied as int8 consists of: what it computes is tested in
`lower/nodes/test_row_codes.py`."""

from pathlib import Path

from edgec.compiler.codegen.kernels import compile_kernels
from edgec.compiler.kernels.convolutions import row_codes
from edgec.compiler.kernels.convolutions.row_codes import RowCodesSpec
from edgec.compiler.kernels.spec import Kernel
from edgec.targets.registry import find
from edgec.tests.compiler.kernels.assembly import assembly


def test_codes_are_the_ends_of_floats(tmp_path: Path) -> None:
    """No conversions, which take an out-of-order core's unit twice as long as sums, and no saturation."""
    objects = compile_kernels([Kernel(row_codes.__name__, RowCodesSpec())], find("arm64-neon"), tmp_path)
    assert objects
    for compiled in objects.values():
        assert not {text.split()[0] for text in assembly(compiled.code)} & {"fcvtns", "sqxtn", "sqxtn2"}
