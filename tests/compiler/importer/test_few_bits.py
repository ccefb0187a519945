"""Initializers of which several elements share a byte."""

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper

from edgec import EdgeError
from edgec.compiler.importer import import_onnx
from edgec.compiler.ops.reference import run_graph

RANGES = {TensorProto.INT4: (-8, 8), TensorProto.UINT4: (0, 16), TensorProto.INT2: (-2, 2), TensorProto.UINT2: (0, 4)}


def model(kind, *, raw):
    """Float numbers `x` plus 5 x 3 codes of `kind`, which have a scale and a zero point a row; and these numbers."""
    low, high = RANGES[kind]
    rng = np.random.default_rng(5)
    codes, zeros = rng.integers(low, high, (5, 3)), rng.integers(low, high, 5)
    tensors = [
        helper.make_tensor(name, kind, a.shape, _packed(a, kind) if raw else a.reshape(-1).tolist(), raw=raw)
        for name, a in (("w", codes), ("z", zeros))
    ]
    scales = rng.uniform(0.1, 1, 5).astype(np.float32)
    tensors.append(helper.make_tensor("s", TensorProto.FLOAT, scales.shape, scales))
    nodes = [
        helper.make_node("DequantizeLinear", ["w", "s", "z"], ["r"], axis=0),
        helper.make_node("Add", ["x", "r"], ["y"]),
    ]
    ports = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [5, 3]) for name in "xy")
    x, y = ([p] for p in ports)
    opsets = [helper.make_opsetid("", 25)]
    made = helper.make_model(helper.make_graph(nodes, "g", x, y, tensors), opset_imports=opsets, ir_version=11)
    return made, scales[:, None] * (codes - zeros[:, None])


def _packed(codes, kind):
    bits = 4 if kind in (TensorProto.INT4, TensorProto.UINT4) else 2
    flat = codes.reshape(-1) & (2**bits - 1)
    flat = np.concatenate([flat, np.zeros(-len(flat) % (8 // bits), flat.dtype)]).reshape(-1, 8 // bits)
    return (flat << np.arange(0, 8, bits)).sum(axis=1).astype(np.uint8).tobytes()


@pytest.mark.parametrize("raw", [False, True])
@pytest.mark.parametrize("kind", RANGES)
def test_codes_are_dequantized(kind, raw) -> None:
    made, numbers = model(kind, raw=raw)
    x = np.random.default_rng(1).normal(size=(5, 3)).astype(np.float32)
    (found,) = run_graph(import_onnx(made), {"x": x}).values()
    np.testing.assert_allclose(found, x + numbers, atol=1e-5)
    if kind in (TensorProto.INT4, TensorProto.UINT4):
        session = ort.InferenceSession(made.SerializeToString(), providers=["CPUExecutionProvider"])
        np.testing.assert_allclose(found, session.run(None, {"x": x})[0], atol=1e-5)


def test_other_ops_do_not_take_them_for_bytes() -> None:
    made, _ = model(TensorProto.INT4, raw=True)
    made.graph.node.insert(0, helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"], name="quantize", axis=0))
    made.graph.node.append(helper.make_node("DequantizeLinear", ["q", "s"], ["u"], axis=0))
    made.graph.output.append(helper.make_tensor_value_info("u", TensorProto.FLOAT, [5, 3]))
    with pytest.raises(
        EdgeError, match="QuantizeLinear node 'quantize' reads 'z', whose elements have less than 8 bits"
    ):
        import_onnx(made)


@pytest.mark.parametrize("raw", [False, True])
def test_the_number_of_bytes_must_fit(raw) -> None:
    made, _ = model(TensorProto.UINT4, raw=raw)
    made.graph.initializer[0].dims[:] = [5, 9]
    with pytest.raises(EdgeError, match="the initializer 'w' has 8 bytes of data"):
        import_onnx(onnx.ModelProto.FromString(made.SerializeToString()))
