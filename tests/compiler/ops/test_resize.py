import itertools

import numpy as np
import pytest
from onnx import helper

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
    x = rng.normal(size=(1, 2, 5, 6)).astype(np.float32)
    node = helper.make_node(
        "Resize",
        ["x", "", "s"],
        ["y"],
        mode="nearest",
        coordinate_transformation_mode=coordinates,
        nearest_mode=rounding,
    )
    against_ort(node, {"x": x}, {"s": np.array([1, 1, *scales], np.float32)}, opset=19)


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
    cubic = helper.make_node("Resize", ["x", "", "s"], ["y"], name="r", mode="cubic")
    assert "'cubic'; nearest and linear are supported" in import_error(cubic, x, scales)
    channels = helper.make_node("Resize", ["x", "", "s"], ["y"], name="r")
    assert "batch or the channels" in import_error(channels, x, {"s": np.array([1, 2, 2, 2], np.float32)})
    huge = helper.make_node("Resize", ["x", "", "s"], ["y"], name="r")
    assert "at most" in import_error(huge, x, {"s": np.array([1, 1, 1e5, 1e5], np.float32)})
