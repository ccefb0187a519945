"""Ops that only move data -> copies."""

from collections.abc import Sequence

from ...ir.attributes import int_attr, ints_attr, str_attr
from ...ir.graph import Node
from ...ops.pad import MODES, fill_value
from ...ops.trim import measured
from ..buffers import Fill, View
from ..context import Context, Label, lowering
from ..copies import copy, strided_copy
from ..iteration import dense_strides, strides
from ..plan import Control
from ..windows import picture_rows


@lowering("transpose")
def lower_transpose(c: Context, node: Node) -> None:
    """A copy with permuted strides; nothing, where the input was written in the output's order."""
    x, y = c.input(node, 0), c.output(node)
    own, perm = strides(x), ints_attr(node, "perm")
    if x.at() == y.at() and [own[p] for p in perm] == [*strides(y)]:
        return
    rows = picture_rows(x, y) if perm == (0, 2, 3, 1) else None
    strided_copy(c, x.at(), y.at(), y.type.shape, [own[p] for p in perm], strides(y), y.element, rows=rows)


@lowering("bitcast")
@lowering("reshape")
def lower_reshape(c: Context, node: Node) -> None:
    """Nothing, where the output is the same bytes."""
    x, y = c.input(node, 0), c.output(node)
    if x.at() == y.at():
        return
    shape = x.type.shape
    strided_copy(c, x.at(), y.at(), shape, strides(x), dense_strides(shape, y.element), y.element)


@lowering("trim")
def lower_trim(c: Context, node: Node) -> None:
    """From here on the count is known."""
    c.measure(measured(node), c.input(node, 1).at())
    x, y = c.input(node, 0), c.output(node)
    if x.at() != y.at():
        strided_copy(c, x.at(), y.at(), y.type.shape, strides(x), strides(y), y.element)


@lowering("require")
def lower_require(c: Context, node: Node) -> None:
    """The run goes on where the condition holds."""
    c.control(Control.REQUIRE, Label(), c.input(node, 1).at())
    x, y = c.input(node, 0), c.output(node)
    if x.at() != y.at():
        copy(c, x, y)


@lowering("broadcast_to")
def lower_broadcast_to(c: Context, node: Node) -> None:
    """A copy whose input strides are 0 where it is repeated."""
    copy(c, c.input(node, 0), c.output(node))


@lowering("slice")
def lower_slice(c: Context, node: Node) -> None:
    """A copy from an offset, with multiplied strides; nothing, where the output is part of the input's memory."""
    x, y = c.input(node, 0), c.output(node)
    own = strides(x)
    first = x.at().plus(_dot(ints_attr(node, "starts"), own))
    if first == y.at():
        return
    steps = [step * stride for step, stride in zip(ints_attr(node, "steps"), own, strict=True)]
    strided_copy(c, first, y.at(), y.type.shape, steps, strides(y), y.element)


@lowering("concat")
def lower_concat(c: Context, node: Node) -> None:
    """A copy of each input that was not written into the output in the first place."""
    y = c.output(node)
    step = strides(y)[int_attr(node, "axis")]
    position, first = 0, True
    for index, value in enumerate(node.inputs):
        x = c.input(node, index)
        place = y.at().plus(position * step)
        position += value.type.shape[int_attr(node, "axis")]
        if x.at() != place:
            strided_copy(c, x.at(), place, value.type.shape, strides(x), strides(y), y.element, barrier=first)
            first = False


@lowering("pad")
def lower_pad(c: Context, node: Node) -> None:
    """The input inside of the output, and what surrounds it."""
    x, y, rank = c.input(node, 0), c.output(node), len(node.inputs[0].type.shape)
    pads, mode = ints_attr(node, "pads"), str_attr(node, "mode", MODES)
    before, after, steps = pads[:rank], pads[rank:], strides(y)
    inside = y.at().plus(_dot(before, steps))
    if mode != "constant":
        strided_copy(c, x.at(), inside, x.type.shape, strides(x), steps, y.element)
        _mirror(c, y, x.type.shape, before, after, reflect=mode == "reflect")
        return
    element = fill_value(node).tobytes()
    dense = [*steps] == [*dense_strides(y.type.shape, y.element)]  # not where y is some of the channels of a concat
    if rank == 4 and dense and not (before[0] or before[3] or after[0] or after[3]) and len(element) in (1, 2, 4):
        view = View(y.storage, y.type.with_shape(x.type.shape), x.dims, y.strides, inside.offset)
        c.fill(Fill(view, (before[1], before[2], after[1], after[2]), element))
        strided_copy(c, x.at(), inside, x.type.shape, strides(x), steps, y.element, barrier=False)
        return
    strided_copy(c, c.weights.add(element), y.at(), y.type.shape, [0] * rank, steps, y.element)
    strided_copy(c, x.at(), inside, x.type.shape, strides(x), steps, y.element)


def _mirror(
    c: Context, y: View, shape: Sequence[int], before: Sequence[int], after: Sequence[int], *, reflect: bool
) -> None:
    """Pad axis by axis with what is already in `y`: its outermost elements, or those inside of them mirrored."""
    steps = strides(y)
    extents, start = list(shape), list(before)
    for axis, (low, high) in enumerate(zip(before, after, strict=True)):
        last = low + shape[axis] - 1
        # (first padded index, how many, index of the element that the first one repeats)
        sides = [(0, low, 2 * low if reflect else low), (last + 1, high, last - 1 if reflect else last)]
        for i, (first, count, origin) in enumerate(side for side in sides if side[1]):
            extents[axis] = count
            sources = [s if a != axis else (-s if reflect else 0) for a, s in enumerate(steps)]
            start[axis] = origin
            source = y.at().plus(_dot(start, steps))
            target = source.plus((first - origin) * steps[axis])
            strided_copy(c, source, target, extents, sources, steps, y.element, barrier=i == 0)
        extents[axis], start[axis] = y.type.shape[axis], 0


def _dot(indices: Sequence[int], steps: Sequence[int]) -> int:
    return sum(i * s for i, s in zip(indices, steps, strict=True))
