"""`pad`, and ONNX's Pad."""

from collections.abc import Sequence

import numpy as np

from ..ir.attributes import ints_attr, number_attr, str_attr
from ..ir.extent import most
from ..ir.graph import Array, Node, Value
from ..ir.registry import REQUIRED, OpDef, register
from ..ir.types import TensorType
from . import quantized
from .builder import MAX_TENSOR_BYTES, Builder
from .onnx_node import OnnxNode, normalized_axis, onnx_op
from .qdq import carried
from .slice import Span, emit_slice

MODES = ("constant", "edge", "reflect")


def _infer(node: Node) -> tuple[TensorType, ...]:
    x, mode = node.inputs[0].type, str_attr(node, "mode", MODES)
    pads = ints_attr(node, "pads", 2 * x.rank, least=0)
    number_attr(node, "value")
    for i, d in enumerate(x.shape):
        limit = {"constant": None, "edge": 0 if d == 0 else None, "reflect": max(d - 1, 0)}[mode]
        if limit is not None and max(pads[i], pads[i + x.rank]) > limit:
            size = max(pads[i], pads[i + x.rank])
            raise ValueError(f"{mode} padding of {d} elements by {size} is not defined; {limit} are supported")
    if x.quant is not None:
        quantized.scalar(x.quant)
    return (x.with_shape(tuple(d + pads[i] + pads[i + x.rank] for i, d in enumerate(x.shape))),)


def fill_value(node: Node) -> Array:
    """The element that constant padding puts: `value` in the input's dtype, its code for a quantized one."""
    x, value = node.inputs[0].type, number_attr(node, "value")
    if x.quant is not None:
        return quantized.quantize(np.array(value, np.float32), x.quant, x.dtype)
    return np.array(value).astype(x.dtype)


def _reference(node: Node, inputs: Sequence[Array]) -> tuple[Array, ...]:
    x, pads, mode = inputs[0], ints_attr(node, "pads"), str_attr(node, "mode", MODES)
    widths = [(pads[i], pads[i + x.ndim]) for i in range(x.ndim)]
    if mode == "constant":
        return (np.pad(x, widths, constant_values=fill_value(node)),)
    return (np.pad(x, widths, mode="edge") if mode == "edge" else np.pad(x, widths, mode="reflect"),)


register(OpDef("pad", (1, 1), {"pads": REQUIRED, "value": 0.0, "mode": "constant"}, _infer, _reference))


@onnx_op("Pad", takes_codes=True)
def _pad_2(b: Builder, node: OnnxNode) -> Value:
    return _emit(b, node, node.input(0), node.integers("pads"), node.number("value", 0.0))


@onnx_op("Pad", since=11, takes_codes=True)
def _pad(b: Builder, node: OnnxNode) -> Value:
    x, value, given = node.input(0), node.optional(2), node.optional(3)
    pads = b.ints(node.input(1), "pads")
    fill = _fill(b, x, value)
    if given is not None:
        axes = [normalized_axis(a, x.type.rank) for a in b.ints(given, "axes")]
        if len(pads) != 2 * len(axes):
            raise ValueError(f"it has {len(pads)} pads for {len(axes)} axes")
        every = [0] * (2 * x.type.rank)
        for i, axis in enumerate(axes):
            every[axis], every[axis + x.type.rank] = pads[i], pads[i + len(axes)]
        pads = tuple(every)
    return _emit(b, node, x, pads, fill)


def _fill(b: Builder, x: Value, value: Value | None) -> int | float:
    """The number to pad with; for codes, which `value` is one of then, what it stands for."""
    if value is None:
        return 0.0
    element = b.array(value, "constant value").reshape(-1)[:1]
    if x.type.quant is not None:
        element = quantized.dequantize(carried(element), x.type.quant)
    number: int | float = element[0].item() + 0  # of a bool too
    return number


def _emit(b: Builder, node: OnnxNode, x: Value, pads: Sequence[int], value: int | float) -> Value:
    """Negative pads cut: they are a slice before the padding."""
    mode, rank = node.text("mode", "constant"), x.type.rank
    if mode not in (*MODES, "wrap"):
        raise ValueError(f"its mode is {mode!r}; {', '.join(MODES)} and wrap are supported")
    if len(pads) != 2 * rank:
        raise ValueError(f"it has {len(pads)} pads for {rank} dimensions")
    cut, grown = [most(-p, 0) for p in pads], tuple(most(p, 0) for p in pads)
    x = emit_slice(b, x, [Span(cut[i], most(d - cut[i] - cut[i + rank], 0)) for i, d in enumerate(x.type.shape)])
    if mode == "wrap" or (mode == "reflect" and any(p >= d for p, d in zip(grown, x.type.shape * 2, strict=True))):
        return _periodic(b, x, grown, mode)
    return b.emit("pad", x, pads=grown, value=value, mode=mode) if any(p != 0 for p in grown) else x


def _periodic(b: Builder, x: Value, pads: Sequence[int], mode: str) -> Value:
    """Padding with all of the tensor, over and over, axis by axis: `wrap`, or a `reflect` wider than the tensor."""
    for axis, extent in enumerate(x.type.shape):
        before, after = pads[axis], pads[axis + x.type.rank]
        if not before and not after:
            continue
        if not extent or before + extent + after > MAX_TENSOR_BYTES // 8:
            raise ValueError(
                f"{mode} padding of {extent} elements by {before} and {after} is not possible; "
                "pad what has elements, and less"
            )
        places = np.arange(-before, extent + after)
        if mode == "wrap":
            places %= extent
        else:
            period = max(2 * extent - 2, 1)
            places = np.minimum(places % period, -places % period)
        x = b.emit("gather", x, b.constant(places), axis=axis)
    return x
