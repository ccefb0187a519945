"""Workers run what they are given, alone, and say why they cannot; ONNX Runtime, which is at hand, stands for all."""

import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from edgec.benchmarks.peers import contest
from edgec.benchmarks.peers.forms import Form
from edgec.errors import EdgeError

SHAPE = (1, 3, 8, 8)


def nothing(folder, case) -> None:
    raise AssertionError("the file is there")


@pytest.fixture
def files(tmp_path, monkeypatch):
    """A model that squares its input, and feeds; the engines' Python is this one."""
    monkeypatch.setattr(contest, "engines_python", lambda folder: Path(sys.executable))
    port = partial(helper.make_tensor_value_info, elem_type=TensorProto.FLOAT, shape=SHAPE)
    graph = helper.make_graph([helper.make_node("Mul", ["x", "x"], ["y"])], "g", [port("x")], [port("y")])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path / "m.onnx")
    x = np.random.default_rng(0).normal(size=SHAPE).astype(np.float32)
    np.savez(tmp_path / "feeds.npz", x=x)
    return tmp_path, x


def test_engines_are_timed_in_turns_and_their_answers_compared(files) -> None:
    folder, x = files
    forms = {
        Form("onnxruntime", "float", "", nothing): folder / "m.onnx",
        Form("onnxruntime", "broken", "", nothing): folder / "none.onnx",
    }
    found, missing = contest.measure(forms, folder / "feeds.npz", [x * x], 1, runs=4, starts=2, folder=folder)
    assert [f.label for f in found] == ["onnxruntime"] and found[0].cosine == pytest.approx(1)
    assert 0 < found[0].min_ms <= found[0].median_ms < found[0].cold_ms
    assert list(missing) == ["onnxruntime broken"] and "none.onnx" in missing["onnxruntime broken"]


def process_state(process_id: int) -> str:
    return Path(f"/proc/{process_id}/stat").read_text().rsplit(")", 1)[1].split()[0]


def test_a_worker_stands_still_until_it_is_asked(files) -> None:
    folder, _ = files
    form = Form("onnxruntime", "float", "", nothing)
    with contest.Worker(form, folder / "m.onnx", folder / "feeds.npz", 1, folder) as worker:
        deadline = time.monotonic() + 10  # a signal takes a moment
        while (state := process_state(worker.process_id)) != "T" and time.monotonic() < deadline:
            time.sleep(0.01)
        assert state == "T"
        assert len(worker.run(3)) == 3


def test_an_engine_that_is_not_installed_says_so(files) -> None:
    folder, _ = files
    with pytest.raises(EdgeError, match="No module named 'openvino'"):
        contest.Worker(Form("openvino", "float", "", nothing), folder / "m.onnx", folder / "feeds.npz", 1, folder)


def test_cosine() -> None:
    a = np.array([[1.0, 2.0], [3.0, 4.0]], np.float32)
    assert contest.cosine([a, a], [a, 2 * a.ravel()]) == pytest.approx(1)
    assert contest.cosine([a, -a], [a, a]) == pytest.approx(-1)
    assert contest.cosine([a], [a, a]) == 0 and contest.cosine([a[0]], [a]) == 0
    assert contest.cosine([a * np.nan], [a]) == 0
