"""`roi_align`: bins of regions of an image, from samples between its pixels; ONNX's RoiAlign."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..ir.attributes import bool_attr, float_attr, int_attr, ints_attr, str_attr
from ..ir.graph import Array, Node, Value
from ..ir.registry import REQUIRED, OpDef, register
from ..ir.types import TensorType
from .builder import Builder
from .indices import require_indices
from .onnx_node import OnnxNode, onnx_op
from .spatial import from_nchw, in_layout, nchw_shape, to_nchw

MODES = ("avg", "max")

MAX_SAMPLES = 1024
"""Samples of a bin along each dimension: data decides how many there are, and it must not make a run endless."""


def _infer(node: Node) -> tuple[TensorType, ...]:
    x, rois, batch = (v.type for v in node.inputs)
    sizes = ints_attr(node, "sizes", 2, least=1)
    str_attr(node, "mode", MODES)
    int_attr(node, "samples", least=0)
    float_attr(node, "scale")
    bool_attr(node, "half_pixel")
    require_indices(node.inputs[2])
    if (x.dtype, x.quant, rois.dtype, rois.quant) != ("float32", None, "float32", None) or x.rank != 4:
        raise ValueError("its image must be float32 of 4 dimensions and its regions float32")
    if rois.shape != (*batch.shape, 4) or batch.rank != 1:
        raise ValueError(f"its regions {list(rois.shape)} and their images {list(batch.shape)} do not go together")
    n, c, (height, width) = rois.shape[0], nchw_shape(node, x)[1], sizes
    return (TensorType(in_layout(node, n, c, height, width), "float32"),)


@dataclass(frozen=True)
class _Line:
    """The samples along one dimension, [bins, samples] each: the pixels on both sides, how near the upper one is, and
    whether the sample counts."""

    low: Array
    high: Array
    fraction: Array
    counts: Array


def _line(node: Node, region: Array, axis: int, extent: int) -> _Line:
    """Dimension 0 is y. A sample more than a pixel outside the image is nothing, one nearer is on its border."""
    bins, half_pixel = ints_attr(node, "sizes")[axis], bool_attr(node, "half_pixel")
    begin, end = region[1 - axis :: 2] * np.float32(float_attr(node, "scale")) - np.float32(0.5 * half_pixel)
    size = np.fmax(end - begin, np.float32(-np.inf if half_pixel else 1)) / np.float32(bins)
    samples = int_attr(node, "samples") or int(np.fmax(np.fmin(np.ceil(size), MAX_SAMPLES), 0))
    step = size / np.float32(max(samples, 1))
    within = (np.arange(samples, dtype=np.float32) + np.float32(0.5)) * step
    at = begin + np.arange(bins, dtype=np.float32)[:, None] * size + within
    inside = np.fmax(np.fmin(at, np.float32(extent - 1)), np.float32(0))  # NaN too
    low = inside.astype(np.int64)
    return _Line(low, np.minimum(low + 1, extent - 1), inside - low.astype(np.float32), (at >= -1) & (at <= extent))


def _reference(node: Node, inputs: Sequence[Array]) -> tuple[Array, ...]:
    """A region (x0, y0, x1, y1), times `scale` and with `half_pixel` moved by -0.5, is divided into bins of `samples` x
    `samples` bilinear samples (0: as many as a bin has pixels, rounded up; at most MAX_SAMPLES). A bin is the mean of
    its samples or, for "max", their largest weighted neighbour. Without `half_pixel` a region is at least 1 x 1. The
    index of an image that does not exist selects the nearest one."""
    x, sizes = to_nchw(node, inputs[0]), ints_attr(node, "sizes")
    y = np.zeros((len(inputs[1]), x.shape[1], *sizes), np.float32)
    for number, (region, index) in enumerate(zip(inputs[1], inputs[2], strict=True)):
        rows, columns = (_line(node, region, axis, x.shape[2 + axis]) for axis in range(2))
        if rows.low.size and columns.low.size:
            y[number] = _bins(node, x[np.clip(index, 0, len(x) - 1)], rows, columns)
    return (from_nchw(node, y),)


def _bins(node: Node, image: Array, rows: _Line, columns: _Line) -> Array:
    """[channels, *sizes]: what the samples of each bin give."""
    counts = rows.counts[:, :, None, None] & columns.counts
    terms = []
    for i, u in ((rows.low, 1 - rows.fraction), (rows.high, rows.fraction)):
        for j, v in ((columns.low, 1 - columns.fraction), (columns.high, columns.fraction)):
            term = image[:, i[:, :, None, None], j] * (u[:, :, None, None] * v)
            terms.append(np.where(counts, term, np.float32(0)))
    if str_attr(node, "mode", MODES) == "max":
        return np.asarray(np.max(terms, axis=0).max(axis=(2, 4)))
    return np.asarray(sum(terms).mean(axis=(2, 4), dtype=np.float32))  # type: ignore[union-attr]


register(
    OpDef(
        "roi_align",
        (3, 3),
        {
            "sizes": REQUIRED, "mode": "avg", "samples": 0, "scale": 1.0, "half_pixel": True, "layout": "NCHW",
        },
        _infer,
        _reference,
    )
)  # fmt: skip


@onnx_op("RoiAlign", since=10)
def _roi_align(b: Builder, node: OnnxNode) -> Value:
    """Before opset 16 coordinates are not moved by half a pixel."""
    coordinates = node.text("coordinate_transformation_mode", "half_pixel" if node.opset >= 16 else "output_half_pixel")
    mode, samples = node.text("mode", "avg"), node.integer("sampling_ratio", 0)
    if coordinates not in ("half_pixel", "output_half_pixel") or mode not in MODES:
        raise ValueError(
            f"its coordinates are {coordinates!r} and its mode {mode!r}; "
            f"half_pixel and output_half_pixel, and {' and '.join(MODES)} are supported"
        )
    if not 0 <= samples <= MAX_SAMPLES:
        raise ValueError(f"its sampling_ratio is {samples}; 0 to {MAX_SAMPLES} are supported")
    return b.emit(
        "roi_align", *(node.input(i) for i in range(3)), mode=mode, samples=samples,
        sizes=(node.integer("output_height", 1), node.integer("output_width", 1)),
        scale=node.number("spatial_scale", 1.0), half_pixel=coordinates == "half_pixel",
    )  # fmt: skip
