"""Tables of extents: shared, checked, and told to people."""

import time
from dataclasses import replace
from pathlib import Path

import pytest

from edgec.compiler.bundle.extents import Extents, extent_text, term_text
from edgec.compiler.bundle.header import header_source
from edgec.compiler.bundle.program import program_source, runtime_memory
from edgec.compiler.bundle.variants import Variant
from edgec.compiler.ir.extent import Extent, Op, Symbol, symbol, symbols_of, term_of
from edgec.compiler.ir.types import TensorType
from edgec.compiler.lower.plan import Control, Operand, Plan, Port, Space, State, Step

from .test_program import compiles

N, W, K = symbol("N", 1, 8), symbol("W", 32, 640, 32), symbol("K", 0, 100)
SYMBOLS = [next(iter(symbols_of(s))) for s in (N, W, K)]
BASE = [Variant("base", frozenset(), {"k": "k"})]


def plan_of(*steps: Step) -> Plan:
    tensor = TensorType((N, 3, W), "float32")
    outputs = [Port("y", TensorType((N, W // 32), "int32")), Port("kept", TensorType((K,), "int8"))]
    return Plan("net", [Port("x", tensor)], outputs, list(steps), arena_size=1024, symbols=SYMBOLS)


def step(*operands: Operand, params: tuple[int, ...] = (), tiles: int = 1) -> Step:
    return Step("k", operands, params, tiles, name="n")


MEASURE = Step("", (Operand(Space.ARENA),), (), 0, control=Control.MEASURE, target=2)


def test_values_are_shared_and_those_that_are_measured_come_last(tmp_path: Path) -> None:
    size = N * W
    plan = plan_of(
        step(Operand(Space.ARENA, K * 4), params=(K + 1, size), tiles=K),
        step(Operand(Space.INPUT, 0), params=(size, size - 1), tiles=N),
        MEASURE,
    )
    source = program_source(plan, BASE)
    assert source.count("EDGE_TERM_MUL | 0u << 8, 0, 1}") == 1
    terms = source[source.index("edge_term terms") : source.index("edge_fixup")].splitlines()[1:-2]
    masks = ["| 1u << 8" in term for term in terms]
    assert masks == sorted(masks) and any(masks) and not all(masks)
    compiles(source, tmp_path / "program.c", "-std=c11", "-pedantic")


def test_equal_numbers_that_differ_in_a_run_are_not_one_parameter() -> None:
    plan = plan_of(step(params=(8,)), step(params=(N,)), step(params=(N,)), MEASURE)
    assert "edge_fixup fixups[] = {\n    {0u << 30 | 1u, 0},\n};" in program_source(plan, BASE)


def test_terms_that_share_parts_take_linear_time() -> None:
    deep = Extents(plan_of(MEASURE))
    term = term_of(N)
    for _ in range(3000):
        term = Op("min", term, Op("add", term, 1))
    start = time.monotonic()
    deep._value(term)
    assert deep.counts[0] < 3 + 3000 * 2 + 10 and time.monotonic() - start < 5


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (
            step(Operand(Space.ARENA, K * 11)),
            r"the offset of operand 0 of step 'n' \(k\) can be 1100; it must be 0 to 1024",
        ),
        (step(Operand(Space.ARENA, 64 - K)), "can be -36"),
        (step(Operand(Space.INPUT, W * 200)), "the offset of operand 0"),
        (step(params=(W * W * W * W,)), "a parameter of step 'n'"),
        (step(tiles=W - 64), "the number of tiles of step 'n' .* can be -32"),
        (step(params=(Extent(5, Symbol("foreign", 0, 5)),)), "symbol 'foreign' is not one of the plan's"),
        (replace(MEASURE, target=3), "sets symbol 3 of 3"),
        (replace(MEASURE, target=0), "dimension 0 of input 'x' is not a symbol that its shape can set"),
        (replace(MEASURE, operands=(Operand(Space.ARENA, 1020),)), "reads 8 bytes"),
    ],
)
def test_values_beyond_their_bounds_are_refused(bad: Step, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        program_source(plan_of(bad, MEASURE), BASE)


def test_inputs_are_shaped_by_symbols() -> None:
    plan = plan_of(MEASURE)
    plan.inputs[0] = Port("x", TensorType((N * 2,), "int8"))
    with pytest.raises(ValueError, match="dimension 0 of input 'x' is not a symbol"):
        program_source(plan, BASE)


@pytest.mark.parametrize("offsets", [(0, 12), (1020, 0), (0, 1009)])
def test_states_that_overlap_are_refused(offsets: tuple[int, int]) -> None:
    plan = plan_of(MEASURE)
    plan.states = [State(f"s{o}", f"t{o}", TensorType((4,), "int32"), o) for o in offsets]
    with pytest.raises(ValueError, match="overlaps another one or the arena's end"):
        program_source(plan, BASE)


def test_the_header_tells_ranges_and_states(tmp_path: Path) -> None:
    plan = plan_of(MEASURE)
    plan.states = [State("h*/", "hn", TensorType((2, 64), "float32"), 64)]
    header = header_source(plan)
    assert "/* input 0: x, float32 [1..8, 3, 32..640 by 32]; these are the largest: */" in header
    assert "/* output 0: y, int32 [1..8, ..20]; these are the largest: */" in header
    assert "#define NET_INPUT_0_SHAPE {8, 3, 640}" in header and "#define NET_INPUT_0_BYTES 61440" in header
    assert "/* kept in the session: h__, float32 [2, 64]: edge_session_state */" in header
    compiles(header, tmp_path / "net.c", "-std=c11", "-pedantic")


def test_a_program_without_symbols_has_no_shapes() -> None:
    plan = Plan("e", [Port("x", TensorType((3,), "int8"))], [], [step(Operand(Space.INPUT))])
    source = program_source(plan, BASE)
    assert "edge_shape" not in source and "fixup" not in source
    assert runtime_memory(plan) < runtime_memory(replace(plan, symbols=SYMBOLS))


def test_terms_are_readable() -> None:
    assert term_text(term_of(W // 32)) == "(W // 32)"
    assert [extent_text(e) for e in (3, N, W, W // 32)] == ["3", "1..8", "32..640/32", "..20"]
    assert "..." in term_text(term_of(N * N * N * N * N * N * N))
