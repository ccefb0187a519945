"""A model's memory: planned, alive, and measured, of edgec alone."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from edgec.benchmarks import memory
from edgec.benchmarks.memory import rows
from edgec.benchmarks.peers.cases import Case


@pytest.mark.slow
def test_a_chain_needs_two_tensors_at_a_time(tmp_path, monkeypatch) -> None:
    """x -> a -> b -> y, pooled twice by 3 x 3: a and b are alive at the same time, x and y are the user's."""
    shape = (1, 16, 64, 64)
    pools = [
        helper.make_node("MaxPool", [x], [y], kernel_shape=[3, 3], pads=[1, 1, 1, 1])
        for x, y in (("x", "a"), ("a", "b"), ("b", "y"))
    ]
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in ("x", "y")]
    graph = helper.make_graph(pools, "g", ports[:1], ports[1:])
    path = tmp_path / "pools.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    feeds = {"x": np.random.default_rng(0).normal(size=shape).astype(np.float32)}
    monkeypatch.setattr(memory, "FOLDER", Path(tmp_path))
    (row,) = rows([Case("pools", lambda: path, lambda i: feeds)], ["float32"], [])
    tensor = 4 * 16 * 64 * 64
    assert row.alive == 2 * tensor  # channels last: x becomes a copy, which is alive while a is computed
    assert row.arena >= 2 * tensor and row.over_alive == row.arena / row.alive
    assert row.ours > row.arena and row.theirs is None and row.peer == ""
