"""`max_pool2d`, `avg_pool2d`, and ONNX's pools, global ones too (1-d pools have height 1)."""

from collections.abc import Sequence

import numpy as np

from ..ir.attributes import bool_attr, ints_attr
from ..ir.graph import Array, Node, Value
from ..ir.registry import REQUIRED, OpDef, register
from ..ir.types import Quant, TensorType
from . import quantized
from .builder import Builder
from .onnx_node import MICROSOFT, OnnxNode, onnx_op
from .padding import Window, ceil_pads, planar, unplanar, window
from .qdq import quantized_output, quantized_value
from .spatial import from_nchw, in_layout, nchw_shape, taps, to_nchw, window_extents

_WINDOW = {"kernel": REQUIRED, "strides": (1, 1), "pads": (0, 0, 0, 0), "layout": "NCHW"}


def _infer_window(node: Node, dilations: Sequence[int]) -> tuple[int, ...]:
    n, c, height, width = nchw_shape(node, node.inputs[0].type)
    kernel, pads = ints_attr(node, "kernel", 2, least=1), ints_attr(node, "pads", 4, least=0)
    if any(pads[i] >= (kernel[i % 2] - 1) * dilations[i % 2] + 1 for i in range(4)):
        raise ValueError(f"its pads {list(pads)} are not smaller than its window {list(kernel)}")
    return in_layout(node, n, c, *window_extents(node, (height, width), kernel, dilations))


def _infer_max(node: Node) -> tuple[TensorType, ...]:
    return (node.inputs[0].type.with_shape(_infer_window(node, ints_attr(node, "dilations", 2, least=1))),)


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


MAX_POOL2D = register(
    OpDef("max_pool2d", (1, 1), {**_WINDOW, "dilations": (1, 1)}, _infer_max, _max_reference, doc=__doc__)
)


def _infer_avg(node: Node) -> tuple[TensorType, ...]:
    x = node.inputs[0].type
    if x.quant is None and "float" not in x.dtype:
        raise ValueError(f"its input must be floating point or quantized, not {x.dtype}")
    bool_attr(node, "count_include_pad")
    return (TensorType(_infer_window(node, (1, 1)), "float32" if x.quant else x.dtype),)


def window_counts(node: Node) -> Array:
    """How many elements each window of an avg_pool2d averages: float64 [OH, OW]."""
    _, _, height, width = nchw_shape(node, node.inputs[0].type)
    plane = np.ones((1, 1, height, width))
    fill = 1.0 if bool_attr(node, "count_include_pad") else 0.0
    return np.asarray(_window_sums(node, plane, fill)[0, 0])


def _window_sums(node: Node, x: Array, fill: float = 0.0) -> Array:
    kernel, strides, pads = (ints_attr(node, name) for name in ("kernel", "strides", "pads"))
    if (*kernel,) == x.shape[2:] and not any(pads):
        return np.asarray(x.sum((2, 3), keepdims=True, dtype=x.dtype))
    total: Array | None = None
    for _, _, seen in taps(x, kernel, strides, pads, (1, 1), fill):
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


AVG_POOL2D = register(
    OpDef(
        "avg_pool2d",
        (1, 1),
        {**_WINDOW, "count_include_pad": False},
        _infer_avg,
        _avg_reference,
        requantizes=True,
        doc=__doc__,
    )
)


@onnx_op("MaxPool", takes_codes=True)
def _max_pool(b: Builder, node: OnnxNode) -> Value:
    if node.has_output(1):
        raise ValueError("its output Indices is used; only the maxima are supported")
    x = node.input(0)
    w = _pool_window(node, x)
    plane = planar(b, x)
    y = b.emit("max_pool2d", plane, kernel=w.kernel, strides=w.strides, pads=w.pads, dilations=w.dilations)
    return unplanar(b, y, x.type.rank)


def _pool_window(node: OnnxNode, x: Value) -> Window:
    """The pool's 2-d window, ceil_mode resolved to pads."""
    plane = x.type.shape[2:]
    if len(plane) not in (1, 2):
        raise ValueError(f"its input has {x.type.rank} dimensions; 1-d and 2-d pools (3 or 4 dimensions) are supported")
    w = window(node, plane, node.integers("kernel_shape"))
    return (w._replace(pads=ceil_pads(w, plane)) if node.integer("ceil_mode", 0) else w).planar()


@onnx_op("AveragePool")
def _average_pool(b: Builder, node: OnnxNode) -> Value:
    return _emit_average(b, node, node.input(0))


@onnx_op("QLinearAveragePool", domain=MICROSOFT, takes_codes=True)
def _qlinear_average_pool(b: Builder, node: OnnxNode) -> Value:
    _require_channels_first(node)
    return _emit_average(b, node, quantized_value(b, node, 0), quant=quantized_output(b, node, 3))


def _require_channels_first(node: OnnxNode) -> None:
    if node.integer("channels_last", 0):
        raise ValueError("channels_last is 1; only 0 is supported")


def _emit_average(b: Builder, node: OnnxNode, x: Value, quant: Quant | None = None) -> Value:
    w, rank, include = _pool_window(node, x), x.type.rank, bool(node.integer("count_include_pad", 0))
    own = window(node, x.type.shape[2:], node.integers("kernel_shape")).planar().pads  # without those of ceil_mode
    if w.dilations != (1, 1):
        raise ValueError(f"its dilations {list(w.dilations)} are not 1; only 1 is supported")
    x = planar(b, x)
    if include and own != w.pads:
        # Padding that ceil_mode adds is not counted, the model's own is: so the latter becomes part of the plane.
        if x.type.quant is not None:
            raise ValueError("ceil_mode with count_include_pad on a quantized tensor is not supported")
        top, left, bottom, right = own
        x = b.emit("pad", x, pads=(0, 0, top, left, 0, 0, bottom, right), value=0.0, mode="constant")
        w, include = w._replace(pads=(0, 0, w.pads[2] - bottom, w.pads[3] - right)), False
    y = b.emit("avg_pool2d", x, quant=quant, kernel=w.kernel, strides=w.strides, pads=w.pads, count_include_pad=include)
    return unplanar(b, y, rank)


@onnx_op("GlobalAveragePool")
def _global_average_pool(b: Builder, node: OnnxNode) -> Value:
    x = node.input(0)
    if x.type.rank == 4:
        return b.emit("avg_pool2d", x, kernel=x.type.shape[2:])
    return b.emit("reduce", x, kind="mean", axes=tuple(range(2, x.type.rank)), keepdims=True)


@onnx_op("QLinearGlobalAveragePool", domain=MICROSOFT, takes_codes=True)
def _qlinear_global_average_pool(b: Builder, node: OnnxNode) -> Value:
    _require_channels_first(node)
    x = quantized_value(b, node, 0)
    if x.type.rank != 4:
        raise ValueError(f"its input has {x.type.rank} dimensions, but must have 4")
    return b.emit("avg_pool2d", x, quant=quantized_output(b, node, 3), kernel=x.type.shape[2:])


@onnx_op("GlobalMaxPool", takes_codes=True)
def _global_max_pool(b: Builder, node: OnnxNode) -> Value:
    x = node.input(0)
    if x.type.rank == 4:
        return b.emit("max_pool2d", x, kernel=x.type.shape[2:])
    return b.emit("reduce", x, kind="max", axes=tuple(range(2, x.type.rank)), keepdims=True)
