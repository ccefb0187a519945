"""A small model with hand-written C kernels, whose right answer numpy knows, built in every form of the runtime."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from edgec.compiler.bundle import program, toolchain
from edgec.compiler.bundle.c_text import c_identifier
from edgec.compiler.bundle.header import header_source
from edgec.compiler.bundle.variants import Variant
from edgec.compiler.ir.extent import Extent, Symbol
from edgec.compiler.ir.types import Quant, TensorType
from edgec.compiler.lower.plan import Bands, Control, Operand, Plan, Port, Scratch, Space, Stage, State, Step
from edgec.tests import native_build

ELEMENTS = 4096
NBYTES = ELEMENTS * 4
ROUNDS = 6
KERNELS = (Path(__file__).parent / "native" / "kernels.c").read_text()
SYMBOLS = {
    "mix": "toy_mix",
    "reverse": "toy_reverse",
    "poke": "toy_poke",
    **{f: f"toy_{f}" for f in ("spin", "count", "length", "pairs", "keep", "copy", "dump", "pixels", "window")},
}


WRAPPED = [
    f"-Wl,--wrap=edge_os_{call}"
    for call in ("alloc", "free", "map_file", "get_cpus", "set_cpus", "thread_start", "thread_join")
]
"""The harness stands between the runtime and these calls of the platform."""


def tensor_at(space: Space, number: int = 0, index: int = 0) -> Operand:
    return Operand(space, number * NBYTES, index)


def make_io_plan(name: str) -> Plan:
    """A plan without steps, and room for four tensors in its arena."""
    return Plan(
        name=name,
        inputs=[
            Port("x", TensorType((1, ELEMENTS), "int32")),
            Port('odd "name"/=\\', TensorType((ELEMENTS,), "int32")),
        ],
        outputs=[
            Port("y", TensorType((ELEMENTS,), "int32", Quant.per_tensor(0.5, -3))),
            Port("z/2", TensorType((64, 64), "int32")),
        ],
        arena_size=4 * NBYTES,
        weights=np.arange(ELEMENTS, dtype="<i4").tobytes(),
    )


def make_toy_plan() -> Plan:
    """Rounds of two steps that overlap and two that need all of both: wrong order or a lost tile changes the result."""
    plan = make_io_plan("toy net")
    x, odd, weights = tensor_at(Space.INPUT), tensor_at(Space.INPUT, index=1), tensor_at(Space.WEIGHTS)
    a, b, c, d = (tensor_at(Space.ARENA, i) for i in range(4))
    y, z = tensor_at(Space.OUTPUT), tensor_at(Space.OUTPUT, index=1)

    def step(kernel: str, first: Operand, second: Operand, out: Operand, tiles: int, barrier: bool) -> None:
        params = (ELEMENTS, tiles, len(plan.steps))
        plan.steps.append(Step(kernel, (first, second, out), params, tiles, barrier, f"{kernel}{len(plan.steps)}", 7))

    step("mix", x, weights, a, 64, True)
    step("mix", odd, weights, b, 1, False)
    for i in range(ROUNDS):
        step("reverse", a, b, c, 1 << i, True)
        step("reverse", b, a, d, 512, False)
        step("mix", c, d, a, 7, True)
        step("mix", d, c, b, 4096, False)
    step("reverse", a, b, y, 33, True)
    step("mix", a, b, z, 3, False)
    return plan


def compute_toy(x: np.ndarray, odd: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    number = -1

    def mix(first: np.ndarray, second: np.ndarray) -> np.ndarray:
        nonlocal number
        number += 1
        return first * np.uint32(31) + second + np.uint32(number)

    def reverse(first: np.ndarray, second: np.ndarray) -> np.ndarray:
        return mix(first[::-1], second)

    weights = np.arange(ELEMENTS, dtype=np.uint32)
    a, b = mix(x.reshape(-1).view(np.uint32), weights), mix(odd.view(np.uint32), weights)
    for _ in range(ROUNDS):
        c, d = reverse(a, b), reverse(b, a)
        a, b = mix(c, d), mix(d, c)
    return reverse(a, b).view(np.int32), mix(a, b).view(np.int32).reshape(64, 64)


TURNS = 9


def make_loop_plan() -> Plan:
    """A loop of `TURNS` turns, odd ones by another way than even ones: the steps are few, and soon run again."""
    plan = make_io_plan("loop net")
    plan.arena_size += 8
    x, odd, weights = tensor_at(Space.INPUT), tensor_at(Space.INPUT, index=1), tensor_at(Space.WEIGHTS)
    a, b, c, d, counter = (tensor_at(Space.ARENA, i) for i in range(5))
    y, z = tensor_at(Space.OUTPUT), tensor_at(Space.OUTPUT, index=1)
    turning, is_odd = (replace(counter, offset=counter.offset + i) for i in (4, 5))

    def mix(first: Operand, second: Operand, out: Operand, tiles: int, barrier: bool, kernel: str = "mix") -> None:
        params = (ELEMENTS, tiles, len(plan.steps))
        plan.steps.append(Step(kernel, (first, second, out), params, tiles, barrier, f"{kernel}{len(plan.steps)}", 7))

    def count(start: int) -> None:
        plan.steps.append(Step("count", (counter, turning), (start,), 1, name="count"))

    def control(kind: Control, *operands: Operand) -> int:
        plan.steps.append(Step("", operands, (), 0, name=f"{kind.name} at {len(plan.steps)}", control=kind))
        return len(plan.steps) - 1

    def land(index: int) -> None:
        plan.steps[index] = replace(plan.steps[index], target=len(plan.steps))

    mix(x, weights, a, 64, True)
    mix(odd, weights, b, 3, False)
    count(TURNS)
    head = control(Control.BRANCH, turning)
    mix(a, b, c, 5, True, "reverse")
    mix(b, a, d, 512, False, "reverse")
    skip = control(Control.BRANCH, is_odd)
    mix(c, d, a, 7, True)
    mix(d, c, b, 33, False)
    over = control(Control.JUMP)
    land(skip)
    mix(d, c, a, 1, True)
    mix(c, d, b, 2, True)
    land(over)
    count(0)
    back = control(Control.JUMP)
    plan.steps[back] = replace(plan.steps[back], target=head)
    land(head)
    mix(a, b, y, 33, True, "reverse")
    mix(a, b, z, 3, False)
    return plan


SIDE = 64
"""Rows of a tensor, seen as a picture, and elements of a row."""


def make_bands_plan() -> Plan:
    """Two chains of three steps by bands, the second with stride 2, and what they hand over in scratch memory."""
    plan = make_io_plan("bands net")
    row, weights = SIDE * 4, tensor_at(Space.WEIGHTS)
    a, z = tensor_at(Space.ARENA), tensor_at(Space.OUTPUT, index=1)
    none = Operand(Space.NONE)
    plan.scratch_size = 64 * row
    plan.steps.append(Step("mix", (tensor_at(Space.INPUT, index=1), weights, z), (ELEMENTS, 3, 0), 3))
    for stride, height, x, y in ((1, 6, tensor_at(Space.INPUT), a), (2, 4, a, tensor_at(Space.OUTPUT))):
        wide, handed = (Operand(Space.SCRATCH, offset * row) for offset in (0, 20))
        rows = SIDE // stride
        count = -(-rows // height)
        first = len(plan.steps)
        plan.steps += [
            Step("pixels", (x, weights, none, replace(wide, offset=row)), (0, ELEMENTS, 40, 1), count),
            Step("window", (wide, none, none, handed), (rows, height, SIDE, stride), count, False),
            Step("pixels", (handed, weights, none, y), (0, rows * SIDE, 40, 2), count, False),
        ]
        scratch = Scratch(0, row, 0, 7), Scratch(20 * row, row, 0, None)
        window = (height - 1) * stride + 3
        stages = (
            Stage(height * stride, 1, window, SIDE, SIDE, 40, scratch[0]),
            Stage(height, 0, height, rows, 0, height, scratch[1]),
            Stage(height, 0, height, rows, SIDE, 40),
        )
        plan.bands.append(Bands(first, count, stages, NBYTES))
    plan.steps.append(Step("mix", (a, weights, Operand(Space.OUTPUT, NBYTES // 2)), (ELEMENTS // 2, 7, 3), 7))
    return plan


def compute_bands(x: np.ndarray, odd: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    weights = np.arange(ELEMENTS, dtype=np.uint32)

    def pixels(x: np.ndarray, number: int) -> np.ndarray:
        return x * np.uint32(31) + weights.reshape(SIDE, SIDE)[: len(x)] + np.uint32(number)

    def chain(x: np.ndarray, stride: int) -> np.ndarray:
        padded = np.pad(pixels(x, 1), ((1, 1), (0, 0)), constant_values=0x07070707)
        above, at, below = (padded[i : i + SIDE : stride] for i in range(3))
        return pixels(above + np.uint32(3) * at + np.uint32(5) * below, 2)

    a = chain(x.reshape(SIDE, SIDE).view(np.uint32), 1)
    half = (a.reshape(-1) * np.uint32(31) + weights + np.uint32(3))[: ELEMENTS // 2]
    z = odd.view(np.uint32) * np.uint32(31) + weights
    return np.append(chain(a, 2).reshape(-1), half).view(np.int32), z.view(np.int32).reshape(64, 64)


def make_endless_plan() -> Plan:
    """Never ends by itself."""
    plan = make_io_plan("endless net")
    a, b = (tensor_at(Space.ARENA, i) for i in range(2))
    plan.steps.append(Step("mix", (tensor_at(Space.INPUT), tensor_at(Space.WEIGHTS), a), (ELEMENTS, 3, 0), 3))
    plan.steps.append(Step("mix", (a, tensor_at(Space.INPUT, index=1), b), (ELEMENTS, 64, 1), 64))
    plan.steps.append(Step("", (), (), 0, control=Control.JUMP, target=1))
    return plan


def compute_loop(x: np.ndarray, odd: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    def mix(first: np.ndarray, second: np.ndarray, step: int) -> np.ndarray:
        return first * np.uint32(31) + second + np.uint32(step)

    weights = np.arange(ELEMENTS, dtype=np.uint32)
    a, b = mix(x.reshape(-1).view(np.uint32), weights, 0), mix(odd.view(np.uint32), weights, 1)
    for turn in range(TURNS, 0, -1):
        c, d = mix(a[::-1], b, 4), mix(b[::-1], a, 5)
        a, b = (mix(c, d, 7), mix(d, c, 8)) if turn % 2 else (mix(d, c, 10), mix(c, d, 11))
    return mix(a[::-1], b, 14).view(np.int32), mix(a, b, 15).view(np.int32).reshape(64, 64)


LENGTH = Symbol("length", 0, 40)


def make_measured_plan() -> Plan:
    """A loop in which a number from the data decides how many tiles a step has, perhaps none, and where it reads."""
    plan = make_io_plan("measured net")
    plan.arena_size += 16
    plan.symbols.append(LENGTH)
    x, odd, weights = tensor_at(Space.INPUT), tensor_at(Space.INPUT, index=1), tensor_at(Space.WEIGHTS)
    a, b, c, d, counter = (tensor_at(Space.ARENA, i) for i in range(5))
    y, z = tensor_at(Space.OUTPUT), tensor_at(Space.OUTPUT, index=1)
    turning, number = replace(counter, offset=counter.offset + 4), replace(counter, offset=counter.offset + 8)
    length = Extent(LENGTH.high, LENGTH)
    tiles, either = length * 7 % 50, replace(a, offset=length % 2 * NBYTES)

    def mix(first: Operand, second: Operand, out: Operand, tiles: int, barrier: bool = True) -> None:
        plan.steps.append(Step("mix", (first, second, out), (ELEMENTS, tiles, len(plan.steps)), tiles, barrier))

    mix(x, weights, a, 64)
    mix(odd, weights, b, 3, False)
    mix(odd, x, c, 3, False)

    def measure(barrier: bool) -> None:
        plan.steps.append(Step("length", (counter, a, number), (), 1, barrier))
        plan.steps.append(Step("", (number,), (), 0, control=Control.MEASURE, target=0))

    plan.steps.append(Step("count", (counter, turning), (TURNS,), 1))
    measure(barrier=True)
    plan.steps.append(Step("", (turning,), (), 0, control=Control.BRANCH, target=14))
    mix(either, b, c, tiles)
    mix(b, a, d, length + 1, False)
    measure(barrier=False)
    mix(c, d, a, 5)
    plan.steps += [Step("count", (counter, turning), (0,), 1), Step("", (), (), 0, control=Control.JUMP, target=6)]
    mix(a, b, y, 33)
    mix(a, c, z, 3, False)
    return plan


def compute_measured(x: np.ndarray, odd: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    def mix(first: np.ndarray, second: np.ndarray, step: int) -> np.ndarray:
        return first * np.uint32(31) + second + np.uint32(step)

    flat, weights = x.reshape(-1).view(np.uint32), np.arange(ELEMENTS, dtype=np.uint32)
    a, b, c = mix(flat, weights, 0), mix(odd.view(np.uint32), weights, 1), mix(odd.view(np.uint32), flat, 2)
    skipped, length = 0, measured_length(a, TURNS)
    for turn in range(TURNS, 0, -1):
        skipped += length * 7 % 50 == 0
        c, d = c if length * 7 % 50 == 0 else mix(b if length % 2 else a, b, 7), mix(b, a, 8)
        length = measured_length(a, turn)
        a = mix(c, d, 11)
    assert skipped
    return mix(a, b, 14).view(np.int32), mix(a, c, 15).view(np.int32).reshape(64, 64)


def measured_length(a: np.ndarray, turn: int) -> int:
    return min(max(int(a[0]) % 64 - 20 + turn, LENGTH.low), LENGTH.high)


ROWS, WIDTH, KEPT = Symbol("N", 1, 8), Symbol("W", 4, 64, 4), Symbol("kept", 0, 512)


def make_shapes_plan() -> Plan:
    """x[N, W] and bias[N] to sums of pairs [N, W // 2], positive elements [kept], and how many there ever were."""
    n, w, kept = (Extent(symbol.high, symbol) for symbol in (ROWS, WIDTH, KEPT))
    plan = Plan(
        name="shapes net",
        inputs=[Port("x", TensorType((n, w), "int32")), Port("bias", TensorType((n,), "int32"))],
        outputs=[
            Port("pairs", TensorType((n, w // 2), "int32")),
            Port("kept", TensorType((kept,), "int32")),
            Port("total", TensorType((), "int32")),
        ],
        arena_size=64 + 4 * 512 + 64,
        symbols=[ROWS, WIDTH, KEPT],
        states=[State("tally", "tally_out", TensorType((1,), "int32"), 2048 + 96)],
    )
    count, found, tally = (Operand(Space.ARENA, offset) for offset in (0, 64, 2048 + 96))
    x, bias = Operand(Space.INPUT), Operand(Space.INPUT, index=1)
    pairs, out, total = (Operand(Space.OUTPUT, index=i) for i in range(3))
    plan.steps += [
        Step("pairs", (x, bias, pairs), (w, w // 2), n, name="pairs"),
        Step("keep", (x, found, count, tally, total), (n * w,), 1, False, name="keep"),
        Step("", (count,), (), 0, control=Control.MEASURE, target=2),
        Step("copy", (found, out), (kept,), (kept + 15) // 16, name="copy"),
    ]
    return plan


def make_poke_plan(offset: int, output_index: int = 0) -> Plan:
    """Writes one byte at `offset` from the start of a 256-byte arena, and one element of a one-element output."""
    out = TensorType((1,), "int32")
    plan = Plan("poke", [], [Port("y", out)], arena_size=256)
    plan.steps.append(
        Step("poke", (Operand(Space.ARENA), Operand(Space.OUTPUT)), (offset, output_index), 1, name="poke")
    )
    return plan


def make_spin_plan() -> Plan:
    """Takes a while."""
    plan = Plan("spin", [], [Port("y", TensorType((1,), "int32"))])
    plan.steps.append(Step("spin", (Operand(Space.OUTPUT),), (2000000,), 8, name="spin"))
    return plan


def variants(triple: toolchain.Triple) -> list[Variant]:
    arm64 = [{"dotprod", "i8mm"}, {"dotprod", "inorder"}, {"dotprod"}, set()]
    features = {"aarch64": arm64, "x86_64": [{"avx2"}, set()]}[triple.arch]
    return [Variant(max(needed, default="base"), frozenset(needed), SYMBOLS) for needed in features]


@dataclass(frozen=True)
class Built:
    """A bundle folder, less the manifest."""

    folder: Path
    library: Path
    weights: Path
    plan: Plan


def build_bundle(plan: Plan, triple: toolchain.Triple, folder: Path) -> Built:
    folder.mkdir(parents=True)
    name = c_identifier(plan.name)
    objects = [toolchain.compile_c(program.program_source(plan, variants(triple)), triple)]
    objects.append(toolchain.compile_c(KERNELS, triple))
    library, weights, runner = folder / f"lib{name}.so", folder / "weights.bin", folder / "run"
    library.write_bytes(toolchain.link_library(library.name, program.exported_symbols(plan), objects, triple))
    weights.write_bytes(program.weights_file(plan.weights))
    runner.write_bytes(toolchain.link_runner(objects, triple))
    runner.chmod(0o755)
    (folder / f"{name}.h").write_text(header_source(plan))
    (folder / "edge.h").write_bytes((toolchain.NATIVE / "include" / "edge.h").read_bytes())
    return Built(folder, library, weights, plan)


@pytest.fixture(scope="session")
def make_bundle(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Plan, toolchain.Triple], Built]:
    """Builds a bundle once a session for each plan and triple."""
    made: dict[str, Built] = {}

    def make(plan: Plan, triple: toolchain.Triple) -> Built:
        key = f"{plan.name}-{plan.steps[0].params}-{triple}"
        if key not in made:
            made[key] = build_bundle(plan, triple, tmp_path_factory.mktemp("bundle") / "model.edge")
        return made[key]

    return make


@pytest.fixture(scope="session")
def toy(make_bundle: Callable[[Plan, toolchain.Triple], Built]) -> Built:
    """The toy model for this machine."""
    return make_bundle(make_toy_plan(), toolchain.Triple.host())


@pytest.fixture(scope="session")
def loop(make_bundle: Callable[[Plan, toolchain.Triple], Built]) -> Built:
    """The model with a loop for this machine."""
    return make_bundle(make_loop_plan(), toolchain.Triple.host())


@pytest.fixture(scope="session")
def measured(make_bundle: Callable[[Plan, toolchain.Triple], Built]) -> Built:
    """The model that measures, for this machine."""
    return make_bundle(make_measured_plan(), toolchain.Triple.host())


@pytest.fixture(scope="session")
def bands(make_bundle: Callable[[Plan, toolchain.Triple], Built]) -> Built:
    """The model with steps that are computed by bands, for this machine."""
    return make_bundle(make_bands_plan(), toolchain.Triple.host())


@pytest.fixture(scope="session")
def shapes(make_bundle: Callable[[Plan, toolchain.Triple], Built]) -> Built:
    """The model whose shapes differ from run to run, for this machine."""
    return make_bundle(make_shapes_plan(), toolchain.Triple.host())


@pytest.fixture(scope="session")
def toy_plan() -> Plan:
    return make_toy_plan()


@pytest.fixture(scope="session")
def loop_plan() -> Callable[[], Plan]:
    return make_loop_plan


@pytest.fixture(scope="session")
def endless_plan() -> Callable[[], Plan]:
    return make_endless_plan


@pytest.fixture(scope="session")
def measured_plan() -> Callable[[], Plan]:
    return make_measured_plan


@pytest.fixture(scope="session")
def bands_plan() -> Callable[[], Plan]:
    return make_bands_plan


@pytest.fixture(scope="session")
def shapes_plan() -> Callable[[], Plan]:
    return make_shapes_plan


@pytest.fixture(scope="session")
def spin_plan() -> Plan:
    return make_spin_plan()


@pytest.fixture(scope="session")
def poke_plan() -> Callable[..., Plan]:
    return make_poke_plan


@pytest.fixture(scope="session")
def toy_expected() -> Callable[..., tuple[np.ndarray, np.ndarray]]:
    """numpy's answer to the toy model's inputs, in their order."""
    return compute_toy


@pytest.fixture(scope="session")
def loop_expected() -> Callable[..., tuple[np.ndarray, np.ndarray]]:
    """numpy's answer to the loop model's inputs, in their order."""
    return compute_loop


@pytest.fixture(scope="session")
def measured_expected() -> Callable[..., tuple[np.ndarray, np.ndarray]]:
    """numpy's answer to the measuring model's inputs, in their order."""
    return compute_measured


@pytest.fixture(scope="session")
def bands_expected() -> Callable[..., tuple[np.ndarray, np.ndarray]]:
    """numpy's answer to the inputs of the model with bands, in their order."""
    return compute_bands


@pytest.fixture
def toy_inputs() -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    shapes = {"x": (1, ELEMENTS), 'odd "name"/=\\': (ELEMENTS,)}
    return {name: random.integers(-(2**31), 2**31, shape, np.int32) for name, shape in shapes.items()}


@pytest.fixture(scope="session")
def gcc_harness(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Builds native/harness.c, a plan, and the runtime's posix form by gcc, with the given extra flags."""
    made: dict[tuple[str, ...], Path] = {}
    here = Path(__file__).parent / "native"

    def make(*flags: str, make_plan: Callable[[], Plan] = make_toy_plan) -> Path:
        plan = make_plan()
        key = (plan.name, *flags)
        if key in made:
            return made[key]
        folder = tmp_path_factory.mktemp("harness")
        triple = toolchain.Triple.host()
        (folder / "program.c").write_text(program.program_source(plan, variants(triple)))
        (folder / "weights.bin").write_bytes(program.weights_file(plan.weights))
        files = [folder / "program.c", here / "harness.c", here / "kernels.c"]
        made[key] = native_build.build(folder / "harness", files, [*flags, *WRAPPED])
        return made[key]

    return make
