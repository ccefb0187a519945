"""`slice`, and ONNX's Slice and Split."""

from collections.abc import Sequence

import numpy as np

from ..ir.attributes import ints_attr
from ..ir.graph import Array, Node, Value
from ..ir.registry import REQUIRED, OpDef, register
from ..ir.types import TensorType
from .builder import Builder
from .onnx_node import OnnxNode, normalized_axis, onnx_op


def _infer(node: Node) -> tuple[TensorType, ...]:
    """The extents are the output's own; what is inferred is the rest, and that every element exists."""
    x, extents = node.inputs[0].type, node.output.type.shape
    starts, steps = ints_attr(node, "starts", x.rank), ints_attr(node, "steps", x.rank)
    if len(extents) != x.rank:
        raise ValueError(f"its output has {len(extents)} dimensions, its input {x.rank}")
    for start, step, extent, limit in zip(starts, steps, extents, x.shape, strict=True):
        if extent and not (0 <= start < limit and 0 <= start + (extent - 1) * step < limit and step):
            raise ValueError(f"start {start}, step {step}, extent {extent} reach outside a dimension of {limit}")
    if x.quant is not None and x.quant.axis is not None:
        raise ValueError("it slices a per-channel quantized tensor; per-tensor ones are supported")
    return (x.with_shape(extents),)


def _reference(node: Node, inputs: Sequence[Array]) -> tuple[Array, ...]:
    x = inputs[0]
    ranges = zip(ints_attr(node, "starts"), ints_attr(node, "steps"), node.output.type.shape, strict=True)
    for axis, (start, step, extent) in enumerate(ranges):
        if (start, step, extent) != (0, 1, x.shape[axis]):
            x = np.take(x, start + step * np.arange(extent), axis)
    return (np.array(x),)


SLICE = register(OpDef("slice", (1, 1), {"starts": REQUIRED, "steps": REQUIRED}, _infer, _reference, doc=__doc__))


def emit_slice(b: Builder, x: Value, ranges: Sequence[range]) -> Value:
    """The elements of `x` at the indices `ranges`, one a dimension."""
    extents = tuple(len(r) for r in ranges)
    if all(r == range(d) for r, d in zip(ranges, x.type.shape, strict=True)):
        return x
    starts = tuple(r.start if len(r) else 0 for r in ranges)
    steps = tuple(r.step if len(r) > 1 else 1 for r in ranges)
    return b.emit("slice", x, type=TensorType(extents, x.type.dtype, x.type.quant), starts=starts, steps=steps)


@onnx_op("Slice", takes_codes=True)
def _slice_1(b: Builder, node: OnnxNode) -> Value:
    starts, ends = node.integers("starts"), node.integers("ends")
    return _emit(b, node.input(0), starts, ends, node.integers("axes", range(len(starts))), (1,) * len(starts))


@onnx_op("Slice", since=10, takes_codes=True)
def _slice(b: Builder, node: OnnxNode) -> Value:
    starts, ends = b.ints(node.input(1), "starts"), b.ints(node.input(2), "ends")
    given_axes, given_steps = node.optional(3), node.optional(4)
    axes = tuple(range(len(starts))) if given_axes is None else b.ints(given_axes, "axes")
    steps = (1,) * len(starts) if given_steps is None else b.ints(given_steps, "steps")
    return _emit(b, node.input(0), starts, ends, axes, steps)


def _emit(
    b: Builder, x: Value, starts: Sequence[int], ends: Sequence[int], axes: Sequence[int], steps: Sequence[int]
) -> Value:
    if not len(starts) == len(ends) == len(axes) == len(steps):
        raise ValueError("starts, ends, axes and steps differ in length")
    if 0 in steps:
        raise ValueError("a step is 0")
    ranges = [range(d) for d in x.type.shape]
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        axis = normalized_axis(axis, x.type.rank)
        ranges[axis] = _clamped(start, end, step, x.type.shape[axis])
    return emit_slice(b, x, ranges)


def _clamped(start: int, end: int, step: int, extent: int) -> range:
    """The indices of a slice of a dimension; negative bounds count from its end. (Python clamps starts differently.)"""
    start, end = (bound + extent if bound < 0 else bound for bound in (start, end))
    if step > 0:
        return range(min(max(start, 0), extent), min(max(end, 0), extent), step)
    return range(min(max(start, 0), extent - 1), min(max(end, -1), extent - 1), step)


@onnx_op("Split", takes_codes=True)
def _split(b: Builder, node: OnnxNode) -> list[Value]:
    x = node.input(0)
    axis, given = normalized_axis(node.integer("axis", 0), x.type.rank), node.optional(1)
    extent, parts = x.type.shape[axis], len(node.outputs)
    if given is not None:
        sizes = b.ints(given, "split")
    elif "split" in node.attrs:
        sizes = node.integers("split")
    else:
        size = -(-extent // parts)
        sizes = tuple(max(min(size, extent - i * size), 0) for i in range(parts))
    if sum(sizes) != extent or len(sizes) != parts or min(sizes) < 0:
        raise ValueError(f"it splits {extent} elements into parts of {list(sizes)} for {parts} outputs")
    values, start = [], 0
    for size in sizes:
        ranges = [range(d) for d in x.type.shape]
        ranges[axis] = range(start, start + size)
        values.append(emit_slice(b, x, ranges))
        start += size
    return values
