"""Contributed ops that ONNX Runtime has no kernel for on a CPU, and what is refused."""

from math import erf

import numpy as np
import onnx
import pytest

from edgec import EdgeError
from edgec.compiler.importer import find_problems, import_onnx
from edgec.compiler.ops.reference import run_graph
from edgec.tests.compiler.importer.contrib.nodes import TOLERANCE, Draw, case, model_of
from edgec.tests.compiler.importer.contrib.transformers import B, H, S


def run(node):
    """What the reference gives; its output is float32."""
    model, feeds = model_of([node])
    model.graph.output[0].type.tensor_type.elem_type = onnx.TensorProto.FLOAT
    return run_graph(import_onnx(model), feeds)["n0_o0"]


def test_bias_split_gelu() -> None:
    d = Draw()
    x, bias = d.normal(B, S, 2 * H), d.normal(2 * H)
    left, right = np.split((x + bias).astype(np.float64), 2, axis=-1)
    wanted = left * right * (1 + np.vectorize(erf)(right / 2**0.5)) / 2
    np.testing.assert_allclose(run(case("BiasSplitGelu", [x, bias])), wanted, atol=TOLERANCE)


def test_what_is_refused_says_why() -> None:
    x, gamma = Draw().normal(B, S, H), Draw().normal(H)
    with pytest.raises(EdgeError, match="node 'n0_SkipLayerNormalization': its outputs 1 and 2 are for training"):
        import_onnx(model_of([case("SkipLayerNormalization", [x, x, gamma], outputs=2)])[0])
    with pytest.raises(EdgeError, match="attribute 'num_heads' must be a finite number"):
        import_onnx(model_of([case("MultiHeadAttention", [x, x, x])])[0])


@pytest.mark.parametrize(
    ("op", "domain", "advice"),
    [
        ("Conv", "com.microsoft.nchwc", "save it with graph_optimization_level = ORT_ENABLE_EXTENDED"),
        ("NhwcFusedConv", "com.microsoft", "save it with graph_optimization_level = ORT_ENABLE_EXTENDED"),
        ("BeamSearch", "com.microsoft", "compile its decoder alone"),
        ("PackedAttention", "com.microsoft", "optimize the model for a CPU"),
    ],
)
def test_advice_on_ops_made_for_one_way_of_running(op, domain, advice) -> None:
    model, _ = model_of([case(op, [Draw().normal(1, 3, 4, 4)], domain=domain)] * 2)
    with pytest.raises(EdgeError) as error:
        import_onnx(model)
    assert str(error.value).count(advice) == 1
    assert advice in find_problems(model)[0].reason
