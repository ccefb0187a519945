"""Suppression of overlapping boxes, against the numpy reference and ONNX Runtime."""

import numpy as np
import onnxruntime as ort
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper

from edgec.compiler.ir.graph import Array, Node, Value
from edgec.compiler.ir.types import TensorType
from edgec.compiler.kernels import nms
from edgec.compiler.kernels.nms import NmsSpec
from edgec.compiler.ops.reference import run_node
from edgec.tests.kernel_harness import Machine, examples, on_machines, run_kernel


def onnx_runtime(boxes: Array, scores: Array, most: int, iou: float, least: float, center: bool) -> Array:
    inputs: dict[str, Array] = {"b": boxes, "s": scores, "m": np.array([most])}
    inputs |= {name: np.array([v], np.float32) for name, v in (("i", iou), ("t", least))}
    node = helper.make_node("NonMaxSuppression", [*inputs], ["y"], center_point_box=int(center))
    ports = [helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(a.dtype), a.shape)
             for n, a in inputs.items()]  # fmt: skip
    graph = helper.make_graph([node], "g", ports, [helper.make_tensor_value_info("y", TensorProto.INT64, None)])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=8)
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, inputs)[0])


@on_machines
@pytest.mark.parametrize("center", [False, True])
@examples
@given(
    batches=st.integers(1, 2), classes=st.integers(1, 3), count=st.integers(1, 40), most=st.integers(0, 12),
    iou=st.sampled_from([0.0, 0.3, 0.5, 1.0]), least=st.sampled_from([float("-inf"), 0.0, 0.4, 2.0]),
)  # fmt: skip
def test_boxes(
    machine: Machine, center: bool, batches: int, classes: int, count: int, most: int, iou: float, least: float
) -> None:
    """Boxes on a grid, so that many are equal or exactly at the threshold, and some without area; equal scores too."""
    rng = np.random.default_rng(count)
    boxes = rng.integers(0, 9, (batches, count, 4)).astype(np.float32)
    scores = (rng.integers(-3, 9, (batches, classes, count)) / 8).astype(np.float32)
    rows = batches * classes * min(most, count)
    attrs = {"max_output": min(most, count), "iou_threshold": iou, "score_threshold": least, "center_point_box": center}
    inputs = [Value("b", TensorType(boxes.shape, "float32")), Value("s", TensorType(scores.shape, "float32"))]
    outputs = [Value("y", TensorType((rows, 3), "int64")), Value("n", TensorType((1,), "int64"))]
    y, total = run_node(Node("nms", inputs, outputs, attrs), [boxes, scores])  # type: ignore[arg-type]
    np.testing.assert_array_equal(y[: total[0]], onnx_runtime(boxes, scores, most, iou, max(least, -1e9), center))
    operands: dict[str, Array] = {
        "boxes": boxes,
        "scores": scores,
        "w": np.zeros(count, np.int64),
        "y": y + 7,
        "total": total + 7,
    }
    params = {
        "batches": batches, "classes": classes, "count": count, "most": min(most, count), "rows": rows,
        "iou_threshold": float(iou), "score_threshold": float(least),
    }  # fmt: skip
    got = run_kernel(nms, NmsSpec(center), machine, operands, params, 1)
    np.testing.assert_array_equal(got["y"], y)
    np.testing.assert_array_equal(got["total"], total)
