"""Devices, and the static runner that they start."""

import errno
import json
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgec.compiler.bundle import toolchain
from edgec.compiler.ir.types import DTYPES, TensorType
from edgec.compiler.lower.plan import Control, Plan, Port, Step
from edgec.errors import EdgeError
from edgec.runtimes.devices import RunOptions, open_device

needs_qemu = pytest.mark.skipif(shutil.which("qemu-aarch64") is None, reason="qemu-user is not installed")

NOTHING = Step("", (), (), 0, control=Control.JUMP, target=1)


@dataclass(frozen=True)
class Described:
    name: str
    shape: tuple[int, ...]
    dtype: str


def ports(plan_ports: Sequence[Any]) -> list[Described]:
    return [Described(port.name, port.type.shape, port.type.dtype) for port in plan_ports]


def run_on(device: str, built: Any, arrays: dict[str, np.ndarray], out: Path | None = None, **options: Any) -> Any:
    inputs, outputs = ports(built.plan.inputs), ports(built.plan.outputs)
    return open_device(device).run(built.folder, inputs, outputs, arrays, out, RunOptions(**options))


def check(report: Any, toy_inputs: dict[str, np.ndarray], toy_expected: Any) -> None:
    y, z = toy_expected(*toy_inputs.values())
    np.testing.assert_array_equal(report.outputs["y"], y)
    np.testing.assert_array_equal(report.outputs["z/2"], z)


@pytest.mark.parametrize("threads", [1, 2, 6])
def test_local_run(
    toy: Any, toy_inputs: dict[str, np.ndarray], toy_expected: Any, tmp_path: Path, threads: int
) -> None:
    report = run_on("local", toy, toy_inputs, tmp_path / "out", threads=threads, repeat=9, warmup=2, profile=True)
    check(report, toy_inputs, toy_expected)
    assert report.latency.kind == "measured"
    assert 0 < report.latency.min <= report.latency.median <= report.latency.max
    assert report.threads == threads
    assert report.memory["arena"] == toy.plan.arena_size
    assert report.memory["weights"] == toy.weights.stat().st_size
    assert [row.name for row in report.profile][:2] == ["mix0", "mix1"] and report.profile[0].runs == 11
    np.testing.assert_array_equal(np.load(tmp_path / "out" / "z_2.npy"), report.outputs["z/2"])


@needs_qemu
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("cpu, variant", [("cortex-a53", "base"), ("cortex-a76", "dotprod"), ("max", "i8mm")])
def test_arm64_under_qemu(
    make_bundle: Any, toy_plan: Any, toy_inputs: dict[str, np.ndarray], toy_expected: Any, cpu: str, variant: str,
    threads: int,
) -> None:  # fmt: skip
    arm64 = make_bundle(toy_plan, toolchain.Triple("aarch64"))
    report = run_on(f"qemu:{cpu}", arm64, toy_inputs, threads=threads, repeat=3, mark=True, guard=True)
    check(report, toy_inputs, toy_expected)
    assert (report.variant, report.latency.kind) == (variant, "emulated")


A55, A76, OTHER = "0xd05", "0xd0b", "0x805"
CPU = """processor\t: {0}
BogoMIPS\t: 38.40
Features\t: fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x2
CPU part\t: {1}
CPU revision\t: 0

"""


@needs_qemu
@pytest.mark.parametrize(
    "parts, variant",
    [
        ([A55], "inorder"), ([A55] * 8, "inorder"), ([A55] * 8 + [A55] * 92, "dotprod"),
        ([A55] * 6 + [A76] * 2, "dotprod"), ([A76] + [A55] * 3, "dotprod"), ([OTHER] * 4, "dotprod"), ([], "dotprod"),
    ],
)  # fmt: skip
def test_code_for_cores_that_issue_in_order_is_for_systems_of_these_alone(
    make_bundle: Any, toy_plan: Any, parts: list[str], variant: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """100 CPUs are more than the runtime looks at."""
    if not shows_files_of_its_root():
        pytest.skip("this qemu makes up /proc/cpuinfo itself")
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc" / "cpuinfo").write_text("".join(CPU.format(n, part) for n, part in enumerate(parts)))
    monkeypatch.setenv("QEMU_LD_PREFIX", str(tmp_path))
    arm64 = make_bundle(toy_plan, toolchain.Triple("aarch64"))
    assert run_on("qemu:cortex-a76", arm64, {}).variant == variant
    assert run_on("qemu:cortex-a53", arm64, {}).variant == "base"


def shows_files_of_its_root() -> bool:
    """As qemu before 8.2 does for all of /proc."""
    said = subprocess.run(["qemu-aarch64", "--version"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"version (\d+)\.(\d+)", said)
    return found is not None and (int(found[1]), int(found[2])) < (8, 2)


@needs_qemu
def test_a_variant_beyond_the_cpu_is_refused(make_bundle: Any, toy_plan: Any) -> None:
    arm64 = make_bundle(toy_plan, toolchain.Triple("aarch64"))
    with pytest.raises(EdgeError, match='this CPU cannot run variant "dotprod"'):
        run_on("qemu:cortex-a53", arm64, {}, variant="dotprod")
    assert run_on("qemu:cortex-a76", arm64, {}, variant="base").variant == "base"


def test_inputs_not_given_are_the_same_each_time(toy: Any, toy_expected: Any) -> None:
    first, second = run_on("local", toy, {}), run_on("local", toy, {}, threads=2, affinity="performance")
    np.testing.assert_array_equal(first.outputs["y"], second.outputs["y"])
    assert set(np.unique(first.outputs["y"])) != {0}


def test_outputs_are_whole_or_as_they_were(toy: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a full disk as well."""
    run_on("local", toy, {}, tmp_path / "out")
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    save = np.save

    def full(path: Path, array: np.ndarray) -> None:
        save(path, array)
        if path.name == "z_2.npy":
            os.truncate(path, 10)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(np, "save", full)
    arrays = {port.name: np.ones(port.shape, port.dtype) for port in ports(toy.plan.inputs)}
    with pytest.raises(EdgeError, match=r"cannot be written to .*out: No space left on device; make room"):
        run_on("local", toy, arrays, tmp_path / "out")
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before


def test_errors_say_what_to_do(toy: Any, make_bundle: Any, toy_plan: Any, tmp_path: Path) -> None:
    with pytest.raises(EdgeError, match="no device 'phone'; known are local"):
        open_device("phone")
    with pytest.raises(EdgeError, match="no input 'w'"):
        run_on("local", toy, {"w": np.zeros(1)})
    with pytest.raises(EdgeError, match=r"float64\[3\], but int32\[1, 4096\]"):
        run_on("local", toy, {"x": np.zeros(3)})
    with pytest.raises(EdgeError, match="affinity"):
        run_on("local", toy, {}, affinity="fast")
    with pytest.raises(EdgeError, match="is not a bundle"):
        open_device("local").run(tmp_path, [], [], {})
    other = "aarch64" if toolchain.Triple.host().arch == "x86_64" else "x86_64"
    with pytest.raises(EdgeError, match=f"is for {other}, but device 'local'"):
        run_on("local", make_bundle(toy_plan, toolchain.Triple(other)), {})


def test_a_run_that_takes_too_long_is_stopped(make_bundle: Any, spin_plan: Any) -> None:
    spin = make_bundle(spin_plan, toolchain.Triple.host())
    with pytest.raises(EdgeError, match=r"stopped after 0\.3 s"):
        run_on("local", spin, {}, repeat=1000000, timeout=0.3)


def test_a_fault_in_a_kernel_is_told(make_bundle: Any, poke_plan: Any) -> None:
    with pytest.raises(EdgeError, match="died on device 'local' from SIGSEGV"):
        run_on("local", make_bundle(poke_plan(-(1 << 30)), toolchain.Triple.host()), {})
    with pytest.raises(EdgeError, match="before the arena"):
        run_on("local", make_bundle(poke_plan(-1), toolchain.Triple.host()), {}, guard=True)
    past_the_output = make_bundle(poke_plan(0, 1), toolchain.Triple.host())
    run_on("local", past_the_output, {})
    with pytest.raises(EdgeError, match="SIGSEGV"):
        run_on("local", past_the_output, {}, guard=True)


def test_qemu_missing_or_cpu_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda _: None)
    with pytest.raises(EdgeError, match="install it with: sudo apt-get install"):
        open_device("qemu").query()
    monkeypatch.undo()
    if shutil.which("qemu-aarch64"):
        with pytest.raises(EdgeError, match=r"has no CPU 'cortex-x99'; it has .*cortex-a53"):
            open_device("qemu:cortex-x99").query()
        assert open_device("qemu").query().arch == "aarch64"


def runner(toy: Any, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(toy.folder / "run"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=toy.folder)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ([], "no weights file"),
        (["--help"], "use: run weights.bin"),
        (["weights.bin", "--fast"], "unknown option --fast"),
        (["weights.bin", "weights.bin"], "is a second"),
        (["weights.bin", "--threads", "65"], "a number from 0 to 64"),
        (["weights.bin", "--repeat", "0"], "a number from 1"),
        (["weights.bin", "--repeat", "99999999999999999999999"], "a number from 1"),
        (["weights.bin", "--repeat", "-1"], "a number from 1"),
        (["weights.bin", "--out"], "needs a value"),
        (["weights.bin", "--variant", "x"], "no code variant"),
        (["weights.bin", "--affinity", "cpus=9999"], "affinity"),
        (["weights.bin", "--input", "q=weights.bin"], "is not NAME=FILE"),
        (["weights.bin", "--input", "x=/no/such"], "cannot read the input file"),
        (["weights.bin", "--input", "x=run"], 'but input "x" takes 16384'),
        (["weights.bin", "--out", "/proc/nowhere"], "cannot write"),
        (["run"], "truncated or not its own"),
        (["none.bin"], "cannot open the weights file none.bin"),
    ],
)
def test_the_runner_answers_bad_input_with_a_line_and_code_2(toy: Any, arguments: list[str], message: str) -> None:
    done = runner(toy, *arguments)
    assert done.returncode == 2 and message in done.stderr and done.stdout == ""


@pytest.mark.parametrize(
    "array, message",
    [
        (np.zeros((1, 4096), np.float32), "has not the dtype <i4"),
        (np.asfortranarray(np.zeros((2, 2048), np.int32)), "Fortran order"),
        (np.zeros((1, 4095), np.int32), 'input "x" has shape [1, 4095], but [1, 4096] is accepted'),
    ],
)
def test_the_runner_checks_npy_files(toy: Any, tmp_path: Path, array: np.ndarray, message: str) -> None:
    np.save(tmp_path / "x.npy", array)
    done = runner(toy, "weights.bin", "--input", f"x={tmp_path / 'x.npy'}")
    assert done.returncode == 2 and message in done.stderr
    (tmp_path / "x.npy").write_bytes((tmp_path / "x.npy").read_bytes()[:40])
    assert "is cut off" in runner(toy, "weights.bin", "--input", f"x={tmp_path / 'x.npy'}").stderr


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_runner_takes_npy_files_of_every_dtype(make_bundle: Any, tmp_path: Path, dtype: str) -> None:
    """A plan without steps: the file must be taken, and one of another dtype refused."""
    built = make_bundle(Plan(dtype, [Port(dtype, TensorType((3,), dtype))], [], [NOTHING]), toolchain.Triple.host())
    np.save(tmp_path / "x.npy", np.zeros(3, dtype))
    assert runner(built, "weights.bin", "--input", f"{dtype}={tmp_path / 'x.npy'}").returncode == 0
    np.save(tmp_path / "x.npy", np.zeros(3, "complex128"))
    assert (
        f"has not the dtype {np.dtype(dtype).newbyteorder('<').str}"
        in runner(built, "weights.bin", "--input", f"{dtype}={tmp_path / 'x.npy'}").stderr
    )


def test_the_runner_takes_any_shape_in_range(shapes: Any, tmp_path: Path) -> None:
    x, bias = np.arange(-20, 4, dtype=np.int32).reshape(3, 8), np.arange(3, dtype=np.int32)
    expected = {"pairs": x[:, ::2] + x[:, 1::2] + bias[:, None], "kept": x[x > 0], "total": np.int32(3)}
    report = run_on("local", shapes, {"x": x, "bias": bias}, threads=2, guard=True)
    assert report.outputs.keys() == expected.keys()
    for name, y in expected.items():
        np.testing.assert_array_equal(report.outputs[name], y)
    x.tofile(tmp_path / "x.raw")
    raw = ["--input", f"x={tmp_path / 'x.raw'}", "--shape", "bias=3", "--guard"]
    done = runner(shapes, "weights.bin", *raw, "--shape", "x=3,8")
    assert done.returncode == 0 and "output pairs [3,4]\noutput kept [3]\noutput total []\n" in done.stdout
    largest = runner(shapes, "weights.bin")
    assert largest.returncode == 0 and "output pairs [8,32]" in largest.stdout
    for wrong, said in [
        ([], 'holds 96 bytes of data, but input "x" takes 2048'),
        (["--shape", "x=3,9"], "has shape [3, 9], but [1..8, 4..64/4]"),
        (["--shape", "x=4,8"], 'holds 96 bytes of data, but input "x" takes 128'),
        (["--shape", "x=2,12"], 'dimension 0 of input "bias" is 3'),
        (["--shape", "x=3;8"], "is not NAME=1,3,64,64"),
        (["--shape", "x=1,1,1,1,1,1,1,1,1"], "is not NAME=1,3,64,64"),
        (["--shape", "x=99999999999999999999,8"], "is not NAME=1,3,64,64"),
        (["--shape", "q=3"], "is not NAME=1,3,64,64 with an input"),
        (["--shape"], "needs NAME="),
    ]:
        done = runner(shapes, "weights.bin", *raw, *wrong)
        assert done.returncode == 2 and said in done.stderr and len(done.stderr.splitlines()) == 1, done.stderr


def test_the_runner_survives_mutated_files(toy: Any, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    file = tmp_path / "x.npy"
    np.save(file, np.zeros((1, 4096), np.int32))
    good = {"x": file.read_bytes(), "weights": toy.weights.read_bytes()}
    codes = set()
    for i in range(200):
        which = ("x", "weights")[i % 2]
        data = bytearray(good[which])
        span = (0, 136) if which == "x" else (len(data) - 64, len(data))
        for _ in range(random.integers(1, 4)):
            data[random.integers(*span)] = random.integers(256)
        if i % 5 == 0:
            del data[random.integers(len(data)) :]
        (tmp_path / which).write_bytes(data)
        weights, x = (tmp_path / "weights", file) if which == "weights" else (toy.weights, tmp_path / "x")
        done = runner(toy, str(weights), "--input", f"x={x}")
        assert done.returncode in (0, 2) and len(done.stderr.splitlines()) == (done.returncode == 2), done
        codes.add(done.returncode)
    assert codes == {0, 2}


def test_the_runner_takes_raw_files_and_prints_text_or_json(
    toy: Any, toy_inputs: dict[str, np.ndarray], toy_expected: Any, tmp_path: Path
) -> None:
    arguments = ["weights.bin", "--out", str(tmp_path / "o"), "--profile"]
    for i, (name, array) in enumerate(toy_inputs.items()):
        array.tofile(tmp_path / f"{i}.raw")
        arguments += ["--input", f"{name}={tmp_path / f'{i}.raw'}"]
    text, line = runner(toy, *arguments), runner(toy, *arguments, "--json")
    assert text.returncode == line.returncode == 0
    assert text.stdout.startswith("variant ") and "mix0" in text.stdout
    figures = json.loads(line.stdout)
    assert line.stdout.count("\n") == 1 and len(figures["profile"]) == len(toy.plan.steps)
    assert [output["name"] for output in figures["outputs"]] == ["y", "z/2"]
    for output, expected in zip(figures["outputs"], toy_expected(*toy_inputs.values()), strict=True):
        np.testing.assert_array_equal(np.fromfile(output["file"], np.int32), expected.reshape(-1))
