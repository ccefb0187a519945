"""Index tensors as maps that flatten them for `gather` and `scatter`."""

from collections.abc import Sequence
from math import prod

from ..ir.expr import Const, Expr, In, call
from ..ir.graph import Value
from .builder import Builder
from .indices import MISSED, from_end, grid_offsets, inside, int32, nearest, require_indices, row_strides
from .slice import Span, emit_slice, everything


def element_offsets(b: Builder, indices: Value, shape: Sequence[int], axis: int, *, skip: bool = False) -> Value:
    """int32: where in a row-major tensor of `shape` the element lies that has, along `axis`, the position that
    `indices` says, and along all other dimensions the position that the index has in `indices`.

    Indices that do not exist become the nearest one, or with `skip` MISSED.
    """
    require_indices(indices)
    own, strides, extent = indices.type.shape, row_strides(shape), shape[axis]
    if len(own) != len(shape) or any(i != axis and n > m for i, (n, m) in enumerate(zip(own, shape, strict=True))):
        raise ValueError(f"its indices {list(own)} do not fit into {list(shape)} around axis {axis}")
    counted = from_end(In(0), extent)
    flat = call("mul", int32(nearest(counted, extent)), strides[axis])
    inputs = [indices]
    # two small constants rather than one of the indices' size: what is before the axis, and what is behind it
    for low, high in ((0, axis), (axis + 1, len(shape))):
        if prod(own[low:high]) > 1:
            places = grid_offsets(own[low:high], strides[low:high])
            inputs.append(b.constant(places.reshape((*places.shape, *(1,) * (len(shape) - high)))))
            flat = call("add", flat, In(len(inputs) - 1))
    return b.map(call("where", inside(counted, extent), flat, MISSED) if skip else flat, *inputs)


def tuple_offsets(b: Builder, indices: Value, shape: Sequence[int], batch: int = 0, *, skip: bool = False) -> Value:
    """int32 [indices.shape[:-1]]: the rows of [prod(shape[:batch + n]), ...] that the n-tuples in the last dimension of
    `indices` select; the first `batch` dimensions of `indices` are those of `shape`. Else as `element_offsets`."""
    require_indices(indices)
    own = indices.type.shape
    if not own or not 1 <= own[-1] <= len(shape) - batch:
        raise ValueError(f"its indices {list(own)} do not hold positions in {list(shape)}")
    extents = shape[batch : batch + own[-1]]
    strides = row_strides(shape[: batch + own[-1]])
    flat: Expr | None = None
    valid: list[Expr] = []
    inputs: list[Value] = []
    for i, extent in enumerate(extents):
        component = emit_slice(b, indices, [*everything(indices)[:-1], Span(i, 1)])
        inputs.append(b.reshape(component, own[:-1]))
        counted = from_end(In(i), extent)
        valid.append(inside(counted, extent))
        term = call("mul", int32(nearest(counted, extent)), strides[batch + i])
        flat = term if flat is None else call("add", flat, term)
    assert flat is not None
    if prod(own[:batch]) > 1:
        places = grid_offsets(own[:batch], strides[:batch])
        inputs.append(b.constant(places.reshape((*places.shape, *(1,) * (len(own) - 1 - batch)))))
        flat = call("add", flat, In(len(inputs) - 1))
    if skip:
        exists = valid[0]
        for more in valid[1:]:
            exists = call("and", exists, more)
        flat = call("where", exists, flat, Const(MISSED))
    return b.map(flat, *inputs)
