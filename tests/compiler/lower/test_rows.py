"""Maps over rows of every length, each with code for what it meets: at least a vector, less, or what a run decides."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from edgec.compiler.driver import build_graph
from edgec.compiler.ir.extent import symbol
from edgec.compiler.lower.lower import lower
from edgec.compiler.ops.reference import run_graph
from edgec.targets.registry import find

from .running import BASE, HOST, run


def broadcast(path: Path) -> Path:
    """Two inputs that are added with one repeated along the rows of the other."""
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node("Add", ["x", "b"], ["y"])],
        "g",
        [value("x", TensorProto.FLOAT, ["n", "w"]), value("b", TensorProto.FLOAT, [1, "w"])],
        [value("y", TensorProto.FLOAT, ["n", "w"])],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


@pytest.mark.parametrize(
    ("width", "ending"),
    [
        (7, "_short"), (8, ""), (9, ""),
        (symbol("W", 2, 7), "_short"), (symbol("W", 8, 30), ""), (symbol("W", 2, 30), "_any"),
    ],
)  # fmt: skip
def test_code_of_rows(width: int, ending: str, tmp_path: Path) -> None:
    graph = build_graph(broadcast(tmp_path / "m.onnx"), shapes={"x": (5, width), "b": (1, width)})
    (kernel,) = lower(graph, find("arm64-neon")).kernels
    assert kernel.partition("map_f32_f32_f32_")[2][8:] == ending


@pytest.mark.parametrize("device", [HOST, BASE])
@pytest.mark.parametrize(("width", "runs"), [(3, [3]), (16, [16]), (symbol("W", 2, 40), [2, 7, 8, 15, 16, 17, 40])])
def test_results(width: int, runs: Sequence[int], device: str, tmp_path: Path) -> None:
    graph, rng = (
        build_graph(broadcast(tmp_path / "m.onnx"), shapes={"x": (5, width), "b": (1, width)}),
        np.random.default_rng(1),
    )
    for count in runs:
        feeds = {name: rng.normal(size=(n, count)).astype(np.float32) for name, n in (("x", 5), ("b", 1))}
        np.testing.assert_array_equal(run(graph, feeds, tmp_path, device)["y"], feeds["x"] + feeds["b"])
        np.testing.assert_array_equal(run_graph(graph, feeds)["y"], feeds["x"] + feeds["b"])
