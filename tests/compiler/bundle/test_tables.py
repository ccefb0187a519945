"""What the runtime unpacks of a program's tables is what the plan says."""

import json
import re
import subprocess
from pathlib import Path

from edgec.compiler.bundle import toolchain
from edgec.compiler.bundle.program import program_source
from edgec.compiler.bundle.variants import Variant
from edgec.compiler.ir.types import TensorType
from edgec.compiler.lower.plan import MAX_OPERANDS, Control, Operand, Plan, Port, Space, Step

FAR = 2**47
PRINTER = r"""
#include <stdio.h>
#include <stdlib.h>
#include "unpack.h"
const edge_program *edge_default_program(void);
void k(void) {}
void other(void) {}
static void text(const char *bytes) {
    printf("\"");
    for (; *bytes; bytes++) printf("\\u%04x", (unsigned)(unsigned char)*bytes);
    printf("\", ");
}
int main(void) {
    const edge_program *program = edge_default_program();
    edge_tables tables = edge_tables_unpack(program, malloc(edge_tables_size(program)));
    printf("[");
    for (uint32_t i = 0; i < program->step_count; i++) {
        const edge_step *step = &tables.steps[i];
        printf("%s[", i ? ", " : "");
        for (int j = 0; j < EDGE_OPERANDS; j++) {
            uint64_t at = step->operands[j];
            printf("[%d, %d, %llu], ", (int)EDGE_AT_SPACE(at), (int)EDGE_AT_INDEX(at),
                   (unsigned long long)EDGE_AT_OFFSET(at));
        }
        text(tables.text + step->name);
        text(tables.text + (step->control ? step->params : program->kernel_names[step->kernel]));
        for (int j = 0; j < 3; j++) printf("%d, ", step->control ? 0 : tables.params[step->params + j]);
        printf("%llu, %d, %d, %d, %d]", (unsigned long long)step->macs, (int)step->barrier, (int)step->control,
               step->control ? (int)step->kernel : 0, step->tiles);
    }
    printf("]\n");
    return 0;
}
"""


def unpacked(plan: Plan, folder: Path) -> object:
    (folder / "printer.c").write_text(PRINTER)
    (folder / "program.c").write_text(
        program_source(plan, [Variant("base", frozenset(), {"k": "k", "other": "other"})])
    )
    source = toolchain.NATIVE / "src"
    includes = [f"-I{toolchain.NATIVE / 'include'}", f"-I{source}"]
    flags = ["-std=gnu11", "-Wall", "-Wextra", "-Werror", "-fsanitize=address,undefined", "-g"]
    files = [folder / "printer.c", folder / "program.c", source / "unpack.c"]
    subprocess.run(["gcc", *flags, *includes, *files, "-o", folder / "printer"], check=True)
    environment = {"ASAN_OPTIONS": "detect_leaks=0"}
    done = subprocess.run(
        ["setarch", "-R", folder / "printer"], check=True, capture_output=True, text=True, env=environment
    )
    return json.loads(re.sub(r"\s+", " ", done.stdout))


def expected(step: Step) -> list[object]:
    operands = [*step.operands, *[Operand(Space.NONE)] * (MAX_OPERANDS - len(step.operands))]
    texts = [text.replace("\0", " ").encode().decode("latin-1") for text in (step.name, step.action)]
    params = (0, 0, 0) if step.control else step.params
    barrier = int(step.barrier or step.control != Control.NONE)
    places = [[operand.space.value, operand.index, operand.offset] for operand in operands]
    return [*places, *texts, *params, step.macs, barrier, step.control.value, step.target, step.tiles]


def test_steps_params_and_names_are_those_of_the_plan(tmp_path: Path) -> None:
    tensor, byte = TensorType((2, 3), "float32"), Operand(Space.ARENA, 7)
    steps = [
        Step(
            "k", (Operand(Space.INPUT), Operand(Space.WEIGHTS, 64), Operand(Space.OUTPUT, 4)), (1, -1, 63), 4, name="n"
        ),
        Step(
            "other", (Operand(Space.INPUT, 3, 299),), (-(2**31), 2**31 - 1, -64), 2**31 - 1, False, "x" * 700, 2**56 - 1
        ),
        Step("", (byte,), (), 0, name="x" * 699, control=Control.BRANCH, target=4),
        Step("k", (Operand(Space.NONE), *[Operand(Space.ARENA, FAR - i) for i in range(4)]), (1, -1, 63), 127, name=""),
        Step("k", (), (64, -65, 8191), 128, name="x/\u4e2d\U0001f600/a\0b", macs=127),
        Step("other", (), (8192, -8193, 0), 1, name="x/\u4e2d\U0001f600/c", macs=128),
        Step("", (), (), 0, name="n", control=Control.JUMP, target=0),
        Step("", (byte,), (), 0, control=Control.REQUIRE),
    ]
    inputs = [Port(f"x{i}", tensor) for i in range(300)]
    plan = Plan("net", inputs, [Port("y", tensor)], steps, arena_size=FAR, weights=b"w" * 100)
    assert unpacked(plan, tmp_path) == [expected(step) for step in steps]


def test_a_plan_may_be_empty(tmp_path: Path) -> None:
    assert unpacked(Plan("net", [], []), tmp_path) == []
