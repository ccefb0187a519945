"""Calibration through ONNX Runtime: ranges against numpy, values that only the IR has, and errors."""

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from edgec.compiler.importer.model import Model, load_model
from edgec.compiler.ir.expr import In, hard_swish
from edgec.compiler.ir.expr_text import parse
from edgec.compiler.ir.graph import Graph, Node, Value, constant
from edgec.compiler.ir.types import TensorType
from edgec.compiler.quantize.calibrate import Engine, calibrate
from edgec.compiler.quantize.histogram import Range
from edgec.errors import EdgeError

W = np.random.default_rng(0).normal(size=(4, 3, 1, 1)).astype(np.float32)
SHAPE = (1, 4, 5, 5)


def model(dtype: str = "float") -> onnx.ModelProto:
    """conv -> hard-swish by parts -> relu; the batch and the plane are symbolic."""
    text = f"""<ir_version: 8, opset_import: ["" : 17]>
    net ({dtype}[n, 3, h, w] x) => ({dtype}[n, 4, h, w] y) {{
        c = Conv(x, weights)
        s = HardSwish(c)
        y = Relu(s)
    }}"""
    proto = onnx.parser.parse_model(text)
    weights = W.astype(np.float16 if dtype == "float16" else np.float32)
    proto.graph.initializer.append(numpy_helper.from_array(weights, "weights"))
    return proto


def loaded(dtype: str = "float") -> Model:
    return load_model(model(dtype))


def graph() -> Graph:
    """The same in IR, with a value ("extra") that the ONNX model does not have."""
    x = Value("x", TensorType((1, 3, 5, 5), "float32"))
    c, extra, y = (Value(name, TensorType(SHAPE, "float32")) for name in ("c", "extra", "y"))
    nodes = [
        Node("conv2d", [x, constant("weights", W)], [c], {}, "conv"),
        Node("map", [c], [extra], {"expr": hard_swish(In(0))}, "swish"),
        Node("map", [extra], [y], {"expr": parse("max(%0, 0.0)")}, "relu"),
    ]
    return Graph("net", [x], [y], nodes)


def samples(count: int = 3) -> list[dict[str, np.ndarray]]:
    rng = np.random.default_rng(5)
    return [{"x": rng.normal(size=(1, 3, 5, 5)).astype(np.float32)} for _ in range(count)]


@pytest.mark.parametrize(("dtype", "tolerance"), [("float", 1e-5), ("float16", 2e-2)])
def test_ranges_are_numpys(dtype, tolerance):
    seen = []
    ranges = calibrate(Engine(graph(), loaded(dtype)), samples(), "minmax", lambda *at: seen.append(at))
    x = np.concatenate([s["x"] for s in samples()])
    c = np.einsum("oi,nihw->nohw", W[:, :, 0, 0], x)
    s = c * np.clip(c / 6 + 0.5, 0, 1)
    for name, data in {"x": x, "c": c, "extra": s, "y": np.maximum(s, 0)}.items():
        assert ranges[name].lo == pytest.approx(data.min(), abs=tolerance)
        assert ranges[name].hi == pytest.approx(data.max(), abs=tolerance)
    assert set(ranges) == {"x", "c", "extra", "y"}
    assert seen == [("calibrate", 1, 3), ("calibrate", 2, 3), ("calibrate", 3, 3)]


def test_samples_are_streamed_and_the_model_stays_as_it_is():
    proto = model()
    before = proto.SerializeToString()
    ranges = calibrate(Engine(graph(), load_model(proto)), iter(samples()), "minmax")
    assert ranges == calibrate(Engine(graph(), load_model(proto)), samples(), "minmax")
    assert proto.SerializeToString() == before


def test_percentile_lies_within_min_and_max():
    wide = calibrate(Engine(graph(), loaded()), samples(), "minmax")
    for name, r in calibrate(Engine(graph(), loaded()), samples(), "percentile").items():
        assert (wide[name] | r) == wide[name] == Range(wide[name].lo, wide[name].hi)


@pytest.mark.parametrize(
    ("feeds", "message"),
    [
        ([], "at least one sample"),
        ([{"x": np.zeros((1, 4, 5, 5), np.float32)}], "cannot run the model"),
        ([{"x": np.full((1, 3, 5, 5), np.inf, np.float32)}], "'x' is infinite or NaN on calibration sample 1"),
    ],
)
def test_errors(feeds, message):
    with pytest.raises(EdgeError, match=message):
        calibrate(Engine(graph(), loaded()), feeds)


def test_a_model_that_onnx_runtime_refuses_is_computed_by_the_references():
    proto = model()
    proto.graph.node[0].op_type = "Nonsense"
    found, expected = (calibrate(Engine(graph(), source), samples()) for source in (load_model(proto), loaded()))
    assert found.keys() == expected.keys()
    for name, span in expected.items():
        assert (found[name].lo, found[name].hi) == pytest.approx((span.lo, span.hi), rel=1e-4, abs=1e-4)


def test_external_weights_are_found_beside_the_model(tmp_path):
    onnx.save(model(), tmp_path / "net.onnx", save_as_external_data=True, size_threshold=0)
    assert (tmp_path / "net.onnx").stat().st_size < W.nbytes + 400
    beside = calibrate(Engine(graph(), load_model(tmp_path / "net.onnx")), samples())
    assert beside == calibrate(Engine(graph(), loaded()), samples())


def test_an_unknown_method_is_refused() -> None:
    feeds = [{"x": np.ones((1, 3, 5, 5), np.float32)}]
    with pytest.raises(EdgeError, match="no calibration 'entropy'; it is one of minmax, percentile"):
        calibrate(Engine(graph(), loaded()), feeds, "entropy")  # type: ignore[arg-type]
