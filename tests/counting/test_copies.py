"""What the runtime's own copies take, which move the rows that two bands share."""

import shutil
from pathlib import Path

import pytest

from edgec.compiler.bundle import toolchain
from edgec.tests.counting.programs import count_program

pytestmark = pytest.mark.skipif(shutil.which("qemu-aarch64") is None, reason="qemu-user is not installed")

COPY = """
    adrp x0, table
    add x0, x0, :lo12:table
    add x1, x0, #2048
    mov x2, #{nbytes}
    bl memmove
"""


def test_copies_take_nine_instructions_for_a_line_of_the_cache(tmp_path: Path) -> None:
    source = toolchain.NATIVE / "src" / "freestanding.c"
    compiled = toolchain._compile(source, toolchain.Triple("aarch64"), into=tmp_path).read_bytes()
    short, long = (
        count_program(tmp_path, COPY.format(nbytes=64 * lines), linked=[compiled]).instructions for lines in (2, 22)
    )
    assert long - short == 20 * 9
