"""A model that stores float16 computes in float32 and keeps its float16 interface."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgec.compiler.bundle.reader import open_bundle
from edgec.compiler.driver import compile_model
from edgec.runtimes.devices import RunOptions, open_device

SHAPE = (1, 3, 17, 19)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Convolution and relu, all in float16."""
    rng = np.random.default_rng(7)
    w = numpy_helper.from_array(rng.normal(size=(10, 3, 3, 3)).astype(np.float16), "w")
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["t"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["t"], ["y"]),
    ]
    ports = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT16, shape)
        for name, shape in (("x", SHAPE), ("y", (1, 10, *SHAPE[2:])))
    ]
    graph = helper.make_graph(nodes, "half", ports[:1], ports[1:], [w])
    path = tmp_path_factory.mktemp("float16") / "half.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


@pytest.mark.parametrize("device", ["local", "qemu:cortex-a53", "qemu:cortex-a76"])
def test_float16_model(model: Path, tmp_path: Path, device: str) -> None:
    """Within one rounding to float16 (2^-11) of ONNX Runtime's result."""
    target = "host" if device == "local" else "arm64-neon"
    compile_model(model, target=target, output=tmp_path / "half.edge")
    bundle = open_bundle(tmp_path / "half.edge")
    x = np.random.default_rng(8).normal(size=SHAPE).astype(np.float16)
    manifest = bundle.manifest
    report = open_device(device).run(bundle.path, manifest.inputs, manifest.outputs, {"x": x}, None, RunOptions())
    y = report.outputs["y"]
    expected = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"]).run(None, {"x": x})[0]
    assert y.dtype == np.float16
    np.testing.assert_allclose(y.astype(np.float32), expected.astype(np.float32), rtol=2**-10, atol=2**-10)
