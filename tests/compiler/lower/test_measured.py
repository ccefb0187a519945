"""Graphs whose sizes data decide, as exporters write them, against ONNX Runtime: detectors, masks, sets."""

from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper

from edgec.compiler.ir.graph import Array

from .test_ranges import check, model

node = helper.make_node

pytestmark = pytest.mark.slow

INT64 = TensorProto.INT64


def test_detector(tmp_path: Path) -> None:
    """Suppression, the boxes, scores and classes that are left, the best of them, and what an image shows in each."""
    rng = np.random.default_rng(5)
    nodes = [
        node("NonMaxSuppression", ["boxes", "scores", "most", "iou", "least"], ["kept"]),
        node("Gather", ["kept", "two"], ["index"], axis=1),
        node("Gather", ["kept", "one"], ["class"], axis=1),
        node("Gather", ["kept", "zero"], ["image"], axis=1),
        node("Squeeze", ["boxes", "axis"], ["flat"]),
        node("Gather", ["flat", "index"], ["chosen"]),
        node("GatherND", ["scores", "kept"], ["score"]),
        node("Shape", ["score"], ["count"]),
        node("Min", ["count", "limit"], ["k"]),
        node("TopK", ["score", "k"], ["best", "place"]),
        node("Gather", ["chosen", "place"], ["best_boxes"]),
        node("RoiAlign", ["x", "best_boxes", "best_images"], ["crops"], output_height=2, output_width=3),
        node("Gather", ["image", "place"], ["best_images"]),
    ]
    nodes[-2:] = nodes[:-3:-1]
    constants: dict[str, Array] = {
        "most": np.array([9]), "iou": np.array([0.4], np.float32), "least": np.array([0.3], np.float32),
        "zero": np.array(0), "one": np.array(1), "two": np.array(2), "axis": np.array([0]), "limit": np.array([6]),
    }  # fmt: skip
    outputs = ["kept", "class", "chosen", "score", "best", "place", "best_boxes", "crops"]
    types = dict.fromkeys(("kept", "class", "place"), INT64)
    inputs = {"boxes": (1, 40, 4), "scores": (1, 3, 40), "x": (1, 5, 24, 24)}
    path = model(tmp_path / "m.onnx", inputs, nodes, outputs, constants, types)
    feeds: list[dict[str, Array]] = []
    for quiet in (0.0, 0.6, 0.9):
        corners = rng.uniform(0, 16, (1, 40, 2))
        boxes = np.concatenate([corners, corners + rng.uniform(1, 8, (1, 40, 2))], 2).astype(np.float32)
        scores = np.clip(rng.random((1, 3, 40)) - quiet, 0, 1).astype(np.float32)
        scores[0, 0, 0] = 0.35
        feeds.append({"boxes": boxes, "scores": scores, "x": rng.normal(size=inputs["x"]).astype(np.float32)})
    check(path, {}, feeds, tmp_path)


def test_masks(tmp_path: Path) -> None:
    """x[x > 0], and writing into these places: NonZero, GatherND, ScatterND; rows by Compress, running sums of them."""
    rng = np.random.default_rng(6)
    nodes = [
        node("Greater", ["x", "zero"], ["mask"]),
        node("NonZero", ["mask"], ["places"]),
        node("Transpose", ["places"], ["tuples"]),
        node("GatherND", ["x", "tuples"], ["values"]),
        node("Neg", ["values"], ["negated"]),
        node("ScatterND", ["x", "tuples", "negated"], ["written"]),
        node("CumSum", ["values", "axis"], ["sums"]),
        node("Slice", ["mask", "axis", "next", "next"], ["column"]),
        node("Reshape", ["column", "list"], ["condition"]),
        node("Compress", ["x", "condition"], ["rows"], axis=0),
        node("ArgMax", ["rows"], ["largest"], axis=1),
    ]
    constants: dict[str, Array] = {
        "zero": np.array(0, np.float32), "axis": np.array([0]), "next": np.array([1]), "list": np.array([-1]),
    }  # fmt: skip
    outputs, types = ["places", "values", "written", "sums", "rows", "largest"], {"places": INT64, "largest": INT64}
    path = model(tmp_path / "m.onnx", {"x": (6, 7)}, nodes, outputs, constants, types)
    x = rng.normal(size=(6, 7)).astype(np.float32)
    check(path, {}, [{"x": x}, {"x": -np.abs(x)}, {"x": np.abs(x)}], tmp_path)


@pytest.mark.parametrize("is_sorted", [0, 1])
def test_sets(tmp_path: Path, is_sorted: int) -> None:
    rng = np.random.default_rng(7)
    nodes = [
        node("Unique", ["x"], ["y", "first", "which", "count"], sorted=is_sorted),
        node("Unique", ["z"], ["rows", "", "which_row"], sorted=is_sorted, axis=0),
    ]
    outputs = ["y", "first", "which", "count", "rows", "which_row"]
    path = model(
        tmp_path / "m.onnx", {"x": (20,), "z": (9, 2)}, nodes, outputs, {}, dict.fromkeys([*outputs, "x", "z"], INT64)
    )
    feeds: list[dict[str, Array]] = [
        {"x": rng.integers(0, most, 20), "z": rng.integers(0, 1 + most // 8, (9, 2))} for most in (1, 9, 99)
    ]
    check(path, {}, feeds, tmp_path)


def test_windows(tmp_path: Path) -> None:
    """x[:, i : i + 3], x[n:] and x[::-2] from a computed start; the first of them goes on."""
    rng = np.random.default_rng(8)
    nodes = [
        node("Add", ["i", "three"], ["end"]),
        node("Slice", ["x", "i", "end", "two"], ["window"]),
        node("Mul", ["window", "w"], ["scaled"]),
        node("ReduceSum", ["scaled", "two"], ["y"]),
        node("Slice", ["x", "i", "last", "two"], ["rest"]),
        node("Slice", ["x", "i", "first", "two", "back"], ["reversed"]),
    ]
    constants: dict[str, Array] = {
        "three": np.array([3]), "two": np.array([2]), "last": np.array([2**63 - 1]), "first": np.array([-(2**63)]),
        "back": np.array([-2]), "w": rng.normal(size=(5, 1)).astype(np.float32),
    }  # fmt: skip
    inputs, outputs = {"x": (1, 5, 8), "i": (1,)}, ["y", "rest", "reversed"]
    path = model(tmp_path / "m.onnx", inputs, nodes, outputs, constants, {"i": INT64})
    feeds: list[dict[str, Array]] = [
        {"x": rng.normal(size=(1, 5, 8)).astype(np.float32), "i": np.array([i])} for i in (0, 5, 6, 7, 9, -8, -4)
    ]
    check(path, {}, feeds, tmp_path)
