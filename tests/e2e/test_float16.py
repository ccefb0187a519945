"""A model that stores float16 computes in float32, rounds where it casts, and keeps its float16 interface."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgec.benchmarks.options import target_of
from edgec.compiler.bundle.reader import open_bundle
from edgec.compiler.driver import compile_model
from edgec.compiler.importer import import_onnx
from edgec.runtimes.devices import RunOptions, open_device

SHAPE = (1, 3, 17, 19)
DEVICES = ["local", "qemu:cortex-a53", "qemu:cortex-a76", "qemu:rv64,v=true"]


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


@pytest.mark.parametrize("device", DEVICES)
def test_float16_model(model: Path, tmp_path: Path, device: str) -> None:
    """Within one rounding to float16 (2^-11) of ONNX Runtime's result."""
    target = target_of(device)
    compile_model(model, target=target, output=tmp_path / "half.edge")
    bundle = open_bundle(tmp_path / "half.edge")
    x = np.random.default_rng(8).normal(size=SHAPE).astype(np.float16)
    manifest = bundle.manifest
    report = open_device(device).run(bundle.path, manifest.inputs, manifest.outputs, {"x": x}, None, RunOptions())
    y = report.outputs["y"]
    expected = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"]).run(None, {"x": x})[0]
    assert y.dtype == np.float16
    np.testing.assert_allclose(y.astype(np.float32), expected.astype(np.float32), rtol=2**-10, atol=2**-10)


def cast_model(path: Path, source: int, declared: bool = True) -> Path:
    """Two outputs: x cast to float16, and that cast on to float32."""
    half, float_, undefined = TensorProto.FLOAT16, TensorProto.FLOAT, TensorProto.UNDEFINED
    nodes = [helper.make_node("Cast", ["x"], ["h"], to=half), helper.make_node("Cast", ["h"], ["y"], to=float_)]
    outputs = [
        helper.make_tensor_value_info(n, t if declared else undefined, None) for n, t in (("h", half), ("y", float_))
    ]
    graph = helper.make_graph(nodes, "cast", [helper.make_tensor_value_info("x", source, ["n"])], outputs)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def around_halves() -> np.ndarray:
    """All numbers of float16, the floats halfway between two, and their neighbours; what is beyond."""
    halves = np.arange(2**16, dtype=np.uint16).view(np.float16).astype(np.float32)
    finite = np.sort(np.unique(halves[np.isfinite(halves)]))
    ties = (finite[1:] + finite[:-1]) / 2
    beyond = np.array([65519.996, 65520, 65520.004, 65536, 1e30, np.inf], np.float32)
    points = np.concatenate([halves, finite, ties, beyond, -beyond, np.array([2.0**-25, 2.0**-26, 1e-45], np.float32)])
    return np.concatenate([points, np.nextafter(points, np.float32(np.inf)), np.nextafter(points, np.float32(-np.inf))])


def run(path: Path, x: np.ndarray, device: str, folder: Path) -> Mapping[str, np.ndarray]:
    manifest = compile_model(path, target=target_of(device), shapes={"x": x.shape}, output=folder / "m.edge")
    ports = manifest.inputs, manifest.outputs
    return open_device(device).run(folder / "m.edge", *ports, {"x": x}, None, RunOptions()).outputs


@pytest.mark.parametrize("device", DEVICES)
def test_cast_rounds(tmp_path: Path, device: str) -> None:
    """To the nearest, half to even, as ONNX Runtime and numpy do."""
    path, x = cast_model(tmp_path / "cast.onnx", TensorProto.FLOAT), around_halves()
    half, back = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]).run(None, {"x": x})
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal(half, x.astype(np.float16))
    found = run(path, x, device, tmp_path)
    np.testing.assert_array_equal(found["h"], half)
    np.testing.assert_array_equal(found["y"], back)


@pytest.mark.parametrize(
    ("source", "x"),
    [
        (TensorProto.INT32, np.array([0, -1, 2047, 2049, 2051, 65519, 65520, -(2**31), 2**31 - 1], np.int32)),
        (TensorProto.BOOL, np.array([True, False])),
        (TensorProto.DOUBLE, np.array([0.1, 1e300, -np.inf, 65519.99, 65520.0, 2.0**-25, 3e-8])),
    ],
)
def test_cast_of_other_types_rounds(source: int, x: np.ndarray, tmp_path: Path) -> None:
    path = cast_model(tmp_path / "cast.onnx", source)
    half, back = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]).run(None, {"x": x})
    found = run(path, x, "local", tmp_path)
    np.testing.assert_array_equal(found["h"], half)
    np.testing.assert_array_equal(found["y"], back)


def test_outputs_without_a_declared_type_have_the_inferred_one(tmp_path: Path) -> None:
    graph = import_onnx(cast_model(tmp_path / "cast.onnx", TensorProto.FLOAT, declared=False), {"x": (4,)})
    assert [v.type.dtype for v in graph.outputs] == ["float16", "float32"]
