"""What is rewritten for LiteRT computes the same, under ONNX Runtime."""

from collections import Counter

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from edgec.benchmarks.oracle import onnx_runtime
from edgec.benchmarks.peers.rewrite import rewrite

SHAPE = (1, 2, 7, 6)


def scalar(name: str, value: float) -> onnx.TensorProto:
    return helper.make_tensor(name, TensorProto.FLOAT, [], [value])


SCALARS = [scalar("three", 3), scalar("low", 0), scalar("high", 6), scalar("six", 6), scalar("four", 4)]
SWISH = [
    helper.make_node("Add", ["x", "three"], ["a"]),
    helper.make_node("Clip", ["a", "low", "high"], ["c"]),
    helper.make_node("Mul", ["x", "c"], ["m"]),
]
CASES = {
    "hard sigmoid": ([helper.make_node("HardSigmoid", ["x"], ["y"])], 13, {"Mul": 2, "Add": 1, "Clip": 1}),
    "hard sigmoid of a sixth": (
        [helper.make_node("HardSigmoid", ["x"], ["y"], alpha=1 / 6, beta=0.5)], 17, {"Add": 1, "Clip": 1, "Mul": 1},
    ),
    "hard swish": ([*SWISH, helper.make_node("Div", ["m", "six"], ["y"])], 12, {"HardSwish": 1}),
    "nearly a hard swish": ([*SWISH, helper.make_node("Div", ["m", "four"], ["y"])], 17, {"Div": 1}),
    "a pool of what is not negative": (
        [
            helper.make_node("Relu", ["x"], ["r"]),
            helper.make_node("MaxPool", ["r"], ["y"], kernel_shape=[3, 3], strides=[2, 2], pads=[1, 0, 1, 1]),
        ],
        17, {"Relu": 1, "Pad": 1, "MaxPool": 1},
    ),
    "a pool of anything": (
        [helper.make_node("MaxPool", ["x"], ["y"], kernel_shape=[3, 3], pads=[1, 1, 1, 1])], 17, {"MaxPool": 1},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_it_computes_the_same(name, tmp_path) -> None:
    nodes, opset, expected = CASES[name]
    ports = [helper.make_tensor_value_info("x", TensorProto.FLOAT, SHAPE)]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)]
    graph = helper.make_graph(nodes, "g", ports, outputs, SCALARS)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    before, after = tmp_path / "before.onnx", tmp_path / "after.onnx"
    onnx.save(model, before)
    rewrite(before, after)
    found = Counter(node.op_type for node in onnx.load(after).graph.node)
    assert expected.items() <= found.items()
    feeds = {"x": np.random.default_rng(0).normal(0, 3, SHAPE).astype(np.float32)}
    want, got = onnx_runtime(before)(feeds)["y"], onnx_runtime(after)(feeds)["y"]
    np.testing.assert_allclose(got, want, rtol=1e-6, atol=1e-6)
