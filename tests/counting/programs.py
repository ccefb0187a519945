"""Programs in assembly, whose instructions can be counted by hand."""

from collections.abc import Sequence
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
    folder: Path, inside: str, before: str = "", core: Core = A76, steps: int = 4, table: int = 4096,
    linked: Sequence[bytes] = (),
) -> Counts:  # fmt: skip
    """What a program executes that is `before`, a region of `ldr` and `inside`, and the end; x1 is where the table of
    steps lies, of `table` bytes. `linked`: other objects."""
    (folder / "program.s").write_text(FRAME.format(before=before, inside=inside, table=table))
    build(folder, linked)

    def run(device: CountingDevice) -> int:
        return device.execute([str(folder / "program")], 60).code

    counts, code = count_in(core, run, steps)
    assert code == 0
    return counts


def build(folder: Path, linked: Sequence[bytes] = ()) -> None:
    """`program` of `program.s` and other objects."""
    names = [f"linked{number}.o" for number in range(len(linked))]
    for name, content in zip(names, linked, strict=True):
        (folder / name).write_bytes(content)
    run_zig(["cc", "-target", "aarch64-linux-musl", "-mcpu=cortex_a76", "-c", "program.s", "-o", "program.o"], folder)
    run_zig(["ld.lld", "-m", "aarch64linux", "-static", "program.o", *names, "-o", "program"], folder)
    (folder / "program").chmod(0o755)
