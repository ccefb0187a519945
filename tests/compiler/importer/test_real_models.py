"""Whole models of the zoo: import + numpy references against ONNX Runtime."""

import time

import numpy as np
import onnxruntime as ort
import pytest

from edgec.benchmarks.zoo import MODELS
from edgec.compiler.importer import check_support, import_onnx
from edgec.compiler.ir.parser import parse_graph
from edgec.compiler.ir.text import named_constants, print_graph
from edgec.compiler.ir.verify import verify
from edgec.compiler.ops.reference import run_graph

SMALLER = {"ppocr_det": {"x": (1, 3, 160, 160)}}


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_model(name):
    model, path = MODELS[name], MODELS[name].load()
    shapes = SMALLER.get(name, model.shapes)
    assert check_support(path) == []
    graph = import_onnx(path, shapes)
    verify(graph)
    text = print_graph(graph)
    assert print_graph(parse_graph(text, named_constants(graph))) == text
    (feeds,) = model.samples(1, shapes)
    start = time.perf_counter()
    got = run_graph(graph, feeds)
    print(f"{name}: {len(graph.nodes)} nodes, numpy reference {time.perf_counter() - start:.2f} s")
    expected = run_ort(path, feeds)
    assert list(got) == list(expected)
    for key, want in expected.items():
        assert (got[key].shape, got[key].dtype) == (want.shape, want.dtype)
        assert np.abs(got[key] - want).max() <= 1e-4 * np.ptp(want)


def run_ort(path, feeds):
    options = ort.SessionOptions()
    options.log_severity_level = 3
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return dict(zip([o.name for o in session.get_outputs()], session.run(None, feeds), strict=True))
