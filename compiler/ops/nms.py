"""`nms`: greedy suppression of boxes that overlap better ones; ONNX's NonMaxSuppression."""

from collections.abc import Sequence

import numpy as np

from ..ir.attributes import bool_attr, float_attr, int_attr
from ..ir.extent import least
from ..ir.graph import Array, Node, Value
from ..ir.registry import REQUIRED, OpDef, register
from ..ir.types import TensorType
from .builder import Builder
from .onnx_node import OnnxNode, onnx_op
from .trim import trimmed

MAX_BOXES = 2**31 - 1


def _infer(node: Node) -> tuple[TensorType, ...]:
    boxes, scores = (v.type for v in node.inputs)
    most = int_attr(node, "max_output", least=0)
    float_attr(node, "iou_threshold")
    float_attr(node, "score_threshold")
    bool_attr(node, "center_point_box")
    if (boxes.dtype, boxes.quant, scores.dtype, scores.quant) != ("float32", None, "float32", None):
        raise ValueError("its boxes and scores must be float32")
    if boxes.rank != 3 or scores.rank != 3 or boxes.shape != (scores.shape[0], scores.shape[2], 4):
        raise ValueError(f"its boxes {list(boxes.shape)} and scores {list(scores.shape)} do not go together")
    batches, classes, count = scores.shape
    return TensorType((batches * classes * least(most, count), 3), "int64"), TensorType((1,), "int64")


def _reference(node: Node, inputs: Sequence[Array]) -> tuple[Array, ...]:
    """Rows of (batch, class, box), then zeros; and how many there are.

    For each batch and class: the boxes of a score above the threshold in the order of their scores (of equal ones the
    lower index first), each kept unless its intersection over union with one kept before exceeds `iou_threshold`, until
    there are `max_output`. float32, one rounding an operation.
    """
    boxes, scores = inputs
    threshold = np.float32(float_attr(node, "score_threshold"))
    most, rows = int_attr(node, "max_output"), []
    for batch, kind in np.ndindex(scores.shape[:2]):
        row = scores[batch, kind]
        kept: list[int] = []
        for box in np.argsort(-row, kind="stable")[: np.count_nonzero(~np.isnan(row))]:
            if len(kept) == most or not row[box] > threshold:
                break
            if not _overlaps(node, boxes[batch, box], boxes[batch, kept]).any():
                kept.append(int(box))
        rows += [(batch, kind, box) for box in kept]
    result = np.zeros(node.outputs[0].type.shape, np.int64)
    result[: len(rows)] = np.array(rows, np.int64).reshape(-1, 3)
    return result, np.array([len(rows)], np.int64)


def _overlaps(node: Node, box: Array, others: Array) -> Array:
    """Whether the intersection over union of `box` with each of `others` exceeds the threshold; boxes without area
    overlap nothing."""
    is_center = bool_attr(node, "center_point_box")
    (low, high), (lows, highs) = _corners(box, is_center), _corners(others, is_center)
    sides = np.minimum(high, highs) - np.maximum(low, lows)
    common = sides[:, 0] * sides[:, 1]
    area, areas = ((h - lo).prod(-1, dtype=np.float32) for lo, h in ((low, high), (lows, highs)))
    union = area + areas - common
    real = (sides > 0).all(1) & (area > 0) & (areas > 0) & (union > 0)
    return np.asarray(real & (common / union > np.float32(float_attr(node, "iou_threshold"))))


def _corners(boxes: Array, is_center: bool) -> tuple[Array, Array]:
    first, second = boxes[..., :2], boxes[..., 2:]
    if is_center:
        half = second * np.float32(0.5)
        return first - half, first + half
    return np.minimum(first, second), np.maximum(first, second)


register(
    OpDef(
        "nms",
        (2, 2),
        {
            "max_output": REQUIRED, "iou_threshold": 0.0, "score_threshold": float("-inf"), "center_point_box": False,
        },
        _infer,
        _reference,
    )
)  # fmt: skip


@onnx_op("NonMaxSuppression", since=10)
def _non_max_suppression(b: Builder, node: OnnxNode) -> Value:
    boxes, scores = node.input(0), node.input(1)

    def number(index: int, what: str, default: float) -> float:
        given = node.optional(index)
        return default if given is None else float(b.array(given, what).reshape(-1)[0])

    most, iou = number(2, "max_output_boxes_per_class", 0), number(3, "iou_threshold", 0.0)
    lowest = number(4, "score_threshold", float("-inf"))
    if not 0 <= iou <= 1:
        raise ValueError(f"its iou_threshold is {iou}, but must be from 0 to 1")
    limit = least(int(max(0, min(most, MAX_BOXES))), scores.type.shape[-1])
    if limit == 0:
        return b.constant(np.zeros((0, 3), np.int64))
    is_center = bool(node.integer("center_point_box", 0))
    rows, count = b.emit_all(
        "nms", boxes, scores, max_output=limit, iou_threshold=iou, score_threshold=lowest, center_point_box=is_center
    )
    return trimmed(b, rows, count)
