"""`max_pool2d` and `avg_pool2d`. ONNX's pools, of any dimensions, are in `pools.py`."""

from collections.abc import Sequence

import numpy as np

from ..ir.attributes import bool_attr, ints_attr
from ..ir.graph import Array, Node
from ..ir.registry import REQUIRED, OpDef, register
from ..ir.types import TensorType
from . import quantized
from .spatial import from_nchw, in_layout, nchw_shape, taps, to_nchw, window_extents

_WINDOW = {"kernel": REQUIRED, "strides": (1, 1), "pads": (0, 0, 0, 0), "dilations": (1, 1), "layout": "NCHW"}


def _infer_window(node: Node) -> tuple[int, ...]:
    dilations = ints_attr(node, "dilations", 2, least=1)
    n, c, height, width = nchw_shape(node, node.inputs[0].type)
    kernel, pads = ints_attr(node, "kernel", 2, least=1), ints_attr(node, "pads", 4, least=0)
    if any(pads[i] >= (kernel[i % 2] - 1) * dilations[i % 2] + 1 for i in range(4)):
        raise ValueError(f"its pads {list(pads)} are not smaller than its window {list(kernel)}")
    return in_layout(node, n, c, *window_extents(node, (height, width), kernel, dilations))


def _infer_max(node: Node) -> tuple[TensorType, ...]:
    return (node.inputs[0].type.with_shape(_infer_window(node)),)


def _max_reference(node: Node, inputs: Sequence[Array]) -> tuple[Array, ...]:
    x = to_nchw(node, inputs[0])
    lowest = -np.inf if x.dtype.kind == "f" else int(np.iinfo(x.dtype).min)
    kernel, dilations, pads = (ints_attr(node, name) for name in ("kernel", "dilations", "pads"))
    if kernel == x.shape[2:] and not any(pads):
        return (from_nchw(node, x.max((2, 3), keepdims=True)),)
    best: Array | None = None
    for _, _, seen in taps(x, kernel, ints_attr(node, "strides"), pads, dilations, fill=lowest):
        best = seen if best is None else np.maximum(best, seen)
    assert best is not None
    return (from_nchw(node, best),)


register(OpDef("max_pool2d", (1, 1), _WINDOW, _infer_max, _max_reference))


def _infer_avg(node: Node) -> tuple[TensorType, ...]:
    x = node.inputs[0].type
    if x.quant is None and "float" not in x.dtype:
        raise ValueError(f"its input must be floating point or quantized, not {x.dtype}")
    bool_attr(node, "count_include_pad")
    return (TensorType(_infer_window(node), "float32" if x.quant else x.dtype),)


def window_counts(node: Node) -> Array:
    """How many elements each window of an avg_pool2d averages: float64 [OH, OW]."""
    _, _, height, width = nchw_shape(node, node.inputs[0].type)
    plane = np.ones((1, 1, height, width))
    fill = 1.0 if bool_attr(node, "count_include_pad") else 0.0
    return np.asarray(_window_sums(node, plane, fill)[0, 0])


def _window_sums(node: Node, x: Array, fill: float = 0.0) -> Array:
    kernel, strides, pads, dilations = (ints_attr(node, n) for n in ("kernel", "strides", "pads", "dilations"))
    if (*kernel,) == x.shape[2:] and not any(pads):
        return np.asarray(x.sum((2, 3), keepdims=True, dtype=x.dtype))
    total: Array | None = None
    for _, _, seen in taps(x, kernel, strides, pads, dilations, fill):
        total = seen.copy() if total is None else np.add(total, seen, out=total)
    assert total is not None
    return total


def _avg_reference(node: Node, inputs: Sequence[Array]) -> tuple[Array, ...]:
    x, counts = to_nchw(node, inputs[0]), window_counts(node)
    x_quant, y_quant = node.inputs[0].type.quant, node.output.type.quant
    if x_quant is None or y_quant is None:
        return (from_nchw(node, _window_sums(node, x) / counts.astype(x.dtype)),)
    acc = _window_sums(node, x.astype(np.int32) - quantized.scalar(x_quant)[1])
    multiplier = quantized.mean_multiplier(x_quant, y_quant, counts)
    return (from_nchw(node, quantized.requantize(acc, multiplier, quantized.scalar(y_quant)[1])),)


register(
    OpDef(
        "avg_pool2d",
        (1, 1),
        {**_WINDOW, "count_include_pad": False},
        _infer_avg,
        _avg_reference,
        requantizes=True,
    )
)
