"""One bundle for a range of shapes, and states that stay in a session, against ONNX Runtime and numpy."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

import edgec
from edgec import EdgeError, compile_model
from edgec.compiler.bundle.reader import open_bundle
from edgec.compiler.ir.extent import symbol
from edgec.runtimes.devices import RunOptions, open_device
from edgec.runtimes.python import Model

SHAPES = [(3, 160, 96), (1, 32, 32), (2, 96, 64), (1, 160, 32), (3, 32, 96)]


def save(path: Path, nodes: list, inputs: dict[str, list], outputs: list[str], **weights: np.ndarray) -> Path:
    graph = helper.make_graph(
        nodes, "g",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in inputs.items()],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        [numpy_helper.from_array(array.astype(np.float32), name) for name, array in weights.items()],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, path)
    return path


@pytest.fixture(scope="module")
def ranged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Strided, depthwise and pointwise convolutions, a pool, a mean over the plane."""
    rng = np.random.default_rng(0)
    nodes = [
        helper.make_node("Conv", ["x", "w0"], ["a"], pads=[1, 1, 1, 1], strides=[2, 2]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Conv", ["b", "w1"], ["c"], pads=[1, 1, 1, 1], group=8),
        helper.make_node("MaxPool", ["c"], ["d"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Conv", ["d", "w2"], ["y"]),
        helper.make_node("ReduceMean", ["y"], ["mean"], axes=[2, 3], keepdims=0),
    ]
    return save(
        tmp_path_factory.mktemp("ranged") / "m.onnx", nodes, {"x": ["N", 3, "H", "W"]}, ["y", "mean"],
        w0=rng.normal(size=(8, 3, 3, 3)), w1=rng.normal(size=(8, 1, 3, 3)), w2=rng.normal(size=(4, 8, 1, 1)),
    )  # fmt: skip


def compile_ranged(model: Path, target: str) -> Path:
    output = model.with_name(f"{target}.edge")
    if not output.exists():
        shape = (symbol("N", 1, 3), 3, symbol("H", 32, 160, 32), symbol("W", 32, 96, 32))
        compile_model(model, target=target, shapes={"x": shape}, output=output)
    return output


def check(found: dict[str, np.ndarray], x: np.ndarray, reference: ort.InferenceSession) -> None:
    for name, y in zip(("y", "mean"), reference.run(None, {"x": x}), strict=True):
        assert found[name].shape == y.shape
        np.testing.assert_allclose(found[name], y, rtol=0, atol=1e-4 * np.ptp(y))


def sample(shape: tuple[int, int, int]) -> np.ndarray:
    n, h, w = shape
    return np.random.default_rng(h * w + n).normal(size=(n, 3, h, w)).astype(np.float32)


@pytest.mark.parametrize("threads", [1, 3])
def test_a_session_takes_one_shape_after_the_other(ranged: Path, threads: int) -> None:
    bundle, reference = open_bundle(compile_ranged(ranged, "host")), ort.InferenceSession(ranged)
    assert [port.extents for port in bundle.manifest.inputs] == [("1..3", "3", "32..160/32", "32..96/32")]
    assert [port.extents for port in bundle.manifest.outputs] == [("1..3", "4", "8..40", "8..24"), ("1..3", "4")]
    with Model(bundle.library, bundle.weights) as model, model.session(threads, guard=True) as session:
        for shape in SHAPES * 2:
            check(session.run({"x": sample(shape)}), sample(shape), reference)
        assert threads > 1 or session.memory().runtime == bundle.manifest.memory.runtime
        with pytest.raises(EdgeError, match=r"shape \[1, 3, 48, 32\], but \[1..3, 3, 32..160/32, 32..96/32\]"):
            session.run({"x": np.zeros((1, 3, 48, 32), np.float32)})


@pytest.mark.parametrize("target, device", [("host", "local"), ("arm64-neon", "qemu:cortex-a53")])
def test_memory_of_exactly_the_shape_is_enough(ranged: Path, target: str, device: str) -> None:
    """The runner's --guard puts what must not be touched where inputs and outputs end."""
    bundle, reference = open_bundle(compile_ranged(ranged, target)), ort.InferenceSession(ranged)
    for shape in SHAPES:
        report = open_device(device).run(
            bundle.path, bundle.manifest.inputs, bundle.manifest.outputs, {"x": sample(shape)}, None,
            RunOptions(guard=True, threads=2),
        )  # fmt: skip
        check(report.outputs, sample(shape), reference)


@pytest.fixture(scope="module")
def recurrent(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, np.ndarray]:
    """h' = tanh(h w + x), and y = 2 h'."""
    nodes = [
        helper.make_node("MatMul", ["h", "w"], ["hw"]),
        helper.make_node("Add", ["hw", "x"], ["sum"]),
        helper.make_node("Tanh", ["sum"], ["hn"]),
        helper.make_node("Add", ["hn", "hn"], ["y"]),
    ]
    weights = np.random.default_rng(1).normal(size=(16, 16)).astype(np.float32)
    path = tmp_path_factory.mktemp("recurrent") / "m.onnx"
    return save(path, nodes, {"x": [1, 16], "h": [1, 16]}, ["y", "hn"], w=weights), weights


def test_states_stay_in_the_session(recurrent: tuple[Path, np.ndarray]) -> None:
    path, w = recurrent
    manifest = compile_model(path, target="host", states={"h": "hn"}, output=path.with_suffix(".edge"))
    assert [(s.tensor.name, s.output, s.tensor.shape) for s in manifest.states] == [("h", "hn", (1, 16))]
    bundle = open_bundle(path.with_suffix(".edge"))
    with Model(bundle.library, bundle.weights) as model, model.session(guard=True) as session:
        for _ in range(2):
            h = np.zeros((1, 16), np.float32)
            for i in range(5):
                x = np.full((1, 16), 0.1 * i, np.float32)
                h = np.tanh(h @ w + x)
                np.testing.assert_allclose(session.run({"x": x})["y"], 2 * h, atol=1e-5)
            np.testing.assert_allclose(session.state("h"), h, atol=1e-5)
            session.reset()


def test_a_bundle_with_states_is_not_loaded_where_they_would_be_lost(recurrent: tuple[Path, np.ndarray]) -> None:
    path, _ = recurrent
    compile_model(path, target="arm64-neon", states={"h": "hn"}, output=path.with_name("arm.edge"))
    with pytest.raises(EdgeError, match=r"keeps states from run to run, which device 'qemu:.*' does not"):
        edgec.load(path.with_name("arm.edge"))
