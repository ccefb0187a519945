"""`edgec.load`: what is loaded is the bundle that was checked, however often its path has been used before."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import edgec
from edgec.compiler.bundle.load import default_device
from edgec.compiler.bundle.reader import open_bundle


def compile_gemm(path: Path, columns: int) -> np.ndarray:
    """Compiles y = x @ w for this machine, and returns w."""
    w = np.random.default_rng(columns).standard_normal((4, columns)).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("Gemm", ["x", "w"], ["y"])],
        "gemm",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, columns])],
        [numpy_helper.from_array(w, "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, path.with_suffix(".onnx"))
    edgec.compile_model(path.with_suffix(".onnx"), target="host", output=path)
    return w


def test_a_model_compiled_again_to_the_same_path_is_the_new_one(tmp_path: Path) -> None:
    path, x = tmp_path / "model.edge", np.arange(4, dtype=np.float32)[None]
    loaded = []
    for columns in (3, 33):
        w = compile_gemm(path, columns)
        loaded.append((w, edgec.load(path)))
    for w, model in loaded:
        np.testing.assert_allclose(model.run({"x": x})["y"], x @ w, rtol=1e-5)
        model.close()


def test_a_library_that_changed_after_the_check_is_not_loaded(tmp_path: Path) -> None:
    path = tmp_path / "model.edge"
    compile_gemm(path, 3)
    bundle = open_bundle(path)
    assert default_device(bundle) == "local" and bundle.library_code() == bundle.library.read_bytes()
    bundle.library.write_bytes(bundle.library.read_bytes()[:-1] + b"!")
    with pytest.raises(edgec.EdgeError, match=r"libmodel\.so is damaged"):
        bundle.library_code()
    with pytest.raises(edgec.EdgeError, match=r"libmodel\.so is damaged"):
        edgec.load(path)
