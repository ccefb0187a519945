"""MaxRoiPool against ONNX Runtime's kernel."""

import numpy as np
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper

from edgec import EdgeError
from edgec.compiler.importer import import_onnx
from edgec.compiler.ir.extent import symbol
from edgec.compiler.ops.reference import run_graph
from edgec.tests.compiler.lower import running, test_ranges

ROIS = np.array(
    [[0, 0, 0, 6, 5], [1, 2, 1, 9, 3], [1, 3, 3, 3, 3], [0, 5, 4, 2, 1], [1, -4, -3, 20, 18], [0, 30, 30, 40, 40],
     [1, 1.5, 2.5, 4.49, 3.51]], np.float32,
)  # fmt: skip


def build(pooled, scale, x_shape):
    node = helper.make_node("MaxRoiPool", ["x", "r"], ["y"], name="node", pooled_shape=pooled, spatial_scale=scale)
    value = helper.make_tensor_value_info
    inputs = [value("x", TensorProto.FLOAT, x_shape), value("r", TensorProto.FLOAT, ROIS.shape)]
    graph = helper.make_graph([node], "g", inputs, [value("y", TensorProto.FLOAT, [len(ROIS), x_shape[1], *pooled])])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)


@pytest.mark.parametrize(("pooled", "scale"), [((2, 3), 1.0), ((1, 1), 0.5), ((4, 7), 0.75)])
def test_agrees_with_onnx_runtime(pooled, scale, tmp_path) -> None:
    x = np.random.default_rng(4).normal(size=(2, 3, 6, 10)).astype(np.float32) - 1
    model, feeds = build(pooled, scale, x.shape), {"x": x, "r": ROIS}
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    graph = import_onnx(model)
    (want,) = session.run(None, feeds)
    np.testing.assert_array_equal(run_graph(graph, feeds)["y"], want)
    assert (want < 0).any() and (want == 0).any()
    if pooled == (2, 3):
        running.check(graph, feeds, tmp_path)


def test_too_many_elements_are_refused() -> None:
    with pytest.raises(EdgeError, match="MaxRoiPool node 'node': its bins read"):
        import_onnx(build((64, 64), 1.0, (2, 64, 64, 64)))


@pytest.mark.slow
def test_ranges_of_images_and_regions(tmp_path) -> None:
    """One program for any number and size of images and any number of regions, and ONNX Runtime's numbers."""
    node = helper.make_node("MaxRoiPool", ["x", "r"], ["y"], pooled_shape=[2, 3], spatial_scale=0.5)
    path = test_ranges.model(tmp_path / "m.onnx", {"x": ["N", 4, "H", "W"], "r": ["R", 5]}, [node], ["y"], {})
    sizes = symbol("N", 1, 3), 4, symbol("H", 4, 32, 4), symbol("W", 4, 32, 4)
    rng, feeds = np.random.default_rng(0), []
    for n, h, w, regions in ((1, 4, 16, 5), (3, 16, 16, 9), (2, 32, 32, 1)):
        corners = np.sort(rng.uniform(0, 64, (regions, 2, 2)), axis=1).reshape(regions, 4)
        rois = np.concatenate([rng.integers(0, n, (regions, 1)), corners], 1).astype(np.float32)
        feeds.append({"x": rng.normal(size=(n, 4, h, w)).astype(np.float32), "r": rois})
    test_ranges.check(path, {"x": sizes, "r": (symbol("R", 1, 9), 5)}, feeds, tmp_path)
