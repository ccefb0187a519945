"""`edgec doctor` names the command that mends what is missing."""

import subprocess
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from edgec.compiler import environment


def _by_name() -> dict[str, environment.Check]:
    return {check.name: check for check in environment.checks()}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "_ask", lambda command: (True, "fine"))


def test_a_wrong_version_is_named_with_its_fix(monkeypatch: pytest.MonkeyPatch) -> None:
    from importlib.metadata import version as real

    monkeypatch.setattr(environment, "version", lambda n: "0.1.15.post2" if n == "apache-tvm-ffi" else real(n))
    check = _by_name()["apache-tvm-ffi==0.1.14.post1"]
    assert (check.ok, check.found) == (False, "0.1.15.post2")
    assert check.fix.endswith("-m pip install 'apache-tvm-ffi==0.1.14.post1'")


def test_a_missing_package_is_named_with_its_fix(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(environment, "version", version)
    check = _by_name()["ziglang==0.17.*"]
    assert (check.ok, check.found, check.required) == (False, "not installed", True)
    assert "pip install 'ziglang==0.17.*'" in check.fix


def test_without_qemu_the_rest_still_works(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment.shutil, "which", lambda name: None)  # type: ignore[attr-defined]
    check = next(c for n, c in _by_name().items() if "qemu" in n)
    assert not check.ok and not check.required
    assert check.fix.endswith("apt-get install -y qemu-user")


def test_a_tool_that_crashes_or_hangs_does_not_take_the_check_along(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert environment._ask(["sh", "-c", "kill -SEGV $$"])[0] is False
    assert environment._ask(["/no/such/program"])[0] is False

    def hang(*_: object, **__: object) -> None:
        raise subprocess.TimeoutExpired("x", 60)

    monkeypatch.setattr(subprocess, "run", hang)
    assert environment._ask(["sleep"])[0] is False


def test_a_cache_that_cannot_be_written_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("EDGEC_CACHE_DIR", str(tmp_path / "file" / "cache"))
    check = _by_name()["cache"]
    assert not check.ok and check.fix
