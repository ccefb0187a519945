"""Ctrl-C while edgec compiles."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper


@pytest.mark.slow
def test_an_interrupted_compile_leaves_nothing_but_what_was_there(tmp_path: Path) -> None:
    """Neither beside the place of the bundle nor in the cache."""
    cache, place = tmp_path / "cache", tmp_path / "place"
    place.mkdir()
    (place / "m.edge").mkdir()
    weights = numpy_helper.from_array(np.ones((16, 16, 3, 3), np.float32), "w")
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 16, 9, 9]) for name in "xy"]
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], pads=[1, 1, 1, 1]),
        helper.make_node("Softmax", ["c"], ["s"], axis=1),
        helper.make_node("Erf", ["s"], ["y"]),
    ]
    model = helper.make_model(helper.make_graph(nodes, "g", ports[:1], ports[1:], [weights]))
    onnx.save(model, tmp_path / "m.onnx")
    running = subprocess.Popen(
        [sys.executable, "-m", "edgec", "compile", str(tmp_path / "m.onnx"), "-o", str(place / "m.edge")],
        env={**os.environ, "EDGEC_CACHE_DIR": str(cache)}, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # shells ignore it in the background
    )  # fmt: skip
    while not (cache / "kernels").exists():
        assert running.poll() is None
        time.sleep(0.01)
    running.send_signal(signal.SIGINT)
    said = running.communicate(timeout=120)[1]
    assert running.returncode == 130
    assert "Traceback" not in said
    assert os.listdir(place) == ["m.edge"] and os.listdir(place / "m.edge") == []
    assert not list(cache.rglob(".*"))
