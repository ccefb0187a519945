"""The test cases of the ONNX standard: every one whose ops have import rules gives the standard's numbers."""

import warnings
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from onnx.backend.test.loader import load_model_tests

from edgec import EdgeError
from edgec.compiler.importer import check_support, import_onnx
from edgec.compiler.ir.verify import verify
from edgec.compiler.ops.reference import run_graph

KINDS = {"node": 748, "simple": 6, "pytorch-converted": 3, "pytorch-operator": 2}
"""The kinds of cases, and how many of each must pass at least. (Those of PyTorch are mostly of opset 6.)"""

NOT_THE_STANDARDS = {
    # The case scales by the unrounded output size; ONNX Runtime, like edgec, by the real one.
    "test_resize_downsample_scales_linear_align_corners",
}


def array(tensor):
    return numpy_helper.to_array(tensor) if isinstance(tensor, onnx.TensorProto) else np.asarray(tensor)


def read(path):
    return array(onnx.load_tensor(path))


def data_sets(case, model):
    """(inputs by name, outputs in order) of each data set of the case."""
    initializers = {t.name for t in model.graph.initializer}
    names = [i.name for i in model.graph.input if i.name not in initializers]
    if case.model_dir is None:
        for inputs, outputs in case.data_sets:
            yield dict(zip(names, map(array, inputs), strict=True)), [array(o) for o in outputs]
        return
    for folder in sorted(Path(case.model_dir).glob("test_data_set_*")):
        inputs = {name: read(folder / f"input_{i}.pb") for i, name in enumerate(names)}
        yield inputs, [read(folder / f"output_{i}.pb") for i in range(len(model.graph.output))]


def imported(model, inputs):
    """The graph; where the import asks for constants, all inputs but the first become initializers."""
    try:
        return import_onnx(model, {name: a.shape for name, a in inputs.items()})
    except EdgeError as e:
        if "must be" not in str(e):
            raise
    bound = onnx.ModelProto()
    bound.CopyFrom(model)
    first, *others = inputs
    bound.graph.initializer.extend(numpy_helper.from_array(inputs[name], name) for name in others)
    return import_onnx(bound, {first: inputs[first].shape})


def compare(case, model):
    for inputs, expected in data_sets(case, model):
        graph = imported(model, inputs)
        verify(graph)
        got = run_graph(graph, {v.name: inputs[v.name] for v in graph.inputs})
        for value, want in zip(got.values(), expected, strict=True):
            assert (value.shape, value.dtype) == (want.shape, want.dtype), case.name
            tolerance = {"f": 2e-3 if want.dtype == np.float16 else case.rtol}.get(want.dtype.kind, 0)
            np.testing.assert_allclose(
                value.astype(np.float64), want.astype(np.float64), rtol=tolerance, atol=1e-6, err_msg=case.name
            )


@pytest.mark.parametrize("kind", KINDS)
def test_cases(kind):
    counts: Counter[str] = Counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        cases = load_model_tests(kind=kind)
    for case in cases:
        model = case.model if case.model_dir is None else onnx.load(Path(case.model_dir) / "model.onnx")
        opset = max((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), default=0)
        ports = (*model.graph.input, *model.graph.output)
        if opset < 7 or not all(p.type.HasField("tensor_type") for p in ports) or check_support(model):
            counts["unsupported op, opset or type"] += 1
            continue
        if case.name in NOT_THE_STANDARDS:
            counts["known to differ"] += 1
            continue
        try:
            compare(case, model)
        except EdgeError:
            counts["refused with a reason"] += 1
            continue
        counts["equal"] += 1
    print(f"{kind}: {dict(counts)}")
    assert counts["equal"] >= KINDS[kind]
