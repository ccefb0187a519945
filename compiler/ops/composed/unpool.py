"""ONNX's ops that put windows back where they came from: MaxUnpool and Col2Im, imported as `scatter`."""

from collections.abc import Sequence
from math import prod

import numpy as np

from ...ir.graph import Array, Value
from ..broadcast import emit_broadcast
from ..builder import Builder
from ..indices import MISSED, require_indices, row_strides
from ..onnx_node import OnnxNode, onnx_op
from ..scatter import put_rows


def _zeros(b: Builder, shape: Sequence[int], dtype: str) -> Value:
    return emit_broadcast(b, b.constant(np.zeros((), dtype)), tuple(shape))


@onnx_op("MaxUnpool")
def _max_unpool(b: Builder, node: OnnxNode) -> Value:
    """Each element goes to the flat index that MaxPool gave for it, in a tensor of the size that the windows cover. A
    larger output shape adds zeros at the ends."""
    x, indices, given = node.input(0), node.input(1), node.optional(2)
    require_indices(indices)
    kernel, shape = node.integers("kernel_shape"), x.type.shape
    n = len(kernel)
    strides, pads = node.integers("strides", (1,) * n), node.integers("pads", (0,) * (2 * n))
    if len(shape) != n + 2 or indices.type.shape != shape or len(strides) != n or len(pads) != 2 * n:
        raise ValueError(f"its kernel {list(kernel)}, strides and pads do not fit the input {list(shape)}")
    plane = [
        (d - 1) * s - pads[i] - pads[i + n] + k
        for i, (d, s, k) in enumerate(zip(shape[2:], strides, kernel, strict=True))
    ]
    covered = (*shape[:2], *plane)
    whole = covered if given is None else b.ints(given, "output shape")
    if len(whole) != len(shape) or min(plane) < 1 or any(w < c for w, c in zip(whole, covered, strict=True)):
        raise ValueError(f"its output shape {list(whole)} is smaller than what its windows cover, {list(covered)}")
    y = put_rows(b, _zeros(b, covered, x.type.dtype), indices, x, x.type.rank)
    more = tuple(w - c for w, c in zip(whole, covered, strict=True))
    return b.emit("pad", y, pads=(0,) * len(shape) + more) if any(more) else y


@onnx_op("Col2Im")
def _col2im(b: Builder, node: OnnxNode) -> Value:
    """[n, c * kernel, positions] -> [n, c, image]: overlapping windows are added up."""
    x = node.input(0)
    image, kernel = b.ints(node.input(1), "image shape"), b.ints(node.input(2), "block shape")
    n = len(image)
    strides, dilations = node.integers("strides", (1,) * n), node.integers("dilations", (1,) * n)
    pads = node.integers("pads", (0,) * (2 * n))
    if x.type.rank != 3 or not len(kernel) == len(strides) == len(dilations) == n or len(pads) != 2 * n:
        raise ValueError(f"its image {list(image)}, block, strides, dilations and pads differ in length")
    if min(*image, *kernel, *strides, *dilations) < 1 or x.type.shape[1] % prod(kernel):
        raise ValueError(f"blocks of {list(kernel)} of an image {list(image)} are not in {list(x.type.shape)}")
    counts = [
        (extent + pads[i] + pads[i + n] - dilations[i] * (kernel[i] - 1) - 1) // strides[i] + 1
        for i, extent in enumerate(image)
    ]
    if min(counts) < 1 or prod(counts) != x.type.shape[2]:
        raise ValueError(f"its input has {x.type.shape[2]} windows, but the image {counts}")
    places = _window_places(image, kernel, strides, pads, dilations, counts)
    batch, channels = x.type.shape[0], x.type.shape[1] // prod(kernel)
    windows = b.reshape(x, (batch, channels, *places.shape))
    rows = b.transpose(windows, (2, 3, 0, 1))
    target = _zeros(b, (prod(image), batch, channels), x.type.dtype)
    summed = put_rows(b, target, b.constant(places), rows, 1, "add")
    return b.reshape(b.transpose(summed, (1, 2, 0)), (batch, channels, *image))


def _window_places(
    image: Sequence[int], kernel: Sequence[int], strides: Sequence[int], pads: Sequence[int], dilations: Sequence[int],
    counts: Sequence[int],
) -> Array:  # fmt: skip
    """int32 [elements of the kernel, windows]: the pixel that each element of each window lies on, or MISSED."""
    n = len(image)
    flat, exists = np.zeros((1,) * (2 * n), np.int64), np.ones((1,) * (2 * n), bool)
    for axis, (extent, step) in enumerate(zip(image, row_strides(image), strict=True)):
        starts = np.arange(counts[axis]) * strides[axis] - pads[axis]
        at = starts + (np.arange(kernel[axis]) * dilations[axis])[:, None]
        at = at.reshape([at.shape[i // n] if i % n == axis else 1 for i in range(2 * n)])
        flat, exists = flat + at * step, exists & (at >= 0) & (at < extent)
    return np.where(exists, flat, MISSED).astype(np.int32).reshape(prod(kernel), -1)
