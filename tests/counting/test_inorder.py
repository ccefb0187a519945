"""The model of A53 and A55, on sequences whose cycles can be worked out by hand."""

import pytest

from edgec.counting.inorder import A53, A55, steady_cycles
from edgec.counting.operation import Latency, Unit, decode


def cycles(code: str, core: object = A55) -> float:
    lines = [line.strip() for line in code.strip().splitlines()]
    return steady_cycles([decode(line) for line in lines], core)  # type: ignore[arg-type]


def sdot(sum_: int, a: int = 30, b: int = 31) -> str:
    return f"sdot v{sum_}.4s, v{a}.16b, v{b}.16b"


def lines(*parts: str) -> str:
    return "\n".join(parts)


@pytest.mark.parametrize("core", [A53, A55])
def test_two_instructions_issue_a_cycle(core: object) -> None:
    assert cycles(lines(*(f"add x{i}, x9, #1" for i in range(8))), core) == 4
    assert cycles("ldr x0, [x9]\nadd x1, x2, x3", core) == 1


def test_a_chain_waits_for_each_result() -> None:
    assert cycles("add x0, x0, #1\nadd x0, x0, #2\nadd x0, x0, #3") == 3
    assert cycles("add x0, x0, x1, lsl #2") == 2
    assert cycles("ldr x0, [x0]") == 3
    assert cycles("madd x0, x0, x1, x2", A55) == 3
    assert cycles("madd x0, x0, x1, x2", A53) == 4


def test_a_128_bit_instruction_takes_both_vector_units() -> None:
    assert cycles(lines(*(sdot(i) for i in range(8)))) == 8
    assert cycles(lines(*(f"mla v{i}.2s, v30.2s, v31.2s" for i in range(8)))) == 4
    assert cycles(lines(*(f"{sdot(i)}\nadd x{i}, x9, #1" for i in range(8)))) == 8


def test_sums_are_forwarded_to_the_next_multiply_accumulate() -> None:
    assert cycles(sdot(0)) == 4
    assert cycles("fmla v0.4s, v1.4s, v2.4s", A53) == 4
    assert cycles("fmla v0.4s, v0.4s, v2.4s", A53) == 8
    assert cycles("fmla v0.4s, v0.4s, v2.4s", A55) == 4


def test_a_wide_vector_load_issues_alone() -> None:
    assert cycles(lines("ldr q28, [x0]", *(sdot(i) for i in range(8)))) == 2 + 8
    assert cycles(lines("ldp q28, q29, [x0]", *(sdot(i) for i in range(8)))) == 4 + 8
    assert cycles(lines("ldr d29, [x0]", *(sdot(i) for i in range(8)))) == 8
    assert cycles("ld1 { v0.16b, v1.16b, v2.16b, v3.16b }, [x0]") == 8
    assert cycles("ldr q0, [x0]\nadd x1, x2, #1\nadd x3, x4, #1") == 2 + 1


def test_the_loop_of_an_8_by_8_tile_reaches_two_thirds_of_the_peak() -> None:
    """Eight rows, four pairs of weights and 64 sums: 16 + 16 + 64 cycles for 64 * 16 products."""
    rows = [f"ldr q{24 + i % 4}, [x{i}], #16" for i in range(8)]
    weights = [f"ldp q{28 + i % 2}, q{30 + i % 2}, [x9, #{32 * i}]" for i in range(4)]
    assert cycles(lines(*rows, *weights, *(sdot(i % 16, 24, 28) for i in range(64)))) == pytest.approx(96, abs=4)


def test_memory_port() -> None:
    assert cycles("str q0, [x0]\nstr q1, [x0, #16]") == 2
    assert cycles("stp q0, q1, [x0]") == 2
    assert cycles("stp x0, x1, [x2]") == 2
    assert cycles("ldr x0, [x9]\nldr x1, [x10]") == 2
    assert cycles("ld1r { v0.4s }, [x0]\nld1r { v1.4s }, [x1]") == 2
    assert cycles("ldr q0, [x0], #16") == 2  # the address is ready after a cycle


def test_dividers_are_busy() -> None:
    assert cycles("udiv x0, x1, x2\nudiv x3, x4, x5") == 12
    assert cycles("udiv x0, x0, x2") == 8
    assert cycles("fdiv v0.4s, v1.4s, v2.4s") == 20
    assert cycles("fdiv v0.4s, v0.4s, v2.4s") == 24
    assert cycles("fdiv s0, s1, s2") == 10


def test_flags_and_branches() -> None:
    assert cycles("subs x0, x0, #1\nb.ne #-4") == 1  # the branch issues beside the next turn's subtraction
    assert cycles("subs x0, x0, #1\nb.ne #-4\nmov x1, x0") == 2
    assert cycles("b #4\nb #4") == 2


@pytest.mark.parametrize(
    ("text", "unit", "latency", "reads", "writes", "sums"),
    [
        ("ldr q0, [x1], #16", Unit.LOAD, Latency.VECTOR_LOAD, {"r1"}, {"v0"}, None),
        ("ldp x0, x1, [sp, #16]", Unit.LOAD, Latency.LOAD, {"sp"}, {"r0", "r1"}, None),
        ("ld1 { v3.s }[1], [x4]", Unit.LOAD, Latency.VECTOR_LOAD, {"v3", "r4"}, {"v3"}, None),
        ("st1 { v3.16b }, [x4], x5", Unit.STORE, Latency.LOAD, {"v3", "r4", "r5"}, set(), None),
        ("prfm pldl1keep, [x3, #64]", Unit.LOAD, Latency.LOAD, {"r3"}, set(), None),
        ("adrp x0, #4096", Unit.INTEGER, Latency.INTEGER, set(), {"r0"}, None),
        ("csel x0, x1, x2, lt", Unit.INTEGER, Latency.INTEGER, {"r1", "r2", "flags"}, {"r0"}, None),
        ("cmp x0, x1, lsl #3", Unit.INTEGER, Latency.SHIFTED, {"r0", "r1"}, {"flags"}, None),
        ("cbnz w3, #-8", Unit.BRANCH, Latency.INTEGER, {"r3"}, set(), None),
        ("smlal2 v0.8h, v1.16b, v2.16b", Unit.VECTOR, Latency.VECTOR_LONG, {"v1", "v2"}, {"v0"}, "v0"),
        ("smmla v0.4s, v1.16b, v2.16b", Unit.VECTOR, Latency.VECTOR_LONG, {"v1", "v2"}, {"v0"}, "v0"),
        ("sqxtn2 v0.8h, v1.4s", Unit.VECTOR, Latency.VECTOR_LONG, {"v1"}, {"v0"}, "v0"),
        ("mov v0.s[1], w3", Unit.VECTOR, Latency.MOVE, {"r3"}, {"v0"}, "v0"),
        ("dup v0.4s, w3", Unit.VECTOR, Latency.MOVE, {"r3"}, {"v0"}, None),
        ("fmadd s0, s1, s2, s3", Unit.VECTOR, Latency.FLOAT_MAC, {"v1", "v2", "v3"}, {"v0"}, None),
        ("tbl v0.16b, { v1.16b, v2.16b }, v3.16b", Unit.VECTOR, Latency.TABLE, {"v1", "v2", "v3"}, {"v0"}, None),
        ("zip1 v0.16b, v1.16b, v2.16b", Unit.VECTOR, Latency.VECTOR, {"v1", "v2"}, {"v0"}, None),
    ],
)
def test_decoding(text: str, unit: Unit, latency: Latency, reads: set[str], writes: set[str], sums: str | None) -> None:
    found = decode(text)
    assert (found.unit, found.latency, set(found.reads), set(found.writes), found.sums) == (
        unit,
        latency,
        reads,
        writes,
        sums,
    )


def test_multiply_accumulates_are_told_from_other_vector_work() -> None:
    assert all(
        decode(t).mac
        for t in (sdot(0), "smull v0.8h, v1.8b, v2.8b", "sadalp v0.4s, v1.8h", "fmla v0.4s, v1.4s, v2.s[0]")
    )
    assert not any(decode(t).mac for t in ("fmul v0.4s, v1.4s, v2.4s", "sqadd v0.8h, v1.8h, v2.8h", "ldr q0, [x0]"))
