"""The command line as a user meets it: help, versions, exit codes, errors in one line."""

import json
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

import edgec
from edgec.compiler.cli import app as cli
from edgec.compiler.cli import console
from edgec.errors import EdgeError

COMMANDS = ("compile", "run", "bench", "inspect", "targets", "doctor")


@pytest.fixture
def runner(monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    monkeypatch.setattr(console, "settings", console.Settings())
    return CliRunner()


def test_version(runner: CliRunner) -> None:
    assert runner.invoke(cli.app, ["--version"]).stdout == f"edgec {edgec.__version__}\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(runner: CliRunner, command: str) -> None:
    done = runner.invoke(cli.app, [command, "--help"])
    assert done.exit_code == 0
    assert f"edgec {command}" in done.stdout.split("Example", 1)[1]


def test_help_comes_at_once() -> None:
    """In seconds of a CPU, the fewest of three: the machine is shared."""
    times = []
    for _ in range(3):
        before = _seconds_of_children()
        done = subprocess.run([sys.executable, "-m", "edgec", "--help"], capture_output=True, text=True, check=True)
        times.append(_seconds_of_children() - before)
    assert all(command in done.stdout for command in COMMANDS)
    assert min(times) < 0.5


def _seconds_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def test_help_imports_nothing_heavy() -> None:
    program = (
        "import sys; sys.argv = ['edgec', '--help']\n"
        "from edgec.__main__ import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print([m for m in ('tvm', 'onnx', 'onnxruntime', 'torch', 'numpy', 'PIL') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (EdgeError("node 'c1': no\nsuch [/bold] op \x1b[31m"), 2, "error: node 'c1': no such [/bold] op [31m\n"),
        (PermissionError(13, "Permission denied", "/x/y"), 2, "error: the system refused: Permission denied (/x/y)\n"),
        (OSError(28, "No space left on device"), 2, "error: the system refused: No space left on device\n"),
        (MemoryError(), 2, "error: this machine has too little memory for that; use a smaller --shape\n"),
    ],
)
def test_an_error_is_one_line(
    runner: CliRunner, monkeypatch: pytest.MonkeyPatch, error: Exception, code: int, said: str
) -> None:
    done = _invoke_failing(runner, monkeypatch, error)
    assert (done.exit_code, done.stderr, done.stdout) == (code, said, "")


def test_a_fault_in_edgec_is_one_line_and_a_log(
    runner: CliRunner, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    done = _invoke_failing(runner, monkeypatch, KeyError("lost"))
    assert done.exit_code == 1
    assert done.stderr.startswith("error: internal error: KeyError: 'lost'; please report it with ")
    assert done.stderr.count("\n") == 1
    (log,) = tmp_path.rglob("error-*.log")
    assert str(log) in done.stderr
    assert "Traceback" in log.read_text() and "edgec 0." in log.read_text()


def test_a_closed_stdout_is_none_of_its_business() -> None:
    for option in ([], ["--json"]):
        done = subprocess.run(
            ["/bin/sh", "-c", 'exec "$@" >&-', "sh", sys.executable, "-m", "edgec", "targets", *option],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert (done.returncode, done.stderr) == (0, "")


def test_an_interrupt_during_the_imports_ends_with_130() -> None:
    program = (
        "import signal, sys\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # shells ignore it in the background
        "class Interrupt:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'edgec.compiler.cli.console': signal.raise_signal(signal.SIGINT)\n"
        "sys.meta_path.insert(0, Interrupt())\n"
        "from edgec.__main__ import main\n"
        "main()"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (130, "")


def test_an_interrupt_ends_with_130(runner: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    assert _invoke_failing(runner, monkeypatch, KeyboardInterrupt()).exit_code == 130


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["frobnicate"],
        ["compile"],
        ["compile", "m.onnx", "--shape", "x"],
        ["compile", "m.onnx", "--shape", "x=1,-3"],
        ["compile", "m.onnx", "--shape", "x=1,99999999999"],
        ["run", "m.edge", "--input", "x.npy"],
        ["run", "m.edge", "--threads", "-1"],
        ["run", "m.edge", "--repeat", "0"],
        ["run", "m.edge"],
        ["inspect", "nowhere.onnx"],
        ["inspect", "/"],
    ],
)
def test_wrong_usage_ends_with_2_and_no_traceback(arguments: list[str]) -> None:
    done = subprocess.run([sys.executable, "-m", "edgec", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_no_colour_where_it_is_no_terminal() -> None:
    done = subprocess.run([sys.executable, "-m", "edgec", "inspect", "/"], capture_output=True, text=True, check=False)
    assert done.stderr.startswith("error: / is not a bundle")
    assert "\x1b" not in done.stderr


def test_doctor_finds_this_environment_sound(runner: CliRunner) -> None:
    done = runner.invoke(cli.app, ["--json", "doctor"])
    assert done.exit_code == 0, done.stdout
    checks = json.loads(done.stdout)
    assert {c["name"] for c in checks} >= {"apache-tvm==0.27.0.post1", "TVM generates arm64 code", "cache"}
    assert all(c["ok"] and not c["fix"] for c in checks)


def _invoke_failing(runner: CliRunner, monkeypatch: pytest.MonkeyPatch, error: BaseException):
    def fail(*_: object, **__: object) -> None:
        raise error

    from edgec.compiler import summary

    monkeypatch.setattr(summary, "summarize", fail)
    return runner.invoke(cli.app, ["inspect", "model.onnx"])
