import numpy as np
import onnx
import pytest
from onnx import helper
from onnx.reference import ReferenceEvaluator

from edgec.compiler.importer import import_onnx
from edgec.compiler.ops.reference import run_graph


@pytest.mark.parametrize(("groups", "offset_groups"), [(1, 1), (2, 1), (1, 2), (4, 2)])
@pytest.mark.parametrize("attrs", [{}, {"strides": [2, 1], "pads": [1, 0, 1, 2], "dilations": [1, 2]}])
@pytest.mark.parametrize("masked", [False, True])
def test_deform_conv(rng, groups, offset_groups, attrs, masked):
    plane, kernel = (5, 4), (3, 2)
    pads, strides, dilations = attrs.get("pads", [0] * 4), attrs.get("strides", [1, 1]), attrs.get("dilations", [1, 1])
    out = [(plane[i] + pads[i] + pads[i + 2] - (kernel[i] - 1) * dilations[i] - 1) // strides[i] + 1 for i in range(2)]
    arrays = {
        "x": rng.normal(size=(2, 4, *plane)),
        "w": rng.normal(size=(8, 4 // groups, *kernel)),
        "offset": rng.normal(size=(2, offset_groups * 12, *out)) * 2,
        "b": rng.normal(size=8),
        "mask": rng.uniform(size=(2, offset_groups * 6, *out)),
    }
    inputs = {n: a.astype(np.float32) for n, a in arrays.items() if masked or n != "mask"}
    node = helper.make_node("DeformConv", list(inputs), ["y"], group=groups, offset_group=offset_groups, **attrs)
    infos = [helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, a.shape) for n, a in inputs.items()]
    output = helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, None)
    graph = helper.make_graph([node], "g", infos, [output])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 22)])
    (want,) = map(np.asarray, ReferenceEvaluator(model).run(None, inputs))
    found = run_graph(import_onnx(model), inputs)["y"]
    np.testing.assert_allclose(found, want, rtol=1e-4, atol=1e-4)
