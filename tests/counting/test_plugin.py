"""Counts are exact: of programs that can be counted by hand, and of bundles against the manifest."""

import shutil
from pathlib import Path

import pytest

from edgec.compiler.bundle.manifest import PRECISIONS
from edgec.counting.cores import CORES
from edgec.counting.count import count_in, count_marked
from edgec.counting.counts import OUTSIDE
from edgec.errors import EdgeError
from edgec.tests.counting.programs import A76, build, count_program

pytestmark = pytest.mark.skipif(shutil.which("qemu-aarch64") is None, reason="qemu-user is not installed")

LOOP = """
    mov x2, #{turns}
{label}: subs x2, x2, #1
    b.ne {label}b
"""
LINES = 64
"""Bytes of a cache's line."""


@pytest.mark.parametrize("turns", [1, 2, 1000])
def test_a_loop_has_the_instructions_that_it_is_written_with(tmp_path: Path, turns: int) -> None:
    counts = count_program(tmp_path, LOOP.format(turns=turns, label="1"))
    assert counts.instructions == 1 + 1 + 2 * turns


def test_what_stands_before_the_region_does_not_count(tmp_path: Path) -> None:
    counts = count_program(tmp_path, "    nop", before=LOOP.format(turns=77, label="1"))
    assert counts.instructions == 2


def test_instructions_belong_to_the_step_whose_entry_was_read_last(tmp_path: Path) -> None:
    inside = "".join(
        f"    ldr x3, [x1, #{72 * step + 8}]\n    b 2f\n2:" + LOOP.format(turns=turns, label="1")
        for step, turns in ((0, 10), (2, 20), (0, 30))
    )
    counts = count_program(tmp_path, inside)
    by_step = {step: counts.instructions_of(counts.in_step(step)) for step in (OUTSIDE, 0, 1, 2)}
    assert by_step[1] == 0
    assert sum(by_step.values()) + counts.edges == counts.instructions == 1 + 3 * 3 + 2 * (10 + 20 + 30)
    # A block that reads an entry still belongs to the step before, and the last one is counted whole.
    assert by_step[2] == 1 + 2 * 20 + 2 and by_step[0] == 1 + 2 * 10 + 2 + 1 + 2 * 30 + 4


def test_without_a_load_behind_the_hint_all_is_outside_steps(tmp_path: Path) -> None:
    count_program(tmp_path, "    ldr x3, [x1, #80]\n    b 2f\n2:" + LOOP.format(turns=10, label="1"))
    source = (tmp_path / "program.s").read_text()
    assert "ldr xzr, [x1]" in source
    (tmp_path / "program.s").write_text(source.replace("ldr xzr, [x1]", "ldr x9, [x1]"))
    build(tmp_path)
    counts, _ = count_in(A76, lambda device: device.execute([str(tmp_path / "program")], 60), 4)
    assert counts.instructions == 1 + 2 + 1 + 2 * 10 and {r.step for r in counts.runs} == {OUTSIDE}


def test_runs_say_which_block_came_before(tmp_path: Path) -> None:
    counts = count_program(tmp_path, LOOP.format(turns=50, label="1"))
    assert any(r.origin == r.to and r.count == 48 for r in counts.runs)


@pytest.mark.parametrize("before", [0, 4, 8, 12])
def test_a_loop_that_a_page_divides_is_counted_as_one(tmp_path: Path, before: int) -> None:
    """qemu translates the part in each page as a block: with `before` bytes of the loop in the first one."""
    loop = """
    b 5f
    .balign 4096
    .skip 4096 - 4 - {before}
5:  mov x2, #50
6:  nop
    nop
    subs x2, x2, #1
    b.ne 6b
"""
    counts = count_program(tmp_path, loop.format(before=before))
    assert counts.instructions == 1 + 1 + 1 + 4 * 50
    assert [len(counts.blocks[r.to].words) for r in counts.runs if r.origin == r.to and r.count == 48] == [4]


def test_misses_of_a_walk_through_memory(tmp_path: Path) -> None:
    """256 KiB twice: too large for the first level, so each line misses there twice, and once in the second."""
    walk = f"""
    mov x4, #2
    b 3f
3:  add x3, x1, #{LINES * 8}
    mov x2, #4096
1:  ldr x5, [x3], #{LINES}
    subs x2, x2, #1
    b.ne 1b
    subs x4, x4, #1
    b.ne 3b
"""
    counts = count_program(tmp_path, walk, table=5000 * LINES)
    assert (sum(r.l1 for r in counts.runs), sum(r.l2 for r in counts.runs)) == (2 * 4096, 4096)
    small = count_program(tmp_path, walk.replace("4096", "512"), table=5000 * LINES)
    assert (sum(r.l1 for r in small.runs), sum(r.l2 for r in small.runs)) == (512, 512)


def test_two_regions_are_refused(tmp_path: Path) -> None:
    again = "    hint #73\n    hint #72\n    ldr xzr, [x1]\n"
    with pytest.raises(EdgeError, match="marked 2 regions"):
        count_program(tmp_path, again)


def test_a_program_without_a_table_is_counted_by_its_hints(tmp_path: Path) -> None:
    wanted = count_program(tmp_path, LOOP.format(turns=50, label="1"), before=LOOP.format(turns=77, label="2"))
    found = count_marked(A76, [str(tmp_path / "program")], {})
    assert found.instructions == wanted.instructions == 1 + 1 + 2 * 50
    assert found.blocks == wanted.blocks


def test_a_program_that_fails_is_not_counted(tmp_path: Path) -> None:
    count_program(tmp_path, "    nop")
    broken = (tmp_path / "program.s").read_text().replace("mov x0, #0", "mov x0, #3")
    (tmp_path / "program.s").write_text(broken)
    build(tmp_path)
    with pytest.raises(EdgeError, match="exit code 3"):
        count_marked(A76, [str(tmp_path / "program")], {})


def test_every_core_has_caches_that_the_plugin_takes_and_a_peak_for_each_precision() -> None:
    for core in CORES.values():
        for cache in (core.l1, core.l2):
            sets = cache.kib * 1024 / (LINES * cache.ways)
            assert sets == int(sets) and int(sets).bit_count() == 1
        assert set(core.peak) == set(PRECISIONS)
