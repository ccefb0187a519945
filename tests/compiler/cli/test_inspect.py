"""`edgec inspect` against figures that others published, and on models that cannot be compiled."""

import json
from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import TensorProto, helper
from typer.testing import CliRunner, Result

from edgec.benchmarks import zoo
from edgec.compiler.cli import console
from edgec.compiler.cli.app import app


def _inspect(*arguments: object) -> Result:
    console.settings = console.Settings()
    return CliRunner().invoke(app, ["inspect", *map(str, arguments)])


def _json(*arguments: object) -> Any:
    done = _inspect(*arguments, "--json")
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    ("name", "mega_macs", "parameters"),
    [("mobilenet_v2", 300.8, 3_504_872), ("mobilenet_v3_small", 56.5, 2_542_856), ("resnet18", 1814.1, 11_689_512)],
)
def test_work_and_parameters_are_the_published_ones(name: str, mega_macs: float, parameters: int) -> None:
    """torchvision's figures; batch norms are folded at export, so up to 0.7 % of the parameters are gone."""
    model = zoo.MODELS[name]
    found = _json(model.load(), "--shape", "x=1,3,224,224")
    assert found["macs"] / 1e6 == pytest.approx(mega_macs, abs=0.1)
    assert 0.993 * parameters <= found["parameters"] <= parameters
    assert found["problems"] == []
    assert sum(op["macs"] for op in found["ops"]) == found["macs"]


def test_text_shows_ops_shapes_and_memory() -> None:
    model = zoo.MODELS["ppocr_cls"]
    done = _inspect(model.load(), "--shape", "x=1,3,48,192")
    assert done.exit_code == 0
    for part in ("conv2d", "1 x 3 x 48 x 192", "16.3 M multiply-accumulates", "everything in it is supported"):
        assert part in done.stdout


def test_open_shapes_are_named_with_what_to_type() -> None:
    done = _inspect(zoo.MODELS["ppocr_det"].load())
    assert done.exit_code == 2
    assert "--shape x=1,3," in done.stdout


def test_ops_that_are_not_supported_are_all_named(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("StringNormalizer", ["x", "x"], ["a"], name="nms"),
        helper.make_node("Relu", ["x"], ["b"], name="fine"),
        helper.make_node("Nonsense[/bold]", ["b"], ["c"], name="odd\x1b[31m", domain="custom"),
    ]
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes, "g", [value("x", TensorProto.FLOAT, [1, 4])], [value("c", TensorProto.FLOAT, None)]
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("custom", 1)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), tmp_path / "m.onnx")
    done = _inspect(tmp_path / "m.onnx")
    assert done.exit_code == 2
    assert "StringNormalizer" in done.stdout and "custom.Nonsense[/bold]" in done.stdout
    assert "Relu (opset" not in done.stdout and "\x1b" not in done.stdout


@pytest.mark.parametrize("content", [b"", b"\x00", b"not a model", b"\x08" * 1000])
def test_what_is_no_model_is_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "m.onnx").write_bytes(content)
    done = _inspect(tmp_path / "m.onnx")
    assert done.exit_code == 2 and done.stdout == ""
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1


def _model(path: Path, nodes: list[onnx.NodeProto], *outputs: str) -> Path:
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes, "g",
        [value("x", TensorProto.FLOAT, [2, 4]), value("k", TensorProto.INT64, [1])],
        [value(name, TensorProto.FLOAT, None) for name in outputs],
    )  # fmt: skip
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("custom", 1)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path / "m.onnx")
    return path / "m.onnx"


def test_every_problem_is_listed_with_its_node_and_reason(tmp_path: Path) -> None:
    """Also behind others (cast), unless ONNX does not know the type of what is read (behind)."""
    nodes = [
        helper.make_node("Relus", ["x"], ["typo"], name="typo", domain=""),
        helper.make_node("Frob", ["x"], ["frob"], name="frob", domain="custom"),
        helper.make_node("Abs", ["frob"], ["behind"], name="behind"),
        helper.make_node("Transpose", ["x"], ["t"], name="t", perm=[0, 0]),
        helper.make_node("Softmax", ["x"], ["s"], name="axis", axis=7),
        helper.make_node("Expand", ["x", "k"], ["e"], name="expand"),
        helper.make_node("Cast", ["e"], ["last"], name="cast", to=TensorProto.STRING),
    ]
    done = _inspect(_model(tmp_path, nodes, "typo", "behind", "t", "s", "last"), "--json")
    assert done.exit_code == 2
    problems = {p["node"]: p for p in json.loads(done.stdout)["problems"]}
    assert set(problems) == {"typo", "frob", "t", "axis", "expand", "cast"}
    assert "similar ones are Relu" in problems["typo"]["reason"]
    assert problems["frob"]["op"] == "custom.Frob" and "function of the model" in problems["frob"]["reason"]
    assert "axis 7" in problems["axis"]["reason"]
    assert "--const k=" in problems["expand"]["reason"]
    text = _inspect(tmp_path / "m.onnx").stdout
    assert all(name in text for name in problems)


def test_problems_within_functions_and_graphs_are_named_with_where(tmp_path: Path) -> None:
    value = helper.make_tensor_value_info
    branch = helper.make_graph(
        [helper.make_node("Softmax", ["x"], ["b"], name="inner", axis=9)], "b",
        [], [value("b", TensorProto.FLOAT, None)],
    )  # fmt: skip
    nodes = [
        helper.make_node("Constant", [], ["yes"], value=helper.make_tensor("c", TensorProto.BOOL, [], [True])),
        helper.make_node("If", ["yes"], ["y"], name="if", then_branch=branch, else_branch=branch),
        helper.make_node("F", ["x"], ["z"], name="call", domain="custom"),
    ]
    path = _model(tmp_path, nodes, "y", "z")
    model = onnx.load(path)
    body = [helper.make_node("Softmax", ["a"], ["b"], name="inner", axis=8)]
    model.functions.append(helper.make_function("custom", "F", ["a"], ["b"], body, [helper.make_opsetid("", 17)]))
    onnx.save(model, path)
    problems = {p["node"]: p["reason"] for p in json.loads(_inspect(path, "--json").stdout)["problems"]}
    assert set(problems) == {"inner", "call/inner"}
    assert "axis 9" in problems["inner"] and "axis 8" in problems["call/inner"]


def test_nodes_before_and_after(tmp_path: Path) -> None:
    nodes = [helper.make_node("Relu", ["x"], ["a"]), helper.make_node("Exp", ["a"], ["b"])]
    nodes += [helper.make_node("Identity", ["b"], ["c"]), helper.make_node("Neg", ["c"], ["y"])]
    path = _model(tmp_path, nodes, "y")
    assert _json(path)["optimized_nodes"] == 1
    assert "4 nodes -> 1 after optimization" in _inspect(path).stdout


def test_what_has_no_kernel_is_listed(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Cast", ["x"], ["d"], to=TensorProto.DOUBLE),
        helper.make_node("Reshape", ["d", "shape"], ["r"]),
    ] + [helper.make_node("LRN", ["r"], [f"y{i}"], name=f"lrn{i}", size=3 + 2 * i) for i in range(2)]
    path = _model(tmp_path, nodes, "y0", "y1")
    model = onnx.load(path)
    model.graph.initializer.append(helper.make_tensor("shape", TensorProto.INT64, [4], [1, 2, 2, 2]))
    for output in model.graph.output:
        output.type.tensor_type.elem_type = TensorProto.DOUBLE
    onnx.save(model, path)
    problems = json.loads(_inspect(path, "--json").stdout)["problems"]
    assert [p["node"] for p in problems] == ["lrn0", "lrn1"]
    assert all("float64" in p["reason"] for p in problems)
