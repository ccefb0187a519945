"""`edgec bench`: measured here, counted under emulation, and one sentence where it cannot."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from onnx import helper
from typer.testing import CliRunner

from edgec.compiler.cli import app as cli
from edgec.compiler.cli import console
from edgec.compiler.driver import compile_model
from edgec.compiler.ir.extent import symbol
from edgec.counting.llvm import find_llvm
from edgec.runtimes.devices import qemu

ARM = "qemu:cortex-a76"

pytestmark = pytest.mark.skipif(shutil.which("qemu-aarch64") is None, reason="qemu-user is not installed")


@pytest.fixture
def runner(monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    monkeypatch.setattr(console, "settings", console.Settings())
    return CliRunner()


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A product of matrices and a softmax, for this machine and for arm64."""
    folder = tmp_path_factory.mktemp("bench")
    x, w, y = (helper.make_tensor_value_info(n, 1, s) for n, s in (("x", [8, 64]), ("w", [64, 32]), ("y", [8, 32])))
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["p"], "product"),
        helper.make_node("Softmax", ["p"], ["y"], "soft"),
    ]
    model = folder / "model.onnx"
    model.write_bytes(helper.make_model(helper.make_graph(nodes, "g", [x, w], [y])).SerializeToString())
    targets = {"host": "host", "arm64": "arm64-neon"}
    for name, target in targets.items():
        compile_model(model, target=target, output=folder / f"{name}.edge")
    return {name: folder / f"{name}.edge" for name in targets}


def bench(runner: CliRunner, *arguments: object) -> Any:
    done = runner.invoke(cli.app, ["bench", *map(str, arguments), "--json"])
    assert done.exit_code == 0, done.stderr
    return json.loads(done.stdout)


def refusal(runner: CliRunner, *arguments: object) -> str:
    done = runner.invoke(cli.app, ["bench", *map(str, arguments)])
    assert (done.exit_code, done.stdout) == (2, "")
    [line] = done.stderr.splitlines()
    return line


def test_here_it_measures(runner: CliRunner, bundles: dict[str, Path]) -> None:
    figures = bench(runner, bundles["host"], "--repeat", 11, "--threads", 2, "--profile")
    latency = figures["latency_ns"]
    assert figures["kinds"] == {"latency_ns": "measured", "ns": "measured"} and figures["threads"] == 2
    assert latency["cold"] > 0 and 0 < latency["min"] <= latency["median"] <= latency["p90"] <= latency["max"]
    assert sum(step["macs"] for step in figures["steps"]) == 8 * 64 * 32
    assert any(step["ns"] > 0 for step in figures["steps"])


def test_without_profile_there_are_no_steps(runner: CliRunner, bundles: dict[str, Path]) -> None:
    assert bench(runner, bundles["host"])["steps"] == []


def test_on_qemu_it_counts_and_gives_no_times(runner: CliRunner, bundles: dict[str, Path]) -> None:
    figures = bench(runner, bundles["arm64"], "--device", ARM, "--profile")
    again = bench(runner, bundles["arm64"], "--count", "--profile")
    assert figures == {**again, "device": ARM}
    assert figures["kinds"]["instructions"] == "counted" and figures["kinds"]["cycles"] == "modelled"
    assert "latency_ns" not in figures
    parts = [*figures["steps"], figures["outside_steps"]]
    assert figures["instructions"] == sum(part["instructions"] for part in parts)
    assert figures["cycles"] == pytest.approx(sum(part["cycles"] for part in parts), abs=len(parts))
    product = next(step for step in figures["steps"] if step["macs"])
    assert product["macs"] == 8 * 64 * 32 and product["instructions"] > product["macs"] / 4


def test_tables_say_what_their_figures_are(runner: CliRunner, bundles: dict[str, Path]) -> None:
    for bundle, option, tags in (("host", "--profile", ("measured",)), ("arm64", "--count", ("counted", "modelled"))):
        done = runner.invoke(cli.app, ["bench", str(bundles[bundle]), option, "--profile"])
        assert done.exit_code == 0 and all(f"({tag})" in done.stdout for tag in tags) and "product" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ("--device", "qemu:cortex-m4"),
            "error: instructions cannot be counted on device 'qemu:cortex-m4'; they can on",
        ),
        (("--device", "local", "--count"), "error: instructions cannot be counted on device 'local'; they can on"),
        (("--device", ARM, "--threads", 2), "error: instructions are counted for one thread, not for 2"),
        (("--device", "local"), r"error: .*arm64\.edge is for aarch64, but device 'local' is"),
    ],
)
def test_what_cannot_be_is_one_sentence(
    runner: CliRunner, bundles: dict[str, Path], arguments: tuple[object, ...], said: str
) -> None:
    assert re.match(said, refusal(runner, bundles["arm64"], *arguments))


def test_a_bundle_for_another_machine_is_not_counted(runner: CliRunner, bundles: dict[str, Path]) -> None:
    assert "host.edge is for x86_64" in refusal(runner, bundles["host"], "--count")


def test_without_qemu_it_names_the_package(
    runner: CliRunner, bundles: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    find_llvm()
    monkeypatch.setattr(qemu.shutil, "which", lambda name: None)  # type: ignore[attr-defined]
    said = refusal(runner, bundles["arm64"], "--count")
    assert "qemu-aarch64 is needed" in said and "apt-get install -y qemu-user" in said


@pytest.mark.slow
def test_steps_of_a_loop_and_of_a_range_of_shapes_are_told_apart(runner: CliRunner, tmp_path: Path) -> None:
    """Such a session has its own copy of the steps, and runs some of them many times: here exp, nine times."""
    x, y, s, t = (helper.make_tensor_value_info(name, 1, ["n", 16]) for name in "xyst")
    turn, c, d = (helper.make_tensor_value_info(name, kind, []) for name, kind in (("i", 7), ("c", 9), ("d", 9)))
    nodes = [helper.make_node("Identity", ["c"], ["d"]), helper.make_node("Exp", ["s"], ["t"], "exp")]
    body = helper.make_graph(nodes, "body", [turn, c, s], [d, t])
    nodes = [
        helper.make_node("ReduceMax", ["x"], ["largest"], keepdims=0),
        helper.make_node("Mul", ["largest", "zero"], ["nothing"]),
        helper.make_node("Add", ["nothing", "nine"], ["number"]),
        helper.make_node("Cast", ["number"], ["trips"], to=7),
        helper.make_node("Loop", ["trips", "", "x"], ["z"], "loop", body=body),
        helper.make_node("Exp", ["x"], ["once"], "once"),
        helper.make_node("Add", ["z", "once"], ["y"], "last"),
    ]
    constants = [helper.make_tensor(name, 1, [], [value]) for name, value in (("zero", 0.0), ("nine", 9.0))]
    model = tmp_path / "model.onnx"
    graph = helper.make_graph(nodes, "g", [x], [y], constants)
    model.write_bytes(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]).SerializeToString())
    compile_model(model, target="arm64-neon", shapes={"x": (symbol("n", 1, 64, 1), 16)}, output=tmp_path / "model.edge")
    steps = bench(runner, tmp_path / "model.edge", "--count", "--profile")["steps"]
    assert all(step["instructions"] > 0 for step in steps)
    nine, one = (sum(s["instructions"] for s in steps if s["name"] == name) for name in ("t", "once"))
    assert nine == pytest.approx(9 * one, rel=0.05)
