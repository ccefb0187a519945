"""The Python binding on the shared library as it ships: raw system calls, no libc."""

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgec.compiler.bundle import program, toolchain
from edgec.errors import EdgeError
from edgec.runtimes.python import Model
from edgec.tests import native_build

ARM64 = toolchain.Triple("aarch64")
ANDROID = toolchain.Triple("aarch64", "android")


@pytest.fixture
def model(toy: Any) -> Iterator[Model]:
    with Model(toy.library, toy.weights) as model:
        yield model


def check(results: dict[str, np.ndarray], inputs: dict[str, np.ndarray], expected: Callable[..., Any]) -> None:
    y, z = expected(*inputs.values())
    np.testing.assert_array_equal(results["y"], y)
    np.testing.assert_array_equal(results["z/2"], z)


def test_describes_itself(model: Model) -> None:
    assert model.name == "toy net"
    assert [str(port) for port in model.inputs] == ["'x' int32[1, 4096]", "'odd \"name\"/=\\' int32[4096]"]
    assert model.outputs[0].scale == (0.5,) and model.outputs[0].zero_point == (-3,) and model.outputs[0].axis is None
    assert model.outputs[1].scale == () and model.outputs[1].shape == (64, 64)


@pytest.mark.parametrize("threads", [0, 1, 2, 5])
@pytest.mark.parametrize("variant", [None, "base"])
def test_computes_what_numpy_computes(
    toy: Any, toy_inputs: dict[str, np.ndarray], toy_expected: Any, threads: int, variant: str | None
) -> None:
    with Model(toy.library, toy.weights, threads=threads, variant=variant) as model:
        for _ in range(50):
            check(model.run(toy_inputs), toy_inputs, toy_expected)
        assert variant is None or model.variant == variant


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_loops_and_branches(loop: Any, toy_inputs: dict[str, np.ndarray], loop_expected: Any, threads: int) -> None:
    with Model(loop.library, loop.weights) as model, model.session(threads, profile=True) as session:
        for _ in range(50):
            check(session.run(toy_inputs), toy_inputs, loop_expected)
        rows = session.profile()
        assert session.memory().runtime == program.runtime_memory(loop.plan, threads) + 8 * len(rows)
    assert [rows[i].kernel for i in (2, 3, 9)] == ["count", "branch", "jump"]


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_measured_extents(
    measured: Any, toy_inputs: dict[str, np.ndarray], measured_expected: Any, threads: int
) -> None:
    with Model(measured.library, measured.weights, threads=threads) as model:
        for _ in range(50):
            check(model.run(toy_inputs), toy_inputs, measured_expected)


@pytest.mark.parametrize("threads", [1, 2, 3, 4, 9])
def test_bands(bands: Any, toy_inputs: dict[str, np.ndarray], bands_expected: Any, threads: int) -> None:
    with Model(bands.library, bands.weights) as model, model.session(threads, profile=True, guard=True) as session:
        for _ in range(50):
            check(session.run(toy_inputs), toy_inputs, bands_expected)
        memory, rows = session.memory(), session.profile()
    assert [row.kernel for row in rows] == ["mix", *["pixels", "window", "pixels"] * 2, "mix"]
    assert all(row.ns > 0 for row in rows), "each step has its own time"
    assert memory.arena == bands.plan.arena_size + (threads - 1) * bands.plan.scratch_size
    assert memory.runtime == program.runtime_memory(bands.plan, threads) + 8 * len(rows)


def shapes_inputs(n: int, w: int, low: int = -100) -> dict[str, np.ndarray]:
    random = np.random.default_rng(n * 100 + w)
    return {
        "x": random.integers(low, 100, (n, w), np.int32),
        "bias": random.integers(-100, 100, n, np.int32),
    }


def check_shapes(results: dict[str, np.ndarray], inputs: dict[str, np.ndarray]) -> None:
    x = inputs["x"]
    np.testing.assert_array_equal(results["pairs"], x[:, ::2] + x[:, 1::2] + inputs["bias"][:, None])
    np.testing.assert_array_equal(results["kept"], x[x > 0])


@pytest.mark.parametrize("threads", [1, 3])
def test_any_shape_in_range(shapes: Any, threads: int) -> None:
    with Model(shapes.library, shapes.weights) as model, model.session(threads, guard=True) as session:
        assert [str(port) for port in model.inputs] == ["'x' int32[1..8, 4..64/4]", "'bias' int32[1..8]"]
        assert session.memory().runtime == program.runtime_memory(shapes.plan, threads)
        total = 0
        for n, w in [(8, 64), (1, 4), (3, 24), (8, 4), (1, 64)]:
            inputs = shapes_inputs(n, w)
            results = session.run(inputs)
            check_shapes(results, inputs)
            total += results["kept"].size
            assert results["total"].shape == () and results["total"] == total
        empty = {"x": np.full((2, 8), -1, np.int32), "bias": np.zeros(2, np.int32)}
        assert session.run(empty)["kept"].shape == (0,)


def test_wrong_shapes_are_named(shapes: Any) -> None:
    with Model(shapes.library, shapes.weights) as model:
        good = shapes_inputs(3, 8)
        for x, said in [
            (np.zeros((9, 8), np.int32), r"input \"x\" has shape \[9, 8\], but \[1..8, 4..64/4\] is accepted"),
            (np.zeros((3, 6), np.int32), r"shape \[3, 6\], but"),
            (np.zeros((3, 8, 1), np.int32), r"shape \[3, 8, 1\], but"),
            (np.zeros((4, 8), np.int32), r"dimension 0 of input \"bias\" is 3, but must equal dimension 0 of input"),
        ]:
            with pytest.raises(EdgeError, match=said):
                model.run({**good, "x": x})
        check_shapes(model.run(good), good)


def test_states_stay_until_they_are_reset(shapes: Any) -> None:
    with Model(shapes.library, shapes.weights) as model, model.session() as session, model.session() as other:
        (state,) = model.states
        assert (state.input, state.output, state.shape, state.dtype) == ("tally", "tally_out", (1,), "int32")
        inputs = shapes_inputs(2, 8, low=1)
        assert [int(session.run(inputs)["total"]) for _ in range(3)] == [16, 32, 48]
        assert session.state("tally_out") == 48 and other.state("tally") == 0
        session.set_state("tally", np.array([100], np.int32))
        assert session.run(inputs)["total"] == 116
        session.reset()
        assert session.state("tally") == 0 and session.run(inputs)["total"] == 16
        with pytest.raises(EdgeError, match=r"state 'tally' is int32\[1\], but float64\[2\] was given"):
            session.set_state("tally", np.zeros(2))
        with pytest.raises(EdgeError, match='has no state named "x"'):
            session.state("x")
    with pytest.raises(EdgeError, match="closed"):
        session.state("tally")


def test_sessions_share_weights_and_run_at_once(
    model: Model, toy: Any, toy_inputs: dict[str, np.ndarray], toy_expected: Any
) -> None:
    def work() -> None:
        with model.session(threads=2) as session:
            for _ in range(30):
                check(session.run(toy_inputs), toy_inputs, toy_expected)
            done.append(session.memory())

    done: list[Any] = []
    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(done) == 4
    assert {memory.weights for memory in done} == {toy.weights.stat().st_size}
    assert {memory.arena for memory in done} == {toy.plan.arena_size}


def test_one_session_serves_several_threads_one_after_the_other(
    model: Model, toy_inputs: dict[str, np.ndarray], toy_expected: Any
) -> None:
    threads = [threading.Thread(target=lambda: results.append(model.run(toy_inputs))) for _ in range(8)]
    results: list[dict[str, np.ndarray]] = []
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 8
    for result in results:
        check(result, toy_inputs, toy_expected)


def test_a_run_releases_the_interpreter(make_bundle: Any, spin_plan: Any) -> None:
    spin = make_bundle(spin_plan, toolchain.Triple.host())
    with Model(spin.library, spin.weights) as model:
        thread = threading.Thread(target=lambda: [model.run({}) for _ in range(20)])
        thread.start()
        turns = 0
        while thread.is_alive():
            turns += 1
        assert turns > 1000


def test_a_run_is_cancelled(make_bundle: Any, endless_plan: Any, toy_inputs: dict[str, np.ndarray]) -> None:
    endless = make_bundle(endless_plan(), toolchain.Triple.host())
    with Model(endless.library, endless.weights) as model, model.session(threads=2) as session:
        session.cancel()
        for _ in range(3):
            with pytest.raises(EdgeError, match="the run was cancelled"):
                session.run(toy_inputs, timeout=0.02)
        timer = threading.Timer(0.1, session.cancel)
        timer.start()
        with pytest.raises(EdgeError, match="the run was cancelled"):
            session.run(toy_inputs)
    session.cancel()


def test_profile_counts_each_step(model: Model, toy_inputs: dict[str, np.ndarray]) -> None:
    with model.session(threads=2, profile=True) as session:
        for _ in range(3):
            session.run(toy_inputs)
        rows = session.profile()
    assert [row.name for row in rows[:3]] == ["mix0", "mix1", "reverse2"]
    assert all(row.runs == 3 and row.ns > 0 and row.macs == 7 for row in rows)
    with model.session() as session, pytest.raises(EdgeError, match="without EDGE_SESSION_PROFILE"):
        session.profile()


@pytest.mark.parametrize("offset, where", [(-1, "1 bytes before"), (-64, "64 bytes before"), (256, "1 bytes past")])
def test_guard_finds_writes_beside_the_arena(make_bundle: Any, poke_plan: Any, offset: int, where: str) -> None:
    poke = make_bundle(poke_plan(offset), toolchain.Triple.host())
    with Model(poke.library, poke.weights) as model:
        model.run({})
        with model.session(guard=True) as session, pytest.raises(EdgeError, match=where):
            session.run({})


@pytest.mark.parametrize(
    "change, message",
    [
        ({"w": np.zeros(1)}, "no input 'w'; its inputs are 'x' int32"),
        ({"x": None}, "input 'x' .* is missing"),
        ({"x": np.zeros((1, 4096))}, "dtype float64, but int32 is accepted"),
        ({"x": np.zeros((4096,), np.int32)}, r"shape \[4096\], but \[1, 4096\]"),
        ({"x": np.zeros((1, 4096), ">i4")}, "dtype >i4"),
    ],
)
def test_wrong_inputs_are_named(
    model: Model, toy_inputs: dict[str, np.ndarray], change: dict[str, Any], message: str
) -> None:
    inputs = {name: value for name, value in {**toy_inputs, **change}.items() if value is not None}
    with pytest.raises(EdgeError, match=message):
        model.run(inputs)


def test_strided_and_misaligned_inputs_are_copied(
    model: Model, toy_inputs: dict[str, np.ndarray], toy_expected: Any
) -> None:
    strided = np.zeros((1, 2 * 4096), np.int32)
    strided[:, ::2] = toy_inputs["x"]
    odd = np.zeros(4 * 4096 + 1, np.uint8)[1:].view(np.int32)
    odd[:] = toy_inputs['odd "name"/=\\']
    check(model.run({"x": strided[:, ::2], 'odd "name"/=\\': odd}), toy_inputs, toy_expected)


def damage_nothing(data: bytearray) -> None:
    data.clear()


def damage_length(data: bytearray) -> None:
    del data[-1]


def damage_magic(data: bytearray) -> None:
    data[-64] ^= 1


def damage_digest(data: bytearray) -> None:
    data[-40] ^= 1


@pytest.mark.parametrize(
    "damage, message",
    [
        (damage_nothing, "0 bytes long"),
        (damage_length, "truncated"),
        (damage_magic, "mark"),
        (damage_digest, "not the weights that toy net"),
    ],
)
def test_damaged_weights_are_refused(
    toy: Any, tmp_path: Path, damage: Callable[[bytearray], None], message: str
) -> None:
    data = bytearray(toy.weights.read_bytes())
    damage(data)
    (tmp_path / "weights.bin").write_bytes(data)
    with pytest.raises(EdgeError, match=message):
        Model(toy.library, tmp_path / "weights.bin")


def test_what_cannot_be_opened_is_named(toy: Any, tmp_path: Path) -> None:
    with pytest.raises(EdgeError, match="cannot open the weights file"):
        Model(toy.library, tmp_path / "none")
    with pytest.raises(EdgeError, match=r"none\.so cannot be read: No such file"):
        Model(tmp_path / "none.so", toy.weights)
    (tmp_path / "empty.so").write_bytes(b"")
    with pytest.raises(EdgeError, match=r"empty\.so cannot be loaded here"):
        Model(tmp_path / "empty.so", toy.weights)
    with pytest.raises(EdgeError, match=r"libc.* lacks some of the calls of edge\.h"):
        Model(next(p for p in mapped() if "/libc.so.6" in p), toy.weights)
    with pytest.raises(EdgeError, match='no code variant "best"'):
        Model(toy.library, toy.weights, variant="best")
    with Model(toy.library, toy.weights) as model, pytest.raises(EdgeError, match="affinity"):
        model.session(affinity="somewhere")
    with pytest.raises(EdgeError, match="is closed"):
        model.session()


def test_workers_run_where_they_are_told(model: Model, toy_inputs: dict[str, np.ndarray]) -> None:
    cpus = sorted(os.sched_getaffinity(0))
    before = {task for task in os.listdir("/proc/self/task")}
    with model.session(threads=3, affinity=f"cpus={cpus[-1]}") as session:
        workers = set(os.listdir("/proc/self/task")) - before
        assert len(workers) == 2
        assert all(os.sched_getaffinity(int(worker)) == {cpus[-1]} for worker in workers)
        assert os.sched_getaffinity(0) == set(cpus)
        session.run(toy_inputs)
    assert not workers & set(os.listdir("/proc/self/task"))


def test_workers_keep_clear_of_their_callers_cpu(model: Model, toy_inputs: dict[str, np.ndarray]) -> None:
    cpus = os.sched_getaffinity(0)
    before = {task for task in os.listdir("/proc/self/task")}
    with model.session(threads=2) as session:
        (worker,) = set(os.listdir("/proc/self/task")) - before
        try:
            for cpu in cpus:
                os.sched_setaffinity(0, {cpu})
                session.run(toy_inputs)
                assert os.sched_getaffinity(int(worker)) == (cpus - {cpu} or cpus)  # where there is one, all share it
        finally:
            os.sched_setaffinity(0, cpus)


@pytest.mark.parametrize("threads", range(1, 7))
def test_memory_is_known_at_compile_time(model: Model, toy: Any, threads: int) -> None:
    with model.session(threads=threads) as session:
        memory = session.memory()
    assert memory.runtime == program.runtime_memory(toy.plan, threads)
    assert (memory.arena, memory.weights) == (toy.plan.arena_size, len(program.weights_file(toy.plan.weights)))


def test_workers_take_no_signals(model: Model) -> None:
    before = set(os.listdir("/proc/self/task"))
    with model.session(threads=2):
        (worker,) = set(os.listdir("/proc/self/task")) - before
        status = Path(f"/proc/self/task/{worker}/status").read_text()
    blocked = next(int(line.split()[1], 16) for line in status.splitlines() if line.startswith("SigBlk"))
    assert blocked | 1 << 8 | 1 << 18 == 2**64 - 1  # all but SIGKILL and SIGSTOP


def test_a_forked_child_computes_alone_and_closes(toy: Any) -> None:
    """Python's multiprocessing forks: worker threads do not exist in the child."""
    script = """
import os, sys, numpy as np
from edgec.runtimes.python import Model
model = Model(*sys.argv[1:3], threads=3)
inputs = {p.name: np.ones(p.shape, np.int32) for p in model.inputs}
expected = model.run(inputs)
child = os.fork()
for _ in range(20):
    assert all((expected[k] == v).all() for k, v in model.run(inputs).items())
model.close()
if child == 0:
    os._exit(0)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
"""
    subprocess.run([sys.executable, "-c", script, str(toy.library), str(toy.weights)], check=True, timeout=60)


def mapped() -> list[str]:
    """What the process has mapped, by name."""
    return [line.split(maxsplit=5)[-1] for line in Path("/proc/self/maps").read_text().splitlines()]


def test_no_mapping_is_left_behind(toy: Any, toy_inputs: dict[str, np.ndarray]) -> None:
    def use() -> None:
        with Model(toy.library, toy.weights) as model, model.session(threads=3) as session:
            session.run(toy_inputs)

    use()
    before, open_files = len(mapped()), os.listdir("/proc/self/fd")
    for _ in range(20):
        use()
    assert len(mapped()) <= before + 3
    assert os.listdir("/proc/self/fd") == open_files


def test_the_code_stays_until_the_last_session_is_closed(
    toy: Any, toy_inputs: dict[str, np.ndarray], toy_expected: Any
) -> None:
    def loaded() -> int:
        return sum("memfd:edgec" in name for name in mapped())

    before = loaded()
    model = Model(toy.library.read_bytes(), toy.weights)
    first, second = model.session(), model.session(threads=2)
    model.close()
    first.close()
    assert loaded() > before
    check(second.run(toy_inputs), toy_inputs, toy_expected)
    second.close()
    assert loaded() == before


def test_another_library_at_the_same_path_is_another_model(
    toy: Any, make_bundle: Any, poke_plan: Any, tmp_path: Path
) -> None:
    """dlopen takes a path that it knows for the library that it has loaded from there."""
    library, models = tmp_path / "libmodel.so", []
    for built in (toy, make_bundle(poke_plan(0), toolchain.Triple.host())):
        library.write_bytes(built.library.read_bytes())
        models.append(Model(library, built.weights))
    library.write_bytes(b"")
    assert [model.name for model in models] == ["toy net", "poke"]
    assert models[1].run({})["y"] == [1]
    for model in models:
        model.close()


def test_the_android_form_computes_the_same(make_bundle: Any, toy_plan: Any, toy: Any, tmp_path: Path) -> None:
    """It names its libc `libc.so`, as bionic does; a link of that name to this system's libc stands in."""
    triple = toolchain.Triple(toolchain.Triple.host().arch, "android")
    android = make_bundle(toy_plan, triple)
    libc = next(line.split()[-1] for line in Path("/proc/self/maps").read_text().splitlines() if "/libc.so.6" in line)
    (tmp_path / "libc.so").symlink_to(libc)
    script = """
import sys, numpy as np
from edgec.runtimes.python import Model
random = np.random.default_rng(1)
inputs = {p.name: random.integers(-9999, 9999, p.shape, np.int32) for p in Model(*sys.argv[1:3]).inputs}
first, second = (Model(*sys.argv[i:i+2], threads=3) for i in (1, 3))
for _ in range(50):
    a, b = first.run(inputs), second.run(inputs)
    assert all((a[k] == b[k]).all() for k in a)
"""
    command = [sys.executable, "-c", script, *map(str, (toy.library, toy.weights, android.library, android.weights))]
    subprocess.run(command, env={**os.environ, "LD_LIBRARY_PATH": str(tmp_path)}, check=True, timeout=60)


APP = """
#include <stdio.h>
#include "toy_net.h"
static int32_t x[TOY_NET_INPUT_0_ELEMENTS], odd[TOY_NET_INPUT_1_ELEMENTS], y[TOY_NET_OUTPUT_0_ELEMENTS];
static int32_t z[TOY_NET_OUTPUT_1_BYTES / sizeof(int32_t)];
int main(int argc, char **argv) {
    edge_model *model = NULL;
    edge_session *session = NULL;
    edge_session_options options = EDGE_SESSION_OPTIONS_INIT;
    edge_error error;
    const int64_t shape[] = TOY_NET_OUTPUT_1_SHAPE;
    options.threads = 3;
    if (argc != 2 || shape[1] != 64 || TOY_NET_OUTPUT_0_SCALE != 0.5f || TOY_NET_OUTPUT_0_ZERO_POINT != -3) return 3;
    if (fread(x, sizeof x, 1, stdin) != 1 || fread(odd, sizeof odd, 1, stdin) != 1) return 4;
    if (toy_net_open(argv[1], &model, &error) != EDGE_OK) return 5;
    if (edge_session_create(model, &options, &session, &error) != EDGE_OK) return 6;
    if (toy_net_run(session, x, odd, y, z) != EDGE_OK) return 7;
    edge_session_close(session);
    edge_model_close(model);
    return fwrite(y, sizeof y, 1, stdout) == 1 && fwrite(z, sizeof z, 1, stdout) == 1 ? 0 : 8;
}
"""


@pytest.mark.parametrize("triple", [toolchain.Triple.host(), ARM64, ANDROID], ids=["host", *map(str, (ARM64, ANDROID))])
def test_an_application_uses_the_typed_header(
    make_bundle: Any,
    toy_plan: Any,
    toy_inputs: dict[str, np.ndarray],
    toy_expected: Any,
    tmp_path: Path,
    triple: toolchain.Triple,
) -> None:
    toy = make_bundle(toy_plan, triple)
    app = tmp_path / "app"
    emulator: list[str | Path] = []
    app.with_suffix(".c").write_text(APP)
    flags: list[str | Path] = [app.with_suffix(".c"), "-o", app, "-std=c11", "-Wall", "-Wextra", "-Werror"]
    flags += [f"-I{toy.folder}", f"-L{toy.folder}", "-ltoy_net", f"-Wl,-rpath,{toy.folder}"]
    if triple == toolchain.Triple.host():
        subprocess.run(["gcc", *flags], check=True)
    else:
        require_arm64_libc()
        native_build.zig("cc", "-target", f"{native_build.ARM64}.2.28", *flags)
        (tmp_path / "libc.so").symlink_to(native_build.ARM64_LIBC)  # the name that Android's library asks for
        root = native_build.ARM64_LIBC.parents[1]
        emulator = ["qemu-aarch64", "-L", root, "-E", f"LD_LIBRARY_PATH={tmp_path}"]
    data = b"".join(value.tobytes() for value in toy_inputs.values())
    done = subprocess.run([*emulator, app, toy.weights], input=data, capture_output=True, check=True)
    assert done.stdout == b"".join(value.tobytes() for value in toy_expected(*toy_inputs.values()))


def require_arm64_libc() -> None:
    if shutil.which("qemu-aarch64") is None or not native_build.ARM64_LIBC.exists():
        pytest.skip("arm64 programs need: apt-get install qemu-user libc6-arm64-cross")


def test_the_typed_header_is_cplusplus_too(toy: Any, tmp_path: Path) -> None:
    native_build.compile_cplusplus(APP, tmp_path / "app.cc", "-std=c++17", f"-I{toy.folder}")
