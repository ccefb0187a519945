import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from edgec.compiler.importer import import_onnx
from edgec.compiler.ops.reference import run_graph


def against_standard(op, inputs, constants, opset, tolerance=1e-5, **attrs):
    """ONNX Runtime has no inverse of onesided spectra, and no axes but one of some opsets."""
    node = helper.make_node(op, ["x", *(n if constants.get(n) is not None else "" for n in constants)], ["y"], **attrs)
    infos = [helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, a.shape) for n, a in inputs.items()]
    tensors = [numpy_helper.from_array(a, n) for n, a in constants.items() if a is not None]
    output = helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, None)
    model = helper.make_model(
        helper.make_graph([node], "g", infos, [output], tensors), opset_imports=[helper.make_opsetid("", opset)]
    )
    (want,) = map(np.asarray, ReferenceEvaluator(model).run(None, inputs))
    found = run_graph(import_onnx(model), inputs)["y"]
    assert (found.shape, found.dtype) == (want.shape, want.dtype)
    np.testing.assert_allclose(found, want, rtol=1e-4, atol=tolerance * np.abs(want).max())


@pytest.mark.parametrize("inverse", [0, 1])
@pytest.mark.parametrize("axis", [0, 1, 2, -2])
@pytest.mark.parametrize("parts", [1, 2])
def test_axes(rng, inverse, axis, parts):
    x = {"x": rng.normal(size=(4, 5, 6, parts)).astype(np.float32)}
    against_standard("DFT", x, {"length": None, "axis": np.array(axis, np.int64)}, 20, inverse=inverse)
    against_standard("DFT", x, {}, 17, inverse=inverse, axis=axis)


@pytest.mark.parametrize("length", [None, 6, 7, 10, 11])
def test_onesided(rng, length):
    given = {"length": None if length is None else np.array(length, np.int64)}
    x = rng.normal(size=(2, 8, 1)).astype(np.float32)
    against_standard("DFT", {"x": x}, given, 20, onesided=1)
    spectrum = rng.normal(size=(2, 6, 2)).astype(np.float32)
    against_standard("DFT", {"x": spectrum}, given, 20, onesided=1, inverse=1)


@pytest.mark.parametrize("length", [1024, 1200, 1999, 2 * 1009])
@pytest.mark.parametrize(("onesided", "inverse"), [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_long_transforms(rng, length, onesided, inverse):
    extent = length // 2 + 1 if onesided and inverse else length
    x = rng.normal(size=(2, extent, 1 if onesided and not inverse else 2)).astype(np.float32)
    given = {"length": np.array(length, np.int64)}
    against_standard("DFT", {"x": x}, given, 20, 1e-5, onesided=onesided, inverse=inverse)


@pytest.mark.parametrize("onesided", [0, 1])
@pytest.mark.parametrize("given", ["window", "length", "both"])
def test_stft(against_ort, rng, onesided, given):
    x, window = rng.normal(size=(2, 50, 1)).astype(np.float32), np.hanning(16).astype(np.float32)
    constants: dict[str, np.ndarray] = {"step": np.array(6, np.int64)}
    constants |= {"window": window} if given != "length" else {}
    constants |= {"length": np.array(16, np.int64)} if given != "window" else {}
    names = ["x", "step", "window" if "window" in constants else "", "length" if "length" in constants else ""]
    against_ort(helper.make_node("STFT", names, ["y"], onesided=onesided), {"x": x}, constants, tolerance=2e-5)


def test_a_prime_length_is_refused(import_error):
    node = helper.make_node("DFT", ["x"], ["y"], name="d", axis=1)
    assert "prime" in import_error(node, {"x": np.zeros((1, 10007, 2), np.float32)})
