"""`--fp16`: what it makes, and what it is not for. (`test_zoo.py` runs it.)"""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from typer.testing import CliRunner

from edgec.compiler.cli.app import app
from edgec.compiler.driver import compile_model
from edgec.errors import EdgeError


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A convolution of a picture, and one of its channels."""
    rng = np.random.default_rng(5)
    weights = [
        numpy_helper.from_array(rng.normal(size=shape).astype(np.float32), name)
        for name, shape in (("v", (16, 3, 3, 3)), ("w", (32, 16, 3, 3)))
    ]
    nodes = [helper.make_node("Conv", ["x", "v"], ["t"]), helper.make_node("Conv", ["t", "w"], ["y"])]
    x, y = (
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)
        for name, shape in (("x", [1, 3, 8, 8]), ("y", [1, 32, 4, 4]))
    )
    path = tmp_path / "model.onnx"
    graph = helper.make_graph(nodes, "g", [x], [y], weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def test_weights_take_half_the_memory(model: Path, tmp_path: Path) -> None:
    sizes = []
    for fp16 in (False, True):
        manifest = compile_model(model, target="host", fp16=fp16, output=tmp_path / "m.edge")
        sizes.append((manifest.precision, manifest.memory.weights))
    assert [s[0] for s in sizes] == ["float32", "float16"] and sizes[1][1] < 0.6 * sizes[0][1]


def test_it_excludes_int8(model: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["compile", str(model), "--fp16", "--int8", "-o", str(tmp_path / "m.edge")])
    assert done.exit_code == 2 and "--int8 and --fp16 exclude each other" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1 and not (tmp_path / "m.edge").exists()


def test_it_is_not_for_quantized_models(tmp_path: Path) -> None:
    scale, zero = (
        numpy_helper.from_array(np.array(v, t), n) for v, t, n in ((0.1, np.float32, "s"), (3, np.int8, "z"))
    )
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["y"]),
    ]
    x, y = (helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [4]) for name in "xy")
    graph = helper.make_graph(nodes, "g", [x], [y], [scale, zero])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path / "q.onnx")
    with pytest.raises(EdgeError, match="quantized already"):
        compile_model(tmp_path / "q.onnx", target="host", fp16=True, output=tmp_path / "q.edge")


def test_a_target_without_float16_says_so(model: Path, tmp_path: Path) -> None:
    with pytest.raises(EdgeError, match="riscv64-rvv has no code for float16"):
        compile_model(model, target="riscv64-rvv", fp16=True, output=tmp_path / "m.edge")
