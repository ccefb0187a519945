"""Cycles of programs that can be worked out by hand, and what bounds them."""

import shutil
from pathlib import Path

import pytest

from edgec.counting import llvm
from edgec.counting.cores import CORES, core_of
from edgec.counting.costs import price
from edgec.counting.counts import OUTSIDE
from edgec.counting.llvm import disassemble, find_llvm, steady_cycles
from edgec.counting.models import Demand
from edgec.errors import EdgeError
from edgec.tests.counting.programs import count_program


def _has_llvm() -> bool:
    try:
        return bool(find_llvm())
    except EdgeError:
        return False


pytestmark = pytest.mark.skipif(
    not _has_llvm() or shutil.which("qemu-aarch64") is None, reason="llvm-mca or qemu-user is not installed"
)

SUMS = "\n".join(f"    sdot v{i}.4s, v30.16b, v31.16b" for i in range(8))
TURNS = 2000
LOOP = f"""
    mov x2, #{TURNS}
1:
{SUMS}
    subs x2, x2, #1
    b.ne 1b
"""


@pytest.mark.parametrize(("core", "a_turn"), [("cortex-a55", 8), ("cortex-a76", 4), ("cortex-a710", 4)])
def test_a_loop_of_sums_costs_what_the_vector_units_need(tmp_path: Path, core: str, a_turn: int) -> None:
    counts = count_program(tmp_path, LOOP, core=CORES[core])
    cost = price(counts, CORES[core], 4)[OUTSIDE]
    assert cost.cycles == pytest.approx(a_turn * TURNS, rel=0.01)
    assert cost.bound == "MACs" and cost.demand.mac == pytest.approx(cost.cycles, rel=0.01)
    assert cost.misses < 20


@pytest.mark.parametrize("core", CORES.values(), ids=CORES)
def test_misses_cost_what_the_core_says(tmp_path: Path, core: object) -> None:
    core = core_of(f"qemu:{core.name}")  # type: ignore[attr-defined]
    walk = "    mov x2, #4096\n    b 1f\n1:  ldr x5, [x3], #64\n    subs x2, x2, #1\n    b.ne 1b\n"
    counts = count_program(tmp_path, f"    add x3, x1, #512\n{walk}", core=core, table=4200 * 64)
    cost = price(counts, core, 4)[OUTSIDE]
    assert cost.misses == pytest.approx(4096 * (core.l1.miss + core.l2.miss), rel=0.001)


def test_the_parts_add_up(tmp_path: Path) -> None:
    step = "    ldr x3, [x1, #80]\n    b 2f\n2:\n"
    counts = count_program(tmp_path, LOOP + step + LOOP.replace("1:", "3:").replace("1b", "3b"))
    costs = price(counts, CORES["cortex-a76"], 4)
    assert costs[1].cycles == pytest.approx(4 * TURNS, rel=0.01) and costs[0].cycles == costs[2].cycles == 0


def test_disassembly_keeps_words_apart_that_llvm_does_not_know() -> None:
    words = {
        0xD503201F: "nop",
        0x8B020020: "add x0, x1, x2",
        0x4E9F97C0: "sdot v0.4s, v30.16b, v31.16b",
        0xFFFFFFFF: "nop",
    }
    assert disassemble(words) == words


def test_the_newest_release_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    here = ("llvm-mc-19", "llvm-mca-19", "llvm-mc-22", "llvm-mca-22", "llvm-mc-23", "llvm-mc", "llvm-mca")
    monkeypatch.setattr(llvm.shutil, "which", lambda name: name if name in here else None)  # type: ignore[attr-defined]
    monkeypatch.setattr(llvm, "_version", lambda program: "19.1.7" if program == "llvm-mca" else f"{program[-2:]}.1.0")
    find_llvm.cache_clear()
    assert find_llvm() == llvm.Llvm("llvm-mc-22", "llvm-mca-22", "22.1.0")
    find_llvm.cache_clear()


def test_llvm_models_throughput_and_latency() -> None:
    independent, chained = (
        tuple(SUMS.replace("    ", "").splitlines()),
        ("sdot v0.4s, v1.16b, v2.16b", "add v1.4s, v0.4s, v3.4s"),
    )
    found = steady_cycles([independent, chained, ("ret",), ("bl #64",)], "neoverse-n1", dispatch=4)
    assert found[independent] == 4 and found[chained] >= 4
    assert found["ret",] <= 1 and found["bl #64",] <= 1


def test_instructions_that_a_model_lacks_cost_nothing_but_their_slot() -> None:
    """LLVM's model of Neoverse N1 has no atomic instructions."""
    lock, nop = (tuple([line, *["add x3, x3, #1"] * 4]) for line in ("casal w0, w1, [x2]", "nop"))
    found = steady_cycles([lock, nop], "neoverse-n1", dispatch=4)
    assert found[lock] == found[nop] == 4


def test_without_llvm_it_names_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(llvm.shutil, "which", lambda name: None)  # type: ignore[attr-defined]
    find_llvm.cache_clear()
    with pytest.raises(EdgeError, match=r"install it with: sudo apt-get install .* llvm-22"):
        find_llvm()
    find_llvm.cache_clear()


def test_a_release_without_the_models_does_not_serve(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(llvm, "_version", lambda program: "14.0.6")
    find_llvm.cache_clear()
    with pytest.raises(EdgeError, match="llvm-mca of LLVM 17 or newer"):
        find_llvm()
    find_llvm.cache_clear()


@pytest.mark.parametrize(
    ("demand", "bound"),
    [
        (Demand(mac=60, vector=30, issue=50), "MACs"),
        (Demand(mac=30, vector=60, issue=50), "other vector"),
        (Demand(mac=30, vector=10, alone=40, issue=20), "loads"),
        (Demand(mac=30, vector=10, issue=90), "issue"),
        (Demand(mac=30, vector=10, memory=80, issue=50), "load/store"),
        (Demand(mac=30, vector=10, memory=60, issue=50), "latency"),
    ],
)
def test_what_bounds_a_hundred_cycles(demand: Demand, bound: str) -> None:
    assert demand.bound(100) == bound


def test_demands_add_up() -> None:
    assert Demand.total([(Demand(mac=1, issue=2), 3), (Demand(vector=1), 2)]) == Demand(mac=3, vector=2, issue=6)
    assert Demand.total([]) == Demand()
