"""Programs in assembly, whose instructions can be counted by hand."""

from pathlib import Path

from edgec.compiler.bundle.toolchain import run_zig
from edgec.counting.cores import CORES, Core
from edgec.counting.count import CountingDevice, count_in
from edgec.counting.counts import Counts

A76 = CORES["cortex-a76"]

FRAME = """
    .globl _start
_start:
    adrp x1, table
    add x1, x1, :lo12:table
    {before}
    hint #72
    ldr xzr, [x1]
{inside}
    hint #73
    mov x0, #0
    mov x8, #94
    svc #0
    .bss
    .balign 64
table:
    .space {table}
"""


def count_program(
    folder: Path, inside: str, before: str = "", core: Core = A76, steps: int = 4, table: int = 4096
) -> Counts:
    """What a program executes that is `before`, a region of `ldr` and `inside`, and the end; x1 is where the table of
    steps lies, of `table` bytes."""
    (folder / "program.s").write_text(FRAME.format(before=before, inside=inside, table=table))
    build(folder)

    def run(device: CountingDevice) -> int:
        return device.execute([str(folder / "program")], 60).code

    counts, code = count_in(core, run, steps)
    assert code == 0
    return counts


def build(folder: Path) -> None:
    """`program` of `program.s`."""
    run_zig(["cc", "-target", "aarch64-linux-musl", "-mcpu=cortex_a76", "-c", "program.s", "-o", "program.o"], folder)
    run_zig(["ld.lld", "-m", "aarch64linux", "-static", "program.o", "-o", "program"], folder)
    (folder / "program").chmod(0o755)
