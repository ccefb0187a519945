"""One plan for a range of shapes: at each of them it computes what ONNX Runtime and the static graph compute."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgec.compiler.driver import build_graph
from edgec.compiler.ir.extent import Symbol, symbol
from edgec.compiler.ir.graph import Array, Graph
from edgec.compiler.ir.specialize import bound, specialized
from edgec.compiler.lower import copies
from edgec.compiler.lower.lower import Lowered, lower
from edgec.compiler.ops.reference import run_graph
from edgec.errors import EdgeError
from edgec.targets.registry import find

from .running import DOTPROD, HOST, run

RANDOM = np.random.default_rng(7)

Nodes = Sequence[onnx.NodeProto]


def model(
    path: Path, inputs: Mapping[str, Sequence[str | int]], nodes: Nodes, outputs: Sequence[str],
    constants: Mapping[str, Array], dtypes: Mapping[str, int] | None = None,
) -> Path:  # fmt: skip
    types = dtypes or {}
    graph = helper.make_graph(
        nodes, "g",
        [helper.make_tensor_value_info(n, types.get(n, TensorProto.FLOAT), s) for n, s in inputs.items()],
        [helper.make_tensor_value_info(n, types.get(n, TensorProto.FLOAT), None) for n in outputs],
        [numpy_helper.from_array(a, n) for n, a in constants.items()],
    )  # fmt: skip
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(proto, str(path))
    return path


def floats(*shape: int) -> Array:
    return RANDOM.normal(size=shape).astype(np.float32)


def values_of(graph: Graph, feeds: Mapping[str, Array]) -> dict[Symbol, int]:
    values: dict[Symbol, int] = {}
    for value in graph.inputs:
        assert bound(value.type, feeds[value.name].shape, values)
    return values


def require_close(found: Mapping[str, Array], expected: Mapping[str, Array], where: str) -> None:
    """To 1e-4 of an output's range; integers are equal."""
    for name, want in expected.items():
        got = found[name]
        assert got.shape == want.shape, f"{name} {where}: {got.shape} and not {want.shape}"
        if want.dtype.kind != "f":
            np.testing.assert_array_equal(got, want, err_msg=f"{name} {where}")
        elif want.size:
            bound_ = 1e-4 * max(1e-3, float(np.ptp(want)))
            np.testing.assert_allclose(got, want, rtol=1e-5, atol=bound_, err_msg=f"{name} {where}")


def check(path: Path, shapes: Mapping[str, Sequence[int]], feeds: Sequence[dict[str, Array]], tmp: Path) -> None:
    """The float model at `path`, compiled for `shapes`, against ONNX Runtime on each of `feeds`."""
    graph = build_graph(path, shapes=shapes, verify=True)
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [o.name for o in session.get_outputs()]
    for feed in feeds:
        expected = dict(zip(names, session.run(None, feed), strict=True))
        where = f"at {[x.shape for x in feed.values()]}"
        require_close(run_graph(graph, feed), expected, f"reference {where}")
        require_close(run(graph, feed, tmp), expected, f"compiled {where}")


def picture_model(path: Path) -> Path:
    """Windows, pools, reductions, resizing and layouts over x [N, 4, H, W]."""
    node = helper.make_node
    constants: dict[str, Array] = {
        "w0": floats(8, 4, 3, 3), "w1": floats(8, 1, 3, 3), "w2": floats(12, 8, 1, 1), "w3": floats(12, 4, 2, 2),
        "roi": np.zeros(0, np.float32), "two": np.array([1, 1, 2, 2], np.float32),
        "half": np.array([1, 1, 0.5, 1.5], np.float32), "bias": floats(1, 12, 1, 1),
        "from": np.array([1, -1], np.int64), "to": np.array([2**62, -(2**62)], np.int64),
        "axes": np.array([2, 3], np.int64), "by": np.array([2, -1], np.int64),
        "sides": np.array([0, 0, 1, 2, 0, 0, 0, 1], np.int64), "plane": np.array([2, 3], np.int64),
        "flat": np.array([0, 12, -1], np.int64),
    }  # fmt: skip
    nodes = [
        node("Conv", ["x", "w0"], ["c0"], strides=[2, 2], pads=[1, 1, 1, 1]),
        node("Relu", ["c0"], ["r0"]),
        node("Conv", ["r0", "w1"], ["c1"], auto_pad="SAME_UPPER", group=8),
        node("Add", ["c1", "r0"], ["sum"]),
        node("Conv", ["sum", "w2"], ["c2"]),
        node("ConvTranspose", ["c2", "w3"], ["transposed"], strides=[2, 2]),
        node("MaxPool", ["c2"], ["max"], kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]),
        node("AveragePool", ["c2"], ["average"], kernel_shape=[2, 3], strides=[2, 1], count_include_pad=1),
        node("GlobalAveragePool", ["c2"], ["mean"]),
        node("Mul", ["c2", "mean"], ["scaled"]),
        node("ReduceMax", ["c2"], ["columns"], axes=[3], keepdims=0),
        node("ReduceMean", ["c2"], ["rows"], axes=[0, 2], keepdims=0),
        node("Softmax", ["c2"], ["soft"], axis=3),
        node("Resize", ["c2", "roi", "two"], ["nearest"], mode="nearest", nearest_mode="floor",
             coordinate_transformation_mode="asymmetric"),
        node("Resize", ["c2", "roi", "half"], ["linear"], mode="linear"),
        node("Slice", ["c2", "from", "to", "axes", "by"], ["slice"]),
        node("Pad", ["c2", "sides"], ["reflected"], mode="reflect"),
        node("Concat", ["c2", "sum"], ["joined"], axis=1),
        node("Transpose", ["c2"], ["turned"], perm=[3, 0, 2, 1]),
        node("Reshape", ["c2", "flat"], ["flattened"]),
        node("MatMul", ["flattened", "turned_flat"], ["gram"]),
        node("Transpose", ["flattened"], ["turned_flat"], perm=[0, 2, 1]),
        node("MatMul", ["turned_flat", "flattened"], ["outer"]),
    ]  # fmt: skip
    nodes[-3:] = [nodes[-2], nodes[-3], nodes[-1]]
    outputs = [
        "transposed", "max", "average", "mean", "scaled", "columns", "rows", "soft", "nearest", "linear", "slice",
        "reflected", "joined", "turned", "gram", "outer",
    ]  # fmt: skip
    return model(path, {"x": ["n", 4, "h", "w"]}, nodes, outputs, constants)


def test_pictures(tmp_path: Path) -> None:
    path = picture_model(tmp_path / "m.onnx")
    shape = (symbol("N", 1, 3), 4, symbol("H", 8, 24, 8), symbol("W", 8, 40, 8))
    sizes = (1, 8, 8), (3, 24, 16), (2, 16, 40)
    check(path, {"x": shape}, [{"x": floats(n, 4, h, w)} for n, h, w in sizes], tmp_path)


def test_odd_sizes(tmp_path: Path) -> None:
    """Steps of one: extents that strides do not divide."""
    node = helper.make_node
    constants: dict[str, Array] = {"w": floats(8, 3, 3, 3), "v": floats(5, 8, 3, 3)}
    nodes = [
        node("Conv", ["x", "w"], ["a"], strides=[2, 2], pads=[1, 1, 1, 1]),
        node("Conv", ["a", "v"], ["b"], strides=[2, 3], auto_pad="VALID"),
        node("AveragePool", ["a"], ["c"], kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]),
    ]
    path = model(tmp_path / "m.onnx", {"x": [1, 3, "h", "w"]}, nodes, ["b", "c"], constants)
    shape = (1, 3, symbol("H", 9, 31), symbol("W", 9, 50))
    check(path, {"x": shape}, [{"x": floats(1, 3, h, w)} for h, w in ((9, 9), (12, 50), (31, 23))], tmp_path)


def test_shapes_computed_from_shapes(tmp_path: Path) -> None:
    """Shape, Gather, arithmetic, Concat and what takes the result: Reshape, Expand, Slice, Range, Tile, Split."""
    node = helper.make_node
    constants: dict[str, Array] = {
        "zero": np.array(0, np.int64), "one": np.array(1, np.int64), "last": np.array(-1, np.int64),
        "axis": np.array([0], np.int64), "two": np.array([2], np.int64), "ones": np.array([1], np.int64),
        "rest": np.array([-1], np.int64), "begin": np.array([0], np.int64), "scalar_two": np.array(2, np.int64),
        "table": floats(40, 3),
    }  # fmt: skip
    nodes = [
        node("Shape", ["x"], ["shape"]),
        node("Gather", ["shape", "one"], ["t"], axis=0),
        node("Gather", ["shape", "zero"], ["n"], axis=0),
        node("Unsqueeze", ["t", "axis"], ["t1"]),
        node("Unsqueeze", ["n", "axis"], ["n1"]),
        node("Mul", ["t1", "two"], ["twice"]),
        node("Div", ["twice", "two"], ["again"]),
        node("Concat", ["n1", "again", "two", "rest"], ["heads"], axis=0),
        node("Reshape", ["x", "heads"], ["split_heads"]),
        node("Concat", ["t1", "n1"], ["turned"], axis=0),
        node("ConstantOfShape", ["turned"], ["blank"]),
        node("Range", ["zero", "t", "one"], ["positions"]),
        node("Gather", ["table", "positions"], ["embedded"], axis=0),
        node("Gather", ["x", "last"], ["final"], axis=1),
        node("Cast", ["t"], ["length"], to=TensorProto.FLOAT),
        node("Div", ["x", "length"], ["divided"]),
        node("Sub", ["t1", "ones"], ["shorter"]),
        node("Slice", ["x", "begin", "shorter", "ones"], ["cut"]),
        node("Slice", ["x", "ones", "t1", "ones"], ["tail"]),
        node("Sub", ["tail", "cut"], ["difference"]),
        node("Div", ["t", "scalar_two"], ["middle"]),
        node("Unsqueeze", ["middle", "axis"], ["middle1"]),
        node("Slice", ["x", "middle1", "t1", "ones"], ["second"]),
        node("Equal", ["heads", "rest"], ["unknown"]),
        node("Size", ["x"], ["count"]),
        node("Mul", ["count", "scalar_two"], ["doubled"]),
    ]
    outputs = ["split_heads", "blank", "embedded", "final", "divided", "difference", "second", "unknown", "doubled"]
    types = {"unknown": TensorProto.BOOL, "doubled": TensorProto.INT64}
    path = model(tmp_path / "m.onnx", {"x": ["n", "t", 6]}, nodes, outputs, constants, types)
    shape = (symbol("N", 1, 4), symbol("T", 3, 40), 6)
    check(path, {"x": shape}, [{"x": floats(n, t, 6)} for n, t in ((1, 3), (4, 17), (2, 40))], tmp_path)


@pytest.mark.parametrize("device", [HOST, DOTPROD])
def test_int8_is_that_of_the_static_graph(device: str, tmp_path: Path) -> None:
    """Byte for byte: the reference at a shape, the static plan of that shape, and the plan for the range."""
    path = picture_model(tmp_path / "m.onnx")
    samples = tmp_path / "samples"
    samples.mkdir()
    for i, (n, h, w) in enumerate(((1, 8, 8), (2, 24, 16), (3, 16, 40))):
        np.savez(samples / f"{i}.npz", x=floats(n, 4, h, w))
    shape = (symbol("N", 1, 3), 4, symbol("H", 8, 24, 8), symbol("W", 8, 40, 8))
    graph = build_graph(path, int8=True, calibrate=samples, shapes={"x": shape}, verify=True)
    for n, h, w in ((1, 8, 8), (2, 24, 40), (3, 16, 24)) if device == HOST else ((3, 16, 24),):
        feed = {"x": floats(n, 4, h, w)}
        found, static = run(graph, feed, tmp_path, device, threads=n), specialized(graph, values_of(graph, feed))
        (tmp_path / f"static{n}").mkdir()
        for expected in (run_graph(graph, feed), run(static, feed, tmp_path / f"static{n}", device)):
            for name, want in expected.items():
                np.testing.assert_array_equal(found[name], want, err_msg=name)


def test_sizes_that_depend_on_data(tmp_path: Path) -> None:
    """NonMaxSuppression and NonZero, and what takes their results; also where nothing is found."""
    node = helper.make_node
    constants: dict[str, Array] = {
        "most": np.array([10], np.int64), "iou": np.array([0.5], np.float32), "least": np.array([0.3], np.float32),
        "two": np.array(2, np.int64), "half": np.array([0.5], np.float32), "zero": np.array([0], np.int64),
        "end": np.array([2], np.int64), "one": np.array([1], np.int64), "flags": np.array([1, 0, 1, 1], bool),
        "five": np.array([5], np.int64),
    }  # fmt: skip
    nodes = [
        node("NonMaxSuppression", ["boxes", "scores", "most", "iou", "least"], ["selected"]),
        node("Gather", ["selected", "two"], ["index"], axis=1),
        node("Gather", ["boxes", "index"], ["kept"], axis=1),
        node("Squeeze", ["kept", "zero"], ["rows"]),
        node("Slice", ["rows", "zero", "end", "one"], ["corners"]),
        node("Slice", ["rows", "zero", "five", "zero"], ["best"]),
        node("Mul", ["rows", "rows"], ["squares"]),
        node("ReduceSum", ["squares", "one"], ["norms"], keepdims=1),
        node("Concat", ["rows", "norms"], ["joined"], axis=1),
        node("Transpose", ["joined"], ["turned"], perm=[1, 0]),
        node("Softmax", ["turned"], ["soft"], axis=1),
        node("Cast", ["index"], ["index32"], to=TensorProto.INT32),
        node("Greater", ["scores", "half"], ["mask"]),
        node("NonZero", ["mask"], ["found"]),
        node("Shape", ["found"], ["found_shape"]),
        node("Compress", ["rows", "picked"], ["compressed"], axis=1),
        node("Greater", ["picks", "half"], ["picked"]),
    ]
    nodes[-2:] = nodes[:-3:-1]
    outputs = ["joined", "turned", "corners", "best", "soft", "index32", "found", "found_shape", "compressed"]
    types = {"index32": TensorProto.INT32, "found": TensorProto.INT64, "found_shape": TensorProto.INT64}
    inputs: dict[str, Sequence[str | int]] = {"boxes": [1, "n", 4], "scores": [1, 2, "n"], "picks": [4]}
    path = model(tmp_path / "m.onnx", inputs, nodes, outputs, constants, types)
    feeds = []
    for count, scale in ((50, 1.0), (9, 1.0), (20, 0.0), (64, 0.7)):
        corners = np.sort(RANDOM.uniform(size=(1, count, 2, 2)), axis=2).reshape(1, count, 4)
        scores = RANDOM.uniform(size=(1, 2, count)) * scale
        feeds.append({"boxes": corners, "scores": scores, "picks": RANDOM.uniform(size=4)})
    extent = symbol("n", 8, 64)
    shapes = {"boxes": (1, extent, 4), "scores": (1, 2, extent)}
    check(path, shapes, [{name: x.astype(np.float32) for name, x in feed.items()} for feed in feeds], tmp_path)


def test_what_depends_on_the_run_is_refused(tmp_path: Path) -> None:
    """One question without one answer: whether 8 elements broadcast against T."""
    node = helper.make_node
    path = model(
        tmp_path / "m.onnx", {"x": ["t"]}, [node("Add", ["x", "c"], ["y"])], ["y"], {"c": floats(8)}
    )  # fmt: skip
    with pytest.raises(EdgeError, match=r"Add node .* \[T\] and \[8\] do not broadcast"):
        build_graph(path, shapes={"x": (symbol("T", 1, 8),)})


def test_lost_extents_are_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An extent that became a number somewhere in lowering is an error that names the node."""
    node = helper.make_node
    path = model(tmp_path / "m.onnx", {"x": [2, "t"]}, [node("Transpose", ["x"], ["y"], name="turn")], ["y"], {})
    graph = build_graph(path, shapes={"x": (2, symbol("T", 8, 64, 8))})
    monkeypatch.setattr(copies, "ceil_div", lambda a, b: int(a))
    with pytest.raises(EdgeError, match="node 'turn' cannot be compiled for a range of shapes"):
        lower(graph, find("host"))


def arena(path: Path, shape: Sequence[int]) -> Lowered:
    return lower(build_graph(path, shapes={"x": shape}), find("host"))


def test_memory_is_that_of_the_largest_shape(tmp_path: Path) -> None:
    path = picture_model(tmp_path / "m.onnx")
    ranged = arena(path, (symbol("N", 1, 3), 4, symbol("H", 8, 24, 8), symbol("W", 8, 40, 8))).plan.arena_size
    static = arena(path, (3, 4, 24, 40)).plan.arena_size
    assert static <= ranged <= 1.25 * static
