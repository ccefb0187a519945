"""The C runtime under sanitizers, with injected failures and counted allocations (built by gcc)."""

from collections.abc import Callable
from pathlib import Path

import pytest

from edgec.compiler.lower.plan import Plan
from edgec.tests import native_build
from edgec.tests.native_build import ADDRESS, THREAD


def run(harness: Path, *arguments: str) -> str:
    test, *rest = arguments
    done = native_build.run(harness, test, harness.with_name("weights.bin"), *rest)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.mark.parametrize("threads, users", [(1, 3), (2, 1), (2, 3), (4, 4), (9, 2)])
@pytest.mark.parametrize("flags", [ADDRESS, THREAD], ids=["asan", "tsan"])
def test_many_sessions_and_threads_agree(
    gcc_harness: Callable[..., Path], flags: tuple[str, ...], threads: int, users: int
) -> None:
    run(gcc_harness(*flags), "stress", str(threads), "100", str(users))


@pytest.mark.parametrize("threads, users", [(2, 1), (3, 2), (7, 2)])
@pytest.mark.parametrize("flags", [ADDRESS, THREAD], ids=["asan", "tsan"])
@pytest.mark.parametrize("plan", ["loop_plan", "measured_plan", "bands_plan"])
def test_loops_measured_extents_and_bands(
    gcc_harness: Callable[..., Path], request: pytest.FixtureRequest, plan: str, flags: tuple[str, ...],
    threads: int, users: int,
) -> None:  # fmt: skip
    harness = gcc_harness(*flags, make_plan=request.getfixturevalue(plan))
    run(harness, "stress", str(threads), "100", str(users))


@pytest.mark.parametrize("flags", [ADDRESS, THREAD], ids=["asan", "tsan"])
def test_shapes_and_states(
    gcc_harness: Callable[..., Path], shapes_plan: Callable[..., Plan], flags: tuple[str, ...]
) -> None:
    run(gcc_harness(*flags, make_plan=shapes_plan), "shapes")


@pytest.mark.parametrize("flags", [ADDRESS, THREAD], ids=["asan", "tsan"])
def test_a_session_in_use_refuses_a_second_run(gcc_harness: Callable[..., Path], flags: tuple[str, ...]) -> None:
    run(gcc_harness(*flags), "busy")


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("flags", [ADDRESS, THREAD], ids=["asan", "tsan"])
def test_a_run_that_never_ends_is_cancelled(
    gcc_harness: Callable[..., Path], endless_plan: Callable[..., Plan], flags: tuple[str, ...], threads: int
) -> None:
    run(gcc_harness(*flags, make_plan=endless_plan), "cancel", str(threads))


def test_oversleeping_workers_take_no_tile_of_another_run(
    gcc_harness: Callable[..., Path], loop_plan: Callable[..., Plan], measured_plan: Callable[..., Plan]
) -> None:
    """With many more threads than CPUs some lose the CPU between looking at the time and taking a tile."""
    run(gcc_harness("-O2"), "stress", "16", "10000", "1")
    for make_plan in (loop_plan, measured_plan):
        run(gcc_harness("-O2", make_plan=make_plan), "stress", "16", "3000", "1")


@pytest.mark.parametrize("plan", ["loop_plan", "measured_plan", "bands_plan"])
def test_workers_may_lose_the_cpu_anywhere(
    gcc_harness: Callable[..., Path], request: pytest.FixtureRequest, plan: str
) -> None:
    races = str(Path(__file__).with_name("races.h"))
    harness = gcc_harness("-O2", "-include", races, make_plan=request.getfixturevalue(plan))
    run(harness, "stress", "4", "150", "1")


def test_wrong_arguments_give_a_status(gcc_harness: Callable[..., Path]) -> None:
    run(gcc_harness(*ADDRESS), "arguments")


@pytest.mark.parametrize("flags", [ADDRESS, THREAD], ids=["asan", "tsan"])
def test_failing_system_calls_give_an_error_and_leak_nothing(
    gcc_harness: Callable[..., Path], flags: tuple[str, ...]
) -> None:
    messages = run(gcc_harness(*flags), "faults")
    assert "no memory" in messages and "threads could be started" in messages and "weights file" in messages


def test_memory_exists_from_the_start_and_is_no_more_than_asked_for(gcc_harness: Callable[..., Path]) -> None:
    run(gcc_harness(), "memory")


def test_own_memory_functions_do_what_those_of_libc_do(tmp_path: Path) -> None:
    source = Path(__file__).with_name("freestanding_test.c")
    program = native_build.build(tmp_path / "freestanding", [source], [*ADDRESS, "-fno-builtin"])
    done = native_build.run(program)
    assert done.returncode == 0, done.stderr


def test_nothing_is_allocated_while_a_session_lives(gcc_harness: Callable[..., Path]) -> None:
    run(gcc_harness("-DCOUNT_ALLOCATIONS"), "allocations")
