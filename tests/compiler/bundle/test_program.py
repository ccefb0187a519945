"""The generated C: compiles without a warning, survives hostile names, refuses plans that touch foreign memory."""

import subprocess
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest

from edgec.compiler.bundle import toolchain
from edgec.compiler.bundle.c_text import c_identifier
from edgec.compiler.bundle.header import header_source
from edgec.compiler.bundle.program import check_weights_file, program_source, runtime_memory, weights_file
from edgec.compiler.bundle.variants import Variant
from edgec.compiler.ir.types import DTYPES, Quant, TensorType
from edgec.compiler.lower.plan import Bands, Control, Operand, Plan, Port, Scratch, Space, Stage, Step
from edgec.errors import EdgeError
from edgec.tests import native_build

HOSTILE = [
    "plain",
    'quo"te',
    "back\\slash\\",
    "*/ int evil; /*",
    "// line \\\n#error",
    "??/ ??= ??'",
    "\u00e9\u4e2d\U0001f600",
    "\t\r\x01\x7f",
    "%s%n",
    "123",
    "",
    "x" * 5000,
]


def plan_of(*steps: Step, name: str = "net", weights: bytes = b"w" * 100) -> Plan:
    tensor = TensorType((2, 3), "float32")
    return Plan(name, [Port("x", tensor)], [Port("y", tensor)], list(steps), arena_size=256, weights=weights)


def step(*operands: Operand, kernel: str = "k", **changes: object) -> Step:
    return replace(Step(kernel, operands, (1, -(2**31), 2**31 - 1), 4, name="n", macs=10**12), **changes)  # type: ignore[arg-type]


def variant(**symbols: str) -> Variant:
    return Variant("base", frozenset(), symbols or {"k": "k"})


def compiles(source: str, path: Path, *flags: str) -> None:
    path.write_text(source, encoding="utf-8")
    includes = [f"-I{toolchain.NATIVE / folder}" for folder in ("include", "src")]
    command = ["gcc", "-Wall", "-Wextra", "-Werror", *flags, *includes, "-c", str(path), "-o", f"{path}.o"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_tables_of_a_plan(tmp_path: Path) -> None:
    operands = Operand(Space.INPUT), Operand(Space.WEIGHTS, 64), Operand(Space.OUTPUT, 4)
    plan = plan_of(step(*operands), step(Operand(Space.ARENA, 128), barrier=False, params=()))
    source = program_source(plan, [Variant("dot", frozenset({"dotprod"}), {"k": "k_dot"}), variant()])
    assert source.index('"dot", EDGE_CPU_DOTPROD, kernels_0') < source.index('"base", 0, kernels_1')
    compiles(source, tmp_path / "program.c", "-std=c11", "-pedantic")


def test_sessions_fill_a_large_page_of_which_little_is_missing() -> None:
    """`edge_os_filled` in memory.c."""
    plan, most = plan_of(), 2 << 20
    least = runtime_memory(plan)
    beside = 448 + 16 + 48 + 192  # the session, two ports, up to 64 bytes; what kernels may read beside the arena
    for missing, filled in [((64 << 10) + 64, 0), (64 << 10, 64 << 10), (64, 64), (0, 0)]:
        assert runtime_memory(replace(plan, arena_size=most - beside - missing)) == least + filled


def test_the_same_plan_gives_the_same_text() -> None:
    plan = plan_of(step(Operand(Space.INPUT), kernel="b"), step(Operand(Space.INPUT), kernel="a"))
    symbols = variant(a="sa", b="sb")
    assert program_source(plan, [symbols]) == program_source(plan, [symbols])


def test_empty_plan_and_scalar_ports(tmp_path: Path) -> None:
    scalar = Port("s", TensorType((), "bool"))
    compiles(program_source(Plan("e", [], []), [variant()]), tmp_path / "empty.c", "-std=c11")
    compiles(program_source(Plan("s", [scalar], [scalar]), [variant()]), tmp_path / "scalar.c", "-std=c11")


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_names_stay_text(tmp_path: Path, text: str) -> None:
    tensor = TensorType((1,), "float32")
    plan = Plan(text, [Port(text, tensor)], [Port(text + "y", tensor)], [step(Operand(Space.INPUT), name=text)])
    compiles(program_source(plan, [variant()]), tmp_path / "program.c", "-std=c11", "-trigraphs")
    macro = f"{c_identifier(text).upper()}_INPUT_0_NAME"
    expected = ",".join(str(byte) for byte in text.encode() + b"\0")
    header = header_source(plan)
    check = f"#include <string.h>\nint main(void) {{ static const unsigned char wanted[] = {{{expected}}};\n"
    check += f"return sizeof {macro} != sizeof wanted || memcmp({macro}, wanted, sizeof wanted) != 0; }}\n"
    compiles(header + check, tmp_path / "main.c", "-std=c11", "-trigraphs")
    stubs = f"int edge_{'_dummy'};\n#include \"edge.h\"\n" + "".join(
        f"{result} {name}({arguments}) {{ return 0; }}\n"
        for result, name, arguments in [
            ("const edge_program *", f"{c_identifier(text)}_program", "void"),
            ("edge_status", "edge_model_open", "const edge_program *p, const char *w, const edge_model_options *o, "
             "edge_model **m, edge_error *e"),
            ("edge_status", "edge_session_bind_input", "edge_session *s, uint32_t i, const void *d, size_t n"),
            ("edge_status", "edge_session_bind_output", "edge_session *s, uint32_t i, void *d, size_t n"),
            ("edge_status", "edge_session_run", "edge_session *s"),
        ]
    )  # fmt: skip
    compiles(stubs, tmp_path / "stubs.c", "-Wno-unused-parameter")
    subprocess.run(["gcc", tmp_path / "main.c.o", tmp_path / "stubs.c.o", "-o", tmp_path / "main"], check=True)
    subprocess.run([tmp_path / "main"], check=True)


def test_a_nul_in_a_port_name_is_refused() -> None:
    plan = Plan("n", [Port("a\0b", TensorType((1,), "int8"))], [])
    with pytest.raises(EdgeError, match="NUL"):
        program_source(plan, [variant()])


@pytest.mark.parametrize("standard", ["c99", "c11", "c++11", "c++20"])
def test_the_header_compiles_for_every_dtype(tmp_path: Path, standard: str) -> None:
    inputs = [Port(dtype, TensorType((1, 2), dtype, Quant.per_tensor(0.1, -128))) for dtype in DTYPES]
    per_channel = Port("c", TensorType((2,), "int8", Quant((0.5, 0.25), (0, 1), 0)))
    plan = Plan("int", inputs, [per_channel, Port("s", TensorType((), "float32"))])
    (tmp_path / "int.h").write_text(header_source(plan))
    source = '#include "int.h"\n'
    source += "int main() { float s = INT_INPUT_0_SCALE; return s > 1 || INT_INPUT_0_ZERO_POINT; }\n"
    flags = (f"-std={standard}", "-pedantic", f"-I{tmp_path}")
    if "++" in standard:
        native_build.compile_cplusplus(source, tmp_path / "h.cc", f"-I{toolchain.NATIVE / 'include'}", *flags)
    else:
        compiles(source, tmp_path / "h.c", *flags)


@pytest.mark.parametrize(
    "bad, message",
    [
        (step(Operand(Space.ARENA, 257)), "outside of its space"),
        (step(Operand(Space.WEIGHTS, 101)), "outside of its space"),
        (step(Operand(Space.INPUT, 0, 1)), "outside of its space"),
        (step(Operand(Space.OUTPUT, 25)), "outside of its space"),
        (step(Operand(Space.NONE, 1)), "outside of its space"),
        (step(Operand(Space.ARENA, -1)), "outside of its space"),
        (step(tiles=0), "0 tiles"),
        (step(tiles=2**31), "2147483648 tiles"),
        (step(params=(2**31,)), "beyond int32"),
        (step(*[Operand(Space.NONE)] * 6), "6 operands"),
        (step(control=Control.JUMP, target=2), "goes to step 2 of 1"),
        (step(control=Control.JUMP, target=-1), "goes to step -1 of 1"),
        (step(control=Control.JUMP, target=0), "goes to step 0 of 1"),
        (step(Operand(Space.ARENA), control=Control.JUMP, target=1), "reads 0 bytes"),
        (step(control=Control.BRANCH, target=1), "reads 1 bytes"),
        (step(Operand(Space.ARENA, 256), control=Control.BRANCH, target=1), "reads 1 bytes"),
        (step(Operand(Space.NONE), control=Control.BRANCH, target=1), "reads 1 bytes"),
    ],
)
def test_steps_that_would_touch_foreign_memory_are_refused(bad: Step, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        program_source(plan_of(bad), [variant()])


def test_variants_are_checked() -> None:
    plan = plan_of(step(Operand(Space.INPUT)))
    with pytest.raises(ValueError, match="at least one"):
        program_source(plan, [])
    with pytest.raises(ValueError, match="cannot detect"):
        program_source(plan, [Variant("v", frozenset({"magic"}), {"k": "k"})])
    with pytest.raises(ValueError, match="not a C symbol"):
        program_source(plan, [variant(k="a; b")])


@pytest.mark.parametrize("size", [0, 1, 63, 64, 65, 5000])
def test_weights_file_round_trip(size: int) -> None:
    weights = bytes(range(256)) * 20
    data = weights_file(weights[:size])
    assert len(data) % 64 == 0 and data[:size] == weights[:size]
    assert len(check_weights_file(data)) == 64
    for i in range(0, len(data) - 16, 7):
        if size <= i < len(data) - 64:
            continue  # padding carries nothing
        with pytest.raises(EdgeError, match=r"weights\.bin"):
            check_weights_file(data[:i] + bytes([data[i] ^ 4]) + data[i + 1 :])
    for end in (0, 10, len(data) - 1):
        with pytest.raises(EdgeError, match=r"weights\.bin"):
            check_weights_file(data[:end])


@pytest.mark.parametrize(
    "name, expected",
    [
        ("mobilenetv2", "mobilenetv2"),
        ("a/b c.onnx", "a_b_c_onnx"),
        ("7x", "model_7x"),
        ("edge", "model_edge"),
        ("Edge/session", "model_Edge_session"),
        ("edgy", "edgy"),
        ("", "model"),
        ("\u4e2d", "model"),
    ],
)
def test_c_identifier(name: str, expected: str) -> None:
    assert c_identifier(name) == expected


def banded_plan() -> Plan:
    """Two steps in four bands of two rows of eight pixels."""
    none, handed = Operand(Space.NONE), Operand(Space.SCRATCH)
    plan = plan_of(
        step(Operand(Space.INPUT), none, none, handed),
        step(handed, none, none, Operand(Space.OUTPUT), barrier=False),
    )
    plan.scratch_size = 64
    whole, last = Stage(2, 0, 2, 8, 8, 16, Scratch(0, 32, 0, None)), Stage(2, 0, 2, 8)
    plan.bands = [Bands(0, 4, (whole, last), 128)]
    return plan


def test_tables_of_bands(tmp_path: Path) -> None:
    source = program_source(banded_plan(), [variant()])
    assert "{0, 2, 3, 3, 2, 0, 2, 8, 8, 16, 128, 0, 32, 0, -1}" in source
    compiles(source, tmp_path / "program.c", "-std=c11", "-pedantic")


@pytest.mark.parametrize(
    "change, message",
    [
        ({"first": 1}, "not steps of the plan"),
        ({"first": -1}, "not steps of the plan"),
        ({"count": 5}, "5 bands, but 4 tiles"),
        ({"arena": 193}, "need more scratch memory than 63 bytes"),
        ({"arena": -1}, "need more scratch memory"),
        ({"stages": (Stage(2, 0, 3, 8, 8, 16, Scratch(0, 32, 0, None)), Stage(2, 0, 2, 8))}, "than 64 bytes"),
        ({"stages": (Stage(2, 0, 2, 8, 8, 16, Scratch(0, 32, 1, None)), Stage(2, 0, 2, 8))}, "than 64 bytes"),
        ({"stages": (Stage(2, 0, 2, 8, 8, 0, Scratch(0, 32, 0, None)), Stage(2, 0, 2, 8))}, "cannot be"),
        ({"stages": (Stage(2, 0, 2, 8, 8, 16), Stage(2, 0, 2, 8))}, "not in scratch memory"),
        ({"stages": (Stage(2, 0, 2, 8, 8, 16),)}, "that nobody has"),
    ],
)
def test_bands_that_would_touch_foreign_memory_are_refused(change: dict[str, object], message: str) -> None:
    plan = banded_plan()
    plan.bands = [replace(plan.bands[0], **change)]  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=message):
        program_source(plan, [variant()])


def local_plan() -> Plan:
    """A step with scratch memory of its own."""
    none = Operand(Space.NONE)
    plan = plan_of(step(Operand(Space.INPUT), none, none, Operand(Space.OUTPUT), Operand(Space.SCRATCH, 128)))
    plan.scratch_size, plan.steps[0] = 64, replace(plan.steps[0], scratch=48)
    return plan


def test_tables_of_a_step_with_scratch_memory(tmp_path: Path) -> None:
    compiles(program_source(local_plan(), [variant()]), tmp_path / "program.c", "-std=c11", "-pedantic")


@pytest.mark.parametrize(
    ("offset", "scratch", "message"),
    [
        (128, 65, "65 bytes of scratch memory, which are not there"),
        (128, -1, "which are not there"),
        (209, 48, "which are not there"),
        (-1, 48, "outside of its space"),
        (128, 0, "that nobody has"),
    ],
)
def test_a_step_that_would_take_foreign_scratch_memory_is_refused(offset: int, scratch: int, message: str) -> None:
    plan = local_plan()
    operands = (*plan.steps[0].operands[:-1], Operand(Space.SCRATCH, offset))
    plan.steps[0] = replace(plan.steps[0], operands=operands, scratch=scratch)
    with pytest.raises(ValueError, match=message):
        program_source(plan, [variant()])


@pytest.mark.parametrize(("scratch", "fits"), [(32, True), (33, False)])
def test_a_step_in_bands_has_scratch_memory_behind_theirs(scratch: int, fits: bool) -> None:
    plan = banded_plan()
    operands = (*plan.steps[0].operands[:4], Operand(Space.SCRATCH, 32))
    plan.steps[0] = replace(plan.steps[0], operands=operands, scratch=scratch)
    with nullcontext() if fits else pytest.raises(ValueError, match="which are not there"):
        program_source(plan, [variant()])


def test_scratch_memory_without_bands_is_refused() -> None:
    plan = banded_plan()
    plan.bands = []
    with pytest.raises(ValueError, match="that nobody has"):
        program_source(plan, [variant()])
