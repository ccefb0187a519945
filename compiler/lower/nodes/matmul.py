"""matmul -> the convolution kernels: the rows of a matrix are pixels, and a product is a convolution of one tap."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from math import prod
from typing import NamedTuple

from ...ir.extent import always_less
from ...ir.graph import Node
from ...ir.types import TensorType
from ...kernels.convolutions import conv, rowsums
from ...ops import epilogue as op
from ...ops.float_products import meets_single_rows
from ...ops.matmul import first_operand, second_operand
from ..buffers import Ref, View, element_size
from ..context import Context, lowering, require
from ..copies import permuted
from ..iteration import broadcast_strides, collapse, dense_strides, each, strides
from .epilogue import Epilogue, constant_weights, epilogue_of
from .packing import MAX_BATCH, Packed, Source, pack_computed, pack_constant
from .row_codes import row_codes
from .tiling import Factors, tiling_of

OVER_READ = 64
"""Bytes that kernels may read behind an operand."""


@dataclass(frozen=True)
class _Operand:
    """Where an operand of all products begins, and its strides over [*batch, M]."""

    where: Ref
    strides: Sequence[int]


@lowering("matmul")
def lower_matmul(c: Context, node: Node) -> None:
    """One step for all products of a batch, after one that packs the second operand where that is computed."""
    require(node, "float32", "float16", "int8")
    shape = node.output.type.shape
    epilogue = epilogue_of(c, node, shape[-1])
    if meets_single_rows(shape[:-1], _second_shape(node)):
        epilogue = replace(epilogue, small_sums=False)  # nothing that there is to gain
    space, own = shape[:-1], _second_shape(node)[:-2]
    y, w = c.output(node), node.inputs[op.W]
    if w.data is not None:
        matrices = constant_weights(node)
        packed = pack_constant(c, matrices.reshape(-1, 1, *matrices.shape[-2:]), epilogue)
    else:
        packed = pack_computed(c, _source(c, node), epilogue)
    operands = {
        "x": _data(c, node),
        "w": _Operand(packed.where, (*_over(own, packed.matrix_bytes, space[:-1]), 0)),
        "y": _Operand(y.at(), strides(y)[:-1]),
    }
    if epilogue.residual:
        residual = c.input(node, op.RESIDUAL)
        operands["r"] = _Operand(residual.at(), broadcast_strides(residual, shape)[:-1])
    if epilogue.scaled:
        codes, scales = row_codes(c, node)
        operands["x"] = _data_in(codes, codes.at(), node)
        operands["rows"] = _rows_of(node, scales)
    elif w.data is None and w.type.quant is not None and w.type.quant.zero_point[0]:
        operands["rows"] = _row_sums(c, node, w.type.quant.zero_point[0], epilogue.x_zero)
    _products(c, node, packed, epilogue, operands)


def _data(c: Context, node: Node) -> _Operand:
    """The first operand."""
    x, value = c.input(node, op.X), node.inputs[op.X]
    where = x.at() if value.data is None else c.weights.add(value.data.tobytes() + bytes(OVER_READ))
    return _data_in(x, where, node)


def _data_in(x: View, where: Ref, node: Node) -> _Operand:
    """The first operand, or codes of it, in `x`."""
    return _Operand(where, _in_order(node, x.type.shape[:-1], strides(x)[:-1]))


def _in_order(node: Node, own: Sequence[int], steps: Sequence[int]) -> tuple[int, ...]:
    """Strides over [*batch, M] of what has a thing for each row of the first operand, [*own, K]."""
    order = first_operand(node)[:-1]
    rows = (0 if own[p] == 1 else steps[p] for p in order)
    return (*[0] * (len(node.output.type.shape) - 1 - len(own)), *rows)


def _over(own: Sequence[int], size: int, batch: Sequence[int]) -> tuple[int, ...]:
    """Strides over `batch` of things of `size` bytes that exist for each index of the shape `own`, one after the
    other."""
    steps = [0 if extent == 1 else step for extent, step in zip(own, dense_strides(own, size), strict=True)]
    return (*[0] * (len(batch) - len(own)), *steps)


def _source(c: Context, node: Node) -> Source:
    """The second operand's matrices, copied where their strides are more than the packing takes."""
    w, order = c.input(node, op.W), second_operand(node)
    shape, steps = _second_shape(node), tuple(strides(w)[p] for p in order)
    space = collapse(shape[:-2], [steps[:-2]])
    if len(space.extents) > MAX_BATCH or w.element not in steps[-2:]:
        w = permuted(c, w, order)
        steps = strides(w)
        space = collapse(shape[:-2], [steps[:-2]])
    return Source(w.at(), space.extents, space.strides[0], (1, *shape[-2:]), (0, *steps[-2:]))


def _second_shape(node: Node) -> tuple[int, ...]:
    shape = node.inputs[op.W].type.shape
    return tuple(shape[p] for p in second_operand(node))


def _row_sums(c: Context, node: Node, w_zero: int, x_zero: int) -> _Operand:
    """-w_zero * (sum of the row - K * x_zero) of each row of the data: int32, over [*batch, M]."""
    x = c.input(node, op.X)
    space = collapse(x.type.shape[:-1], [strides(x)[:-1]])
    if len(space.extents) > MAX_BATCH + 1:
        x = permuted(c, x, range(x.type.rank))
        space = collapse(x.type.shape[:-1], [strides(x)[:-1]])
    missing = MAX_BATCH + 1 - len(space.extents)
    outer, inner, rows = (1,) * missing + space.extents
    x_0, x_1, x_row = (0,) * missing + space.strides[0]
    depth = x.type.shape[-1]
    params = {
        "length": depth, "rows": rows, "x_row": x_row, "batch_1": inner, "x_0": x_0, "x_1": x_1,
        "factor": -w_zero, "offset": depth * x_zero,
    }  # fmt: skip
    sums = c.scratch(TensorType(x.type.shape[:-1], "int32"))
    with c.part("row sums"):
        c.emit(rowsums, rowsums.RowSumsSpec(), {"x": x.at(), "y": sums.at()}, params, outer * inner * rows)
    return _rows_of(node, sums)


def _rows_of(node: Node, values: View) -> _Operand:
    """A dense number for each row of the first operand."""
    shape = values.type.shape
    return _Operand(values.at(), _in_order(node, shape, dense_strides(shape, values.element)))


def _products(c: Context, node: Node, packed: Packed, epilogue: Epilogue, operands: Mapping[str, _Operand]) -> None:
    """Steps that compute all products: one, unless there are more batch dimensions than a kernel walks."""
    outputs, depth = node.output.type.shape[-1], node.inputs[op.X].type.shape[-1]
    space = collapse(node.output.type.shape[:-1], [o.strides for o in operands.values()])
    dims = [_Dim(e, dict(zip(operands, s, strict=True))) for e, *s in zip(space.extents, *space.strides, strict=True)]
    pixels: list[_Dim] = []
    while dims and len(pixels) < 2 and dims[-1].strides["w"] == 0:
        pixels.insert(0, dims.pop())
    height, width = [_ONE] * (2 - len(pixels)) + pixels
    loops, batch = dims[:-MAX_BATCH], [_ONE] * (MAX_BATCH - len(dims)) + dims[-MAX_BATCH:]
    count = height.extent * width.extent
    single = meets_single_rows(node.output.type.shape[:-1], _second_shape(node))
    size = element_size(TensorType((), epilogue.dtype))
    copies = "rows" not in operands or epilogue.scaled  # else they are in the place of scratch memory
    products = prod(d.extent for d in batch)
    factors = Factors(count, outputs, lambda rows: rows * depth * size, products, single=single, copies=copies)
    how = tiling_of(c, packed, epilogue.dtype, factors)
    narrow = not always_less(c.target.columns - 1, outputs)
    spec = how.spec(packed, epilogue, pointwise=True, batched=bool(dims), rows="rows" in operands, narrow=narrow)
    params = how.params(packed, epilogue, factors) | {
        "out_width": width.extent, "taps_y": 1, "tap_y": 0, "taps_x": 1, "tap_x": 0,
        "parts": how.parts, "batch_1": batch[1].extent, "rows_at": 0,
    }  # fmt: skip
    for name in ("x", "w", "y", "r", "rows"):
        params |= {f"{name}_{i}": batch[i].strides.get(name, 0) for i in range(MAX_BATCH)}
        params |= {f"{name}_row": height.strides.get(name, 0), f"{name}_pixel": width.strides.get(name, 0)}
    for number, index in enumerate(product(*(each(d.extent) for d in loops))):
        places = [i for i, _ in index]
        at = {
            _NAMES.get(name, name): o.where.plus(sum(i * d.strides[name] for i, d in zip(places, loops, strict=True)))
            for name, o in operands.items()
        }
        if epilogue.scaled:
            params["rows_at"] = at.pop("beside").offset - at["x"].offset
        chosen = {name: params[name] for name in spec.params}
        c.emit(
            conv, spec, at, chosen, how.m_tiles * how.parts * products * prod(p for _, p in index),
            barrier=number == 0, macs=count * products * depth * outputs, scratch=how.scratch,
        )  # fmt: skip


class _Dim(NamedTuple):
    """A dimension that operands walk: its extent, and the bytes between neighbours in each."""

    extent: int
    strides: Mapping[str, int]


_ONE = _Dim(1, {})

_NAMES = {"r": "aux", "rows": "beside"}
"""What the kernel's operands are called where that differs from their parameters."""
