"""`slice`, and ONNX's Slice and Split."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..ir.attributes import ints_attr
from ..ir.extent import ceil_div, least, most
from ..ir.graph import Array, Node, Value
from ..ir.registry import REQUIRED, OpDef, register
from ..ir.types import TensorType
from .builder import Builder
from .computed_slice import Bound, Range, Stated, bounds_in, emit_computed_slice
from .onnx_node import OnnxNode, normalized_axis, onnx_op


def _infer(node: Node) -> tuple[TensorType, ...]:
    """The extents are the output's own; what is inferred is the rest, and that every element exists."""
    x, extents = node.inputs[0].type, node.output.type.shape
    starts, steps = ints_attr(node, "starts", x.rank), ints_attr(node, "steps", x.rank)
    if len(extents) != x.rank:
        raise ValueError(f"its output has {len(extents)} dimensions, its input {x.rank}")
    for start, step, extent, limit in zip(starts, steps, extents, x.shape, strict=True):
        first, last = (start, start + (extent - 1) * step)[:: 1 if step > 0 else -1]
        if extent != 0 and not (first >= 0 and last < limit and step != 0):
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


register(OpDef("slice", (1, 1), {"starts": REQUIRED, "steps": REQUIRED}, _infer, _reference))


class Span(NamedTuple):
    """The indices start, start + step, ...: `extent` of them."""

    start: int
    extent: int
    step: int = 1


def whole(extent: int) -> Span:
    """All indices of a dimension."""
    return Span(0, extent)


def emit_slice(b: Builder, x: Value, spans: Sequence[Span | range]) -> Value:
    """The elements of `x` at the indices `spans`, one a dimension."""
    parts = [Span(s.start, len(s), s.step) if isinstance(s, range) else s for s in spans]
    if all(p == (0, d, 1) for p, d in zip(parts, x.type.shape, strict=True)):
        return x
    starts = tuple(0 if p.extent == 0 else p.start for p in parts)
    steps = tuple(1 if p.extent in (0, 1) else p.step for p in parts)
    type_ = TensorType(tuple(p.extent for p in parts), x.type.dtype, x.type.quant)
    return b.emit("slice", x, type=type_, starts=starts, steps=steps)


def everything(x: Value) -> list[Span]:
    """All indices of `x`."""
    return [*map(whole, x.type.shape)]


@onnx_op("Slice", takes_codes=True)
def _slice_1(b: Builder, node: OnnxNode) -> Value:
    starts, ends = node.integers("starts"), node.integers("ends")
    axes = node.integers("axes", range(len(starts)))
    return _emit(b, node.input(0), starts, ends, axes, (1,) * len(starts), Stated())


@onnx_op("Slice", since=10, takes_codes=True)
def _slice(b: Builder, node: OnnxNode) -> Value:
    starts, ends = bounds_in(b, node.input(1), "starts"), bounds_in(b, node.input(2), "ends")
    given_axes, given_steps = node.optional(3), node.optional(4)
    axes = tuple(range(len(starts))) if given_axes is None else b.ints(given_axes, "axes")
    steps = (1,) * len(starts) if given_steps is None else b.ints(given_steps, "steps")
    stated = Stated(node.declared.get(node.outputs[0], ()), node.in_fixed_shapes)
    return _emit(b, node.input(0), starts, ends, axes, steps, stated)


def _emit(
    b: Builder, x: Value, starts: Sequence[Bound], ends: Sequence[Bound], axes: Sequence[int], steps: Sequence[int],
    stated: Stated,
) -> Value:  # fmt: skip
    """What is known first, then what runs compute."""
    if not len(starts) == len(ends) == len(axes) == len(steps):
        raise ValueError("starts, ends, axes and steps differ in length")
    if 0 in steps:
        raise ValueError("a step is 0")
    spans, computed = everything(x), dict[int, Range]()
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        axis = normalized_axis(axis, x.type.rank)
        if isinstance(start, Value) or isinstance(end, Value):
            computed[axis] = Range(start, end, step)
        else:
            spans[axis] = _clamped(start, end, step, x.type.shape[axis])
    y = emit_slice(b, x, spans)
    for axis, part in computed.items():
        y = emit_computed_slice(b, y, axis, part, stated)
    return y


def _clamped(start: int, end: int, step: int, extent: int) -> Span:
    """The indices of a slice of a dimension; negative bounds count from its end. (Python clamps starts differently.)"""
    start, end = (bound + extent if bound < 0 else bound for bound in (start, end))
    if step > 0:
        start, end = least(most(start, 0), extent), least(most(end, 0), extent)
        return Span(start, most(ceil_div(end - start, step), 0), step)
    start, end = least(most(start, 0), extent - 1), least(most(end, -1), extent - 1)
    return Span(start, most(ceil_div(start - end, -step), 0), step)


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
        size = ceil_div(extent, parts)
        sizes = tuple(most(least(size, extent - i * size), 0) for i in range(parts))
    if sum(sizes) != extent or len(sizes) != parts or any(s < 0 for s in sizes):
        raise ValueError(f"it splits {extent} elements into parts of {list(sizes)} for {parts} outputs")
    values, start = [], 0
    for size in sizes:
        spans = everything(x)
        spans[axis] = Span(start, size)
        values.append(emit_slice(b, x, spans))
        start += size
    return values
