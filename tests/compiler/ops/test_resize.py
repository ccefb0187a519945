import itertools

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from edgec.compiler.importer import import_onnx
from edgec.compiler.ops.reference import run_graph

COORDINATES = ["half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric", "half_pixel_symmetric"]
ROUNDINGS = ["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"]


@pytest.mark.parametrize("plane", [(8, 10), (3, 4), (5, 1), (11, 5)])
@pytest.mark.parametrize("coordinates", COORDINATES)
def test_linear_to_sizes(against_ort, rng, plane, coordinates):
    x = rng.normal(size=(2, 3, 5, 6)).astype(np.float32)
    node = helper.make_node(
        "Resize", ["x", "", "", "s"], ["y"], mode="linear", coordinate_transformation_mode=coordinates
    )
    against_ort(node, {"x": x}, {"s": np.array([2, 3, *plane], np.int64)}, opset=19)


@pytest.mark.parametrize(("coordinates", "rounding"), list(itertools.product(COORDINATES, ROUNDINGS)))
@pytest.mark.parametrize("scales", [(2.0, 2.0), (0.7, 1.7), (3.0, 1.0)])
def test_nearest_by_scales(against_ort, rng, coordinates, rounding, scales):
    x, factors = rng.normal(size=(1, 2, 5, 6)).astype(np.float32), {"s": np.array([1, 1, *scales], np.float32)}
    attrs = {"mode": "nearest", "coordinate_transformation_mode": coordinates, "nearest_mode": rounding}
    node = helper.make_node("Resize", ["x", "", "s"], ["y"], **attrs)
    if coordinates == "align_corners" and any(f * d % 1 for f, d in zip(scales, x.shape[2:], strict=True)):
        against_standard(node, x, factors)  # ONNX Runtime measures from the corners of the rounded size
    else:
        against_ort(node, {"x": x}, factors, opset=19)


def against_standard(node, x, constants):
    infos = [helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, s) for n, s in (("x", x.shape), ("y", None))]
    tensors = [numpy_helper.from_array(a, n) for n, a in constants.items()]
    graph = helper.make_graph([node], "g", infos[:1], infos[1:], tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)])
    (want,) = map(np.asarray, ReferenceEvaluator(model).run(None, {"x": x}))
    np.testing.assert_allclose(run_graph(import_onnx(model), {"x": x})["y"], want, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("mode", ["linear", "cubic"])
@pytest.mark.parametrize("scales", [(2.0, 1.5), (0.7, 1.7), (0.4, 0.5)])
@pytest.mark.parametrize("options", [{}, {"antialias": 1}, {"exclude_outside": 1}, {"cubic_coeff_a": -0.5}])
@pytest.mark.parametrize("coordinates", COORDINATES)
def test_weighted_by_scales(rng, mode, scales, options, coordinates):
    x = rng.normal(size=(2, 3, 7, 6)).astype(np.float32)
    node = helper.make_node(
        "Resize", ["x", "", "s"], ["y"], mode=mode, coordinate_transformation_mode=coordinates, **options
    )
    against_standard(node, x, {"s": np.array([1, 1, *scales], np.float32)})


@pytest.mark.parametrize("options", [{}, {"cubic_coeff_a": -0.5}, {"exclude_outside": 1}])
@pytest.mark.parametrize("plane", [(8, 10), (3, 4), (11, 5)])
@pytest.mark.parametrize("coordinates", COORDINATES)
def test_cubic_to_sizes(against_ort, rng, options, plane, coordinates):
    x = rng.normal(size=(2, 3, 5, 6)).astype(np.float32)
    node = helper.make_node(
        "Resize", ["x", "", "", "s"], ["y"], mode="cubic", coordinate_transformation_mode=coordinates, **options
    )
    against_ort(node, {"x": x}, {"s": np.array([2, 3, *plane], np.int64)}, opset=19, tolerance=3e-5)


@pytest.mark.parametrize("mode", ["nearest", "linear"])
@pytest.mark.parametrize(("shape", "sizes"), [((1, 2, 4, 5, 3), (1, 2, 7, 3, 6)), ((4, 6), (7, 5)), ((5,), (9,))])
def test_any_number_of_dimensions(against_ort, rng, mode, shape, sizes):
    x = rng.normal(size=shape).astype(np.float32)
    node = helper.make_node("Resize", ["x", "", "", "s"], ["y"], mode=mode)
    if (mode, len(shape)) == ("linear", 1):
        against_standard(node, x, {"s": np.array(sizes, np.int64)})  # ONNX Runtime has no linear vectors
    else:
        against_ort(node, {"x": x}, {"s": np.array(sizes, np.int64)}, opset=19)


@pytest.mark.parametrize("mode", ["nearest", "linear", "cubic"])
def test_crops(against_ort, rng, mode):
    x = rng.normal(size=(1, 2, 6, 7)).astype(np.float32)
    node = helper.make_node(
        "Resize", ["x", "roi", "", "s"], ["y"], mode=mode, coordinate_transformation_mode="tf_crop_and_resize",
        extrapolation_value=10.0,
    )  # fmt: skip
    roi = np.array([0, 0, 0.4, -0.2, 1, 1, 0.9, 1.3], np.float32)
    against_ort(node, {"x": x}, {"roi": roi, "s": np.array([1, 2, 4, 9], np.int64)}, opset=19)


@pytest.mark.parametrize("policy", ["stretch", "not_larger", "not_smaller"])
def test_axes_and_aspect_ratio(against_ort, rng, policy):
    x = rng.normal(size=(1, 6, 7, 2)).astype(np.float32)
    node = helper.make_node(
        "Resize", ["x", "", "", "s"], ["y"], mode="nearest", axes=[2, 1], keep_aspect_ratio_policy=policy
    )
    against_ort(node, {"x": x}, {"s": np.array([9, 10], np.int64)}, opset=19)


def test_bytes_are_rounded(rng):
    """In onnx's reference too; ONNX Runtime truncates."""
    x = rng.integers(0, 256, (1, 1, 5, 6)).astype(np.uint8)
    infos = [helper.make_tensor_value_info(n, onnx.TensorProto.UINT8, s) for n, s in (("x", x.shape), ("y", None))]
    node = helper.make_node("Resize", ["x", "", "s"], ["y"], mode="cubic")
    scales = numpy_helper.from_array(np.array([1, 1, 1.7, 2.3], np.float32), "s")
    model = helper.make_model(
        helper.make_graph([node], "g", infos[:1], infos[1:], [scales]), opset_imports=[helper.make_opsetid("", 19)]
    )
    (want,) = map(np.asarray, ReferenceEvaluator(model).run(None, {"x": x}))
    found = run_graph(import_onnx(model), {"x": x})["y"]
    assert found.dtype == np.uint8
    assert np.abs(found.astype(int) - want.astype(int)).max() <= 1


@pytest.mark.parametrize("mode", ["nearest", "linear"])
def test_the_forms_of_old_opsets(against_ort, rng, mode):
    x, scales = {"x": rng.normal(size=(1, 2, 4, 5)).astype(np.float32)}, {"s": np.array([1, 1, 2, 3], np.float32)}
    against_ort(helper.make_node("Upsample", ["x"], ["y"], mode=mode, scales=[1.0, 1.0, 2.0, 3.0]), x, opset=7)
    against_ort(helper.make_node("Upsample", ["x", "s"], ["y"], mode=mode), x, scales, opset=9)
    against_ort(helper.make_node("Resize", ["x", "s"], ["y"], mode=mode), x, scales, opset=10)
    roi = {"r": np.zeros(0, np.float32)}
    against_ort(helper.make_node("Resize", ["x", "r", "s"], ["y"], mode=mode), x, roi | scales, opset=11)


def test_what_is_not_supported_says_what_is(import_error):
    x, scales = {"x": np.zeros((1, 2, 4, 4), np.float32)}, {"s": np.array([1, 1, 2, 2], np.float32)}

    def message(constants=scales, **attrs):
        return import_error(helper.make_node("Resize", ["x", "", "s"], ["y"], name="r", **attrs), x, constants)

    assert "nearest, linear and cubic are supported" in message(mode="quadratic")
    assert "'nowhere' is unknown" in message(coordinate_transformation_mode="nowhere")
    assert "at most" in message({"s": np.array([1, 1, 1e5, 1e5], np.float32)})
    assert "extents of 1 to" in message({"s": np.array([1, 1, 1, 1e-3], np.float32)}, mode="cubic")
    assert "sensible" in message({"s": np.array([1, 1, 1, -1], np.float32)})
