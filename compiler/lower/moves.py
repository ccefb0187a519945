"""Ops that only move data -> copies; and the copies and halo fills that lowering itself needs."""

from collections.abc import Sequence

import numpy as np

from ...errors import EdgeError
from ..ir.attributes import int_attr, ints_attr, str_attr
from ..ir.graph import Node
from ..kernels import copy as copy_kernels
from ..kernels import fill, gather
from ..ops.pad import fill_value
from .buffers import Fill, Ref, View
from .context import Context, lowering
from .iteration import broadcast_strides, collapse, strides

CHUNK = 16384
"""Bytes of a tile of a dense copy."""


PLANES = range(2, 5)
"""Planes that a copy interleaves, or separates, in registers."""


def fill_halo(c: Context, fill_: Fill) -> None:
    """Write the border around a view."""
    view, (top, left, bottom, right) = fill_.view, fill_.halo
    n, h, w, _ = view.dims
    element = len(fill_.element)
    value = int(np.frombuffer(fill_.element * (4 // element), np.int32)[0])
    spec = fill.FillSpec(element)
    params = {
        "above": top, "height": h, "y_row": view.row,
        "left": left * view.pixel, "inner": w * view.pixel, "right": right * view.pixel, "value": value,
    }  # fmt: skip
    for image in range(n):
        c.emit(fill, spec, [view.at(image, -top, -left)], params, top + h + bottom, barrier=image == 0)


def copy(c: Context, x: View, y: View) -> None:
    """y := x, two views of one shape."""
    shape = y.type.shape
    strided_copy(c, x.at(), y.at(), shape, broadcast_strides(x, shape), strides(y), y.element)


def strided_copy(
    c: Context, x: Ref, y: Ref, extents: Sequence[int], x_strides: Sequence[int], y_strides: Sequence[int], element: int,
    barrier: bool = True,
) -> None:  # fmt: skip
    """y[i] := x[i] over an index space; the form of the kernel follows from the innermost strides."""
    space = collapse(extents, [x_strides, y_strides])
    dims = list(zip(space.extents, *space.strides, strict=True)) or [(1, element, element)]
    if dims[-1][1:] == (element, element):
        outer, inner, spec = dims[:-1], (dims[-1][0] * element, 1, 1), copy_kernels.CopySpec("dense")
    else:
        outer, inner, spec = _two_dimensional(dims, element)
    if len(outer) > 4:
        first, rest = outer[0], [*outer[1:], *dims[len(outer) :]]
        for i in range(first[0]):
            strided_copy(
                c, Ref(x.storage, x.offset + i * first[1]), Ref(y.storage, y.offset + i * first[2]),
                [d[0] for d in rest], [d[1] for d in rest], [d[2] for d in rest], element, barrier and i == 0,
            )  # fmt: skip
        return
    last = 4 - (spec.form not in ("dense", "strided"))
    walked = [*outer, *[(1, 0, 0)] * (4 - len(outer))]
    if last == 3:  # the fourth dimension belongs to the form
        walked = [*outer[:-1], *[(1, 0, 0)] * (4 - len(outer)), outer[-1]]
    alone = all(d[0] == 1 for d in walked)
    chunk = min(inner[0], CHUNK) if alone and spec.form == "dense" else inner[0]
    chunks = -(-inner[0] // chunk)
    params = {"chunk": chunk, "chunks": chunks, "count": inner[0]}
    params |= {f"extent_{i}": walked[i][0] for i in range(1, 4)}
    for i, (_, x_step, y_step) in enumerate([*walked, inner]):
        params |= {f"x_{i}": x_step, f"y_{i}": y_step}
    chosen = {name: params[name] for name in spec.params}
    c.emit(copy_kernels, spec, [x, y], chosen, walked[0][0] * walked[1][0] * chunks, barrier=barrier)


Dim = tuple[int, int, int]
"""(extent, stride in x, stride in y)."""


def _two_dimensional(dims: list[Dim], element: int) -> tuple[list[Dim], Dim, copy_kernels.CopySpec]:
    """(outer dimensions, innermost dimension, form) for a copy whose innermost strides are not both dense. The last of
    the outer dimensions belongs to the form when it has two."""
    plain = dims[:-1], dims[-1], copy_kernels.CopySpec("strided", element)
    if len(dims) < 2:
        return plain
    outer, (b, xb, yb), (a, xa, ya) = dims[:-2], dims[-2], dims[-1]
    if ya == element and xb == element:
        if a in PLANES and yb == a * element:
            return [*outer, (a, xa, ya)], (b, xb, yb), copy_kernels.CopySpec("interleave", element, a)
        if b in PLANES and xa == b * element:
            return [*outer, (b, xb, yb)], (a, xa, ya), copy_kernels.CopySpec("deinterleave", element, b)
        if min(a, b) >= copy_kernels.BLOCK and element in (1, 4):
            return [*outer, (a, xa, ya)], (b, xb, yb), copy_kernels.CopySpec("transpose", element)
    return plain


@lowering("transpose")
def lower_transpose(c: Context, node: Node) -> None:
    """A copy with permuted strides."""
    x, y = c.input(node, 0), c.views[node.output]
    steps, perm = strides(x), ints_attr(node, "perm")
    strided_copy(c, x.at(), y.at(), y.type.shape, [steps[p] for p in perm], strides(y), y.element)


@lowering("reshape")
def lower_reshape(c: Context, node: Node) -> None:
    """Nothing, where the output is the same bytes."""
    x, y = c.input(node, 0), c.views[node.output]
    if x.at() == y.at():
        return
    if not y.is_dense:
        raise AssertionError("a reshape's output is dense")
    shape = x.type.shape
    dense = [y.element * int(np.prod(shape[i + 1 :], dtype=np.int64)) for i in range(len(shape))]
    strided_copy(c, x.at(), y.at(), shape, strides(x), dense, y.element)


@lowering("broadcast_to")
def lower_broadcast_to(c: Context, node: Node) -> None:
    """A copy whose input strides are 0 where it is repeated."""
    copy(c, c.input(node, 0), c.views[node.output])


@lowering("slice")
def lower_slice(c: Context, node: Node) -> None:
    """A copy from an offset, with multiplied strides."""
    x, y = c.input(node, 0), c.views[node.output]
    starts, steps, own = ints_attr(node, "starts"), ints_attr(node, "steps"), strides(x)
    first = Ref(x.storage, x.offset + sum(s * o for s, o in zip(starts, own, strict=True)))
    strided_copy(c, first, y.at(), y.type.shape, [s * o for s, o in zip(steps, own, strict=True)], strides(y), y.element)


@lowering("concat")
def lower_concat(c: Context, node: Node) -> None:
    """A copy of each input that was not written into the output in the first place."""
    y = c.views[node.output]
    axis, steps = int_attr(node, "axis"), strides(y)
    position, first = 0, True
    for index, value in enumerate(node.inputs):
        x = c.input(node, index)
        place = Ref(y.storage, y.offset + position * steps[axis])
        position += value.type.shape[axis]
        if x.at() != place:
            strided_copy(c, x.at(), place, value.type.shape, strides(x), steps, y.element, barrier=first)
            first = False


@lowering("pad")
def lower_pad(c: Context, node: Node) -> None:
    """The padding value broadcast over the output, then the input on top; other modes by gathering."""
    x, y = c.input(node, 0), c.views[node.output]
    if str_attr(node, "mode", ("constant", "edge", "reflect")) != "constant":
        raise EdgeError(f"node {node.name!r}: only constant padding has a kernel; pad before the model")
    rank = x.type.rank
    pads, steps = ints_attr(node, "pads"), strides(y)
    border = c.weights.add(fill_value(node).tobytes())
    strided_copy(c, border, y.at(), y.type.shape, [0] * rank, steps, y.element)
    inside = Ref(y.storage, y.offset + sum(p * s for p, s in zip(pads[:rank], steps, strict=True)))
    strided_copy(c, x.at(), inside, x.type.shape, strides(x), steps, y.element)


@lowering("gather")
def lower_gather(c: Context, node: Node) -> None:
    """Rows by number: everything inside the axis is one row."""
    x, indices, y = c.input(node, 0), c.input(node, 1), c.views[node.output]
    axis, shape, dtype = int_attr(node, "axis"), x.type.shape, node.inputs[1].type.dtype
    if dtype not in ("int32", "int64") or not (x.is_dense and y.is_dense and indices.is_dense):
        raise EdgeError(f"node {node.name!r}: gather takes int32 or int64 indices, not {dtype}")
    row = x.element * int(np.prod(shape[axis + 1 :], dtype=np.int64))
    outer, count = int(np.prod(shape[:axis], dtype=np.int64)), indices.type.size
    params = {
        "extent": shape[axis], "indices": count, "tile_rows": count, "chunks": 1, "row_bytes": row,
        "x_outer": shape[axis] * row, "x_step": row, "y_outer": count * row, "y_step": row,
    }  # fmt: skip
    c.emit(gather, gather.GatherSpec(dtype), [x.at(), indices.at(), y.at()], params, outer)
