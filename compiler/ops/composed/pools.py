"""ONNX's pools, of any number of dimensions, and global ones.

A window is a box, so a pool of three dimensions is one over the last two after one over the first.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import prod

import numpy as np

from ...ir.expr import Expr, In, call
from ...ir.graph import Value
from ...ir.types import Quant
from ..builder import Builder
from ..channels_last import as_given, channels_second
from ..indices import row_strides
from ..onnx_node import MICROSOFT, OnnxNode, onnx_op
from ..padding import Window, ceil_pads, planar, unplanar, window
from ..qdq import quantized_output, quantized_value
from ..spatial import require_fixed
from ..top_k import first_of

MAX_WINDOWS = 2**26
"""Elements of all windows of a pool that says where its maxima lie."""

Pool2d = Callable[[Value, Window], Value]


def _emit(b: Builder, x: Value, w: Window, pool: Pool2d) -> Value:
    """The pool over the window `w` of x [N, C, ...], in terms of one over two dimensions."""
    if len(w.kernel) <= 2:
        return unplanar(b, pool(planar(b, x), w.planar()), x.type.rank)
    n, *shape = x.type.shape
    y = pool(b.reshape(x, (n, prod(shape[:-2]), *shape[-2:])), _dimensions(w, -2, None))
    x = b.reshape(y, (n, *shape[:-2], *y.type.shape[2:]))
    for axis in range(len(w.kernel) - 2):
        before, (extent, *after) = x.type.shape[1 : axis + 2], x.type.shape[axis + 2 :]
        y = pool(b.reshape(x, (n, prod(before), extent, prod(after))), _along_first(_dimensions(w, axis, axis + 1)))
        x = b.reshape(y, (n, *before, y.type.shape[2], *after))
    return x


def _max(b: Builder) -> Pool2d:
    def pool(x: Value, w: Window) -> Value:
        return b.emit("max_pool2d", x, kernel=w.kernel, strides=w.strides, pads=w.pads, dilations=w.dilations)

    return pool


def _average(b: Builder, quant: Quant | None = None, *, include: bool = True) -> Pool2d:
    def pool(x: Value, w: Window) -> Value:
        return b.emit(
            "avg_pool2d", x, quant=quant, kernel=w.kernel, strides=w.strides, pads=w.pads, dilations=w.dilations,
            count_include_pad=include,
        )  # fmt: skip

    return pool


def _dimensions(w: Window, start: int, stop: int | None) -> Window:
    """The window along some dimensions only."""
    dims, part = len(w.kernel), slice(start, stop)
    begins, ends = w.pads[:dims], w.pads[dims:]
    return Window(w.kernel[part], w.strides[part], w.dilations[part], (*begins[part], *ends[part]))


def _along_first(w: Window) -> Window:
    """A 1-d window as a 2-d one along the first dimension."""
    (begin, end) = w.pads
    return Window((*w.kernel, 1), (*w.strides, 1), (*w.dilations, 1), (begin, 0, end, 0))


def _window(node: OnnxNode, x: Value) -> Window:
    """The pool's window, ceil_mode resolved to pads."""
    plane = x.type.shape[2:]
    if not plane:
        raise ValueError(f"its input has {x.type.rank} dimensions; pools take 3 or more")
    w = window(node, plane, node.integers("kernel_shape"))
    return w._replace(pads=ceil_pads(w, plane)) if node.integer("ceil_mode", 0) else w


@onnx_op("MaxPool", takes_codes=True)
def _max_pool(b: Builder, node: OnnxNode) -> Value | Sequence[Value]:
    x = node.input(0)
    if not node.has_output(1):
        return _maxima(b, node, x)
    y, indices = _with_indices(b, _number(b, x), _window(node, x), column_major=bool(node.integer("storage_order", 0)))
    return _as(b, y, x.type.dtype), indices


def _maxima(b: Builder, node: OnnxNode, x: Value) -> Value:
    return _as(b, _emit(b, _number(b, x), _window(node, x), _max(b)), x.type.dtype)


def _number(b: Builder, x: Value) -> Value:
    """`x` in a type that is compared."""
    return x if x.type.dtype == "int8" else _as(b, x, "float32")


def _as(b: Builder, x: Value, dtype: str) -> Value:
    return x if x.type.dtype == dtype else b.map(call("cast", In(0), dtype=dtype), x)


@onnx_op("NhwcMaxPool", domain=MICROSOFT, takes_codes=True)
def _nhwc_max_pool(b: Builder, node: OnnxNode) -> Value:
    last = replace(node, attrs={**node.attrs, "channels_last": 1})
    return as_given(b, last, _maxima(b, node, channels_second(b, last, node.input(0))))


def _with_indices(b: Builder, x: Value, w: Window, *, column_major: bool) -> tuple[Value, Value]:
    """The maxima, and the flat index in `x` of each, the first of equal ones."""
    require_fixed(x.type.shape, "its extents")
    n, c, *plane = x.type.shape
    seen = _seen(w, plane)
    windows, taps = seen.shape[:-1], seen.shape[-1]
    if n * c * seen.size > MAX_WINDOWS:
        raise ValueError(f"its windows have {n * c * seen.size} elements in all; at most {MAX_WINDOWS} are supported")
    flat = b.reshape(x, (n * c, prod(plane)))
    rows = b.emit("gather", flat, b.constant(seen.reshape(-1, taps).astype(np.int32)), axis=1)
    best = first_of(b, rows, 2, largest=True)
    steps = np.arange(prod(windows), dtype=np.int64).reshape(1, -1, 1) * taps
    entry = b.map(call("add", In(0), In(1)), best, b.constant(steps))
    strides = (1, *np.cumprod(plane[:-1])) if column_major else row_strides(plane)
    places = np.tensordot(np.stack(np.unravel_index(seen, plane), -1), np.array(strides, np.int64), 1)
    place = b.emit("gather", b.constant(places.reshape(-1)), entry, axis=0)
    first = np.arange(n * c, dtype=np.int64).reshape(-1, 1, 1) * prod(plane)
    index = b.map(call("add", In(0), In(1)), place, b.constant(first))
    y = b.emit("reduce", rows, kind="max", axes=(2,), keepdims=False)
    return b.reshape(y, (n, c, *windows)), b.reshape(index, (n, c, *windows))


def _seen(w: Window, plane: Sequence[int]) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    """The flat index in the plane of each tap of each window [windows ..., taps]; where a tap lies in the padding,
    that of the window's first tap which does not."""
    dims, grids, inside = len(plane), [], []
    for i, extent in enumerate(plane):
        count = (extent + w.pads[i] + w.pads[i + dims] - (w.kernel[i] - 1) * w.dilations[i] - 1) // w.strides[i] + 1
        at = np.arange(count)[:, None] * w.strides[i] - w.pads[i] + np.arange(w.kernel[i]) * w.dilations[i]
        shape = [1] * (2 * dims)
        shape[i], shape[dims + i] = at.shape
        grids.append(np.clip(at, 0, extent - 1).reshape(shape))
        inside.append(((at >= 0) & (at < extent)).reshape(shape))
    flat = sum(g * s for g, s in zip(grids, row_strides(plane), strict=True))
    whole = (*flat.shape[:dims], -1)
    exists, flat = np.broadcast_to(np.logical_and.reduce(np.broadcast_arrays(*inside)), flat.shape), flat.reshape(whole)
    exists = exists.reshape(whole)
    first = np.take_along_axis(flat, exists.argmax(-1, keepdims=True), -1)
    return np.where(exists, flat, first)


@onnx_op("AveragePool")
def _average_pool(b: Builder, node: OnnxNode) -> Value:
    return _emit_average(b, node, node.input(0))


@onnx_op("QLinearAveragePool", domain=MICROSOFT, takes_codes=True)
def _qlinear_average_pool(b: Builder, node: OnnxNode) -> Value:
    x = channels_second(b, node, quantized_value(b, node, 0))
    if x.type.rank > 4:
        raise ValueError(f"its input has {x.type.rank} dimensions; 1-d and 2-d pools (3 or 4 dimensions) are supported")
    return as_given(b, node, _emit_average(b, node, x, quant=quantized_output(b, node, 3)))


def _emit_average(b: Builder, node: OnnxNode, x: Value, quant: Quant | None = None) -> Value:
    w, include, dims = _window(node, x), bool(node.integer("count_include_pad", 0)), x.type.rank - 2
    own = window(node, x.type.shape[2:], node.integers("kernel_shape")).pads  # without those of ceil_mode
    if include and own != w.pads:
        # Padding that ceil_mode adds is not counted, the model's own is: so the latter becomes part of the plane.
        if x.type.quant is not None:
            raise ValueError(
                "it has ceil_mode and count_include_pad, and is quantized; two of these are supported together"
            )
        x, include = _padded(b, x, own), False
        w = w._replace(pads=(*[0] * dims, *(p - o for p, o in zip(w.pads[dims:], own[dims:], strict=True))))
    return _emit(b, x, w, _average(b, quant, include=include))


def _padded(b: Builder, x: Value, pads: Sequence[int]) -> Value:
    """`x` with zeros around its plane."""
    dims = len(pads) // 2
    return b.emit("pad", x, pads=(0, 0, *pads[:dims], 0, 0, *pads[dims:]), value=0.0, mode="constant")


@onnx_op("LpPool")
def _lp_pool(b: Builder, node: OnnxNode) -> Value:
    """The p-th root of the sum of |x|^p: an average times the number of elements, of which padding is 0."""
    x, p = node.input(0), _order(node)
    w = _window(node, x)
    powers = _padded(b, b.map(_power(p), x), w.pads)
    inner = w._replace(pads=(0,) * len(w.pads))
    means = _emit(b, powers, inner, _average(b))
    return b.map(_root(call("mul", In(0), float(prod(w.kernel))), p), means)


def _order(node: OnnxNode) -> float:
    p = float(node.integer("p", 2)) if node.opset >= 2 else node.number("p", 2.0)
    if not 0 < p < 64:
        raise ValueError(f"its p is {p}; it must be between 0 and 64")
    return p


def _power(p: float) -> Expr:
    return call("abs", In(0)) if p == 1 else call("mul", In(0), In(0)) if p == 2 else call("pow", call("abs", In(0)), p)


def _root(x: Expr, p: float) -> Expr:
    return x if p == 1 else call("sqrt", x) if p == 2 else call("pow", x, 1 / p)


@onnx_op("GlobalLpPool")
def _global_lp_pool(b: Builder, node: OnnxNode) -> Value:
    x, p = node.input(0), _order(node)
    axes = tuple(range(2, x.type.rank))
    return b.map(_root(In(0), p), b.emit("reduce", b.map(_power(p), x), kind="sum", axes=axes, keepdims=True))


@onnx_op("GlobalAveragePool")
def _global_average_pool(b: Builder, node: OnnxNode) -> Value:
    x = node.input(0)
    if x.type.rank == 4:
        return b.emit("avg_pool2d", x, kernel=x.type.shape[2:])
    return b.emit("reduce", x, kind="mean", axes=tuple(range(2, x.type.rank)), keepdims=True)


@onnx_op("QLinearGlobalAveragePool", domain=MICROSOFT, takes_codes=True)
def _qlinear_global_average_pool(b: Builder, node: OnnxNode) -> Value:
    x = channels_second(b, node, quantized_value(b, node, 0))
    if x.type.rank != 4:
        raise ValueError(f"its input has {x.type.rank} dimensions, but must have 4")
    return as_given(b, node, b.emit("avg_pool2d", x, quant=quantized_output(b, node, 3), kernel=x.type.shape[2:]))


@onnx_op("GlobalMaxPool", takes_codes=True)
def _global_max_pool(b: Builder, node: OnnxNode) -> Value:
    x = node.input(0)
    if x.type.rank == 4:
        return b.emit("max_pool2d", x, kernel=x.type.shape[2:])
    return b.emit("reduce", x, kind="max", axes=tuple(range(2, x.type.rank)), keepdims=True)
