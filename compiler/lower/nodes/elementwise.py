"""map -> the elementwise kernels."""

from collections.abc import Mapping, Sequence
from itertools import product
from math import prod
from types import ModuleType

import numpy as np

from ....errors import EdgeError
from ...ir.attributes import expr_attr
from ...ir.evaluation import fold
from ...ir.expr import Call, Expr, In, substitute, walk
from ...ir.expr_dtypes import infer_dtype
from ...ir.extent import always_less, ceil_div, is_symbolic
from ...ir.graph import Node
from ...ir.lifting import lifted
from ...ir.types import Quant, TensorType
from ...kernels import arith, map, table
from ...kernels.elementwise import Rows, rows_of
from ...kernels.spec import KernelSpec
from ...ops import quantized
from ...ops.map import IntegerForm, broadcast_shapes, integer_form, seen_as
from ..buffers import Ref, View
from ..context import Context, lowering
from ..copies import copy
from ..iteration import IterationSpace, broadcast_strides, collapse, each
from ..windows import ALONE, Rowwise
from .epilogue import is_small_product
from .pack import float_bits
from .reciprocal import quantization_params
from .split import inputs_of, next_call, renumbered, replaced
from .sums import sum_params

CHUNK = 8192
"""Elements of a tile of a dense tensor."""

LEAST = 16
"""Elements that take no longer than a row of fewer."""

RANK = 4
"""Dimensions that the kernels walk; the last one is a row of elements."""


@lowering("map")
def lower_map(c: Context, node: Node) -> None:
    """A table, an integer sum or product, or generated code: whatever form the arithmetic contract gives the map."""
    form = integer_form(node)
    if form is None:
        _generated(c, node)
    elif form.kind == "table":
        _table(c, node)
    else:
        _integer(c, node, form)


def _table(c: Context, node: Node) -> None:
    x, y = c.input(node, 0), c.output(node)
    entries = quantized.map_table(expr_attr(node, "expr"), node.inputs[0].type, node.output.type)
    # entry i is for the code i - 128: of an unsigned input that is the byte i + 128
    if node.inputs[0].type.dtype == "uint8":
        entries = np.roll(entries, 128)
    views = {"x": x, "y": y}
    space = _space(views)
    rows, count = _rows(c, table, space), space.extents[-1]
    narrow = rows == "short" and not is_symbolic(count) and count % table.NARROW == 0
    spec = table.TableSpec("long" if narrow else rows, narrow)
    _walk(c, table, spec, views, {}, {"w": c.weights.add(entries.tobytes())}, _row_by_row(c, spec, x, y))


def _integer(c: Context, node: Node, form: IntegerForm) -> None:
    """The kernels broadcast b only, and both forms are symmetric. Where both operands are broadcast, one is repeated in
    memory."""
    (a, qa), (b, qb) = ((c.input(node, i), _per_tensor(node, node.inputs[i].type)) for i in range(2))
    y, qy = c.output(node), _per_tensor(node, node.output.type)
    if a.type.shape != y.type.shape:
        a, b, qa, qb = b, a, qb, qa
    if a.type.shape != y.type.shape:
        whole = c.scratch(TensorType(y.type.shape, "int8"))
        with c.part("broadcast"):
            copy(c, a, whole)
        a = whole
    if form.kind == "add":
        sum_form, params = sum_params(qa, qb, qy, small=c.target.small_sums, shifted=c.target.small_sums)
        params |= {"zero_point_a": quantized.scalar(qa)[1], "sum_low": form.lo, "sum_high": form.hi}
    else:
        sum_form = "small" if c.target.small_sums and is_small_product(qa, qb, qy) else "any"
        (za, zb, zy) = (quantized.scalar(q)[1] for q in (qa, qb, qy))
        params = {"a_zero_point": za, "b_zero_point": zb, "zero_point": zy, "low": form.lo, "high": form.hi}
        params["multiplier"] = float_bits(float(quantized.mul_multiplier(qa, qb, qy)))
    views = {"a": a, "b": b, "y": y}
    space = _space(views)
    vectors = arith.vectors_of(space.extents[-1], c.target.lanes)
    spec = arith.ArithSpec(
        "add" if form.kind == "add" else "mul", _is_dense(space, 1),
        rows_of(space.extents[-1], vectors * c.target.lanes), vectors, sum_form, (form.lo, form.hi) != (-128, 127),
    )  # fmt: skip
    _walk(c, arith, spec, views, params)


def _generated(c: Context, node: Node) -> None:
    """Code for the expression. One of more inputs than a kernel takes is computed call by call until few are left."""
    expr, views = _distinct_inputs(c, node)
    for view in (*views, c.output(node)):
        _check_dtype(node, view.type)
    while len(inputs_of(expr)) > map.MAX_INPUTS:
        inner = next_call(expr)
        used = inputs_of(inner)
        seen = [seen_as(v.type) for v in views]
        shape = broadcast_shapes([views[i].type.shape for i in used])
        partial = c.scratch(TensorType(shape, infer_dtype(inner, seen)))
        with c.part("part"):
            _emit_map(c, node, renumbered(inner, used), [views[i] for i in used], partial)
        expr = replaced(expr, inner, In(len(views)))
        views.append(partial)
    used = inputs_of(expr)
    _emit_map(c, node, renumbered(expr, used), [views[i] for i in used], c.output(node))


def _emit_map(c: Context, node: Node, expr: Expr, inputs: Sequence[View], y: View) -> None:
    views = dict(zip(map.OPERANDS, inputs, strict=False)) | {"y": y}
    space = _space(views)
    operands = [
        map.MapOperand(v.type.dtype, v.type.quant is not None, _is_dense(space, i))
        for i, v in enumerate(views.values())
    ]
    params, multiplied = dict[str, int](), False
    for name, view in views.items():
        if view.type.quant is not None:
            scale, zero = quantized.scalar(_per_tensor(node, view.type))
            # the kernels read and write unsigned codes as signed ones, 128 lower
            zero -= 128 if view.type.dtype == "uint8" else 0
            if name == "y":
                multiplied, quantization = quantization_params(name, scale, zero)
            else:
                quantization = {f"{name}_scale": float_bits(scale), f"{name}_zero_point": zero}
            params |= quantization
    expr, numbers = _with_parameters(expr, [v.type.dtype for v in views.values()])
    params |= {f"number_{len(inputs) + i}": float_bits(value) for i, value in enumerate(numbers)}
    spec = map.MapSpec(expr, tuple(operands[:-1]), operands[-1], _rows(c, map, space), multiplied)
    _walk(c, map, spec, views, params)


def _with_parameters(expr: Expr, dtypes: Sequence[str]) -> tuple[Expr, tuple[float, ...]]:
    """An expression over operands of these types, of which the last is the result, whose float32 numbers are
    parameters of the kernel, and these."""
    computed = {*dtypes, *(part.dtype for part in walk(expr) if isinstance(part, Call))}
    return (expr, ()) if "float64" in computed else lifted(fold(expr), len(dtypes) - 1)


def _distinct_inputs(c: Context, node: Node) -> tuple[Expr, list[View]]:
    """The expression over distinct inputs, and these."""
    values = list(dict.fromkeys(node.inputs))
    expr = substitute(expr_attr(node, "expr"), {i: In(values.index(v)) for i, v in enumerate(node.inputs)})
    return expr, [c.input(node, node.inputs.index(v)) for v in values]


def _per_tensor(node: Node, type_: TensorType) -> Quant:
    if type_.quant is None or type_.quant.axis is not None:
        raise EdgeError(f"node {node.name!r} (map) computes with scales per channel; quantize its operands per tensor")
    return type_.quant


def _check_dtype(node: Node, type_: TensorType) -> None:
    if type_.dtype not in map.DTYPES or (type_.quant is not None and type_.dtype not in ("int8", "uint8")):
        kind = "quantized " if type_.quant is not None else ""
        raise EdgeError(
            f"node {node.name!r} (map) computes with {kind}{type_.dtype}; it has kernels for quantized int8 and uint8, "
            f"and for {', '.join(map.DTYPES)}: cast it"
        )


def _space(views: Mapping[str, View]) -> IterationSpace:
    """The common space of `views`, the last of which is the output, the others possibly broadcast to it. Its innermost
    dimension is a row: dense in the output, dense or repeated in the others."""
    shape = list(views.values())[-1].type.shape
    sizes = [v.element for v in views.values()]
    space = collapse(shape, [broadcast_strides(v, shape) for v in views.values()])
    last = [s[-1:] for s in space.strides]
    if last[-1] != (sizes[-1],) or any(step not in ((0,), (size,)) for step, size in zip(last, sizes, strict=True)):
        # rows of one element
        rows = tuple((*s, size) for s, size in zip(space.strides, sizes, strict=True))
        space = IterationSpace((*space.extents, 1), rows)
    return _with_tiles_of_rows(space)


def _with_tiles_of_rows(space: IterationSpace) -> IterationSpace:
    """In all dimensions. Where there is one left for it, the rows in parts of at most a chunk: a tile takes a part."""
    if not 2 <= len(space.extents) < RANK or any(is_symbolic(e) for e in space.extents[-2:]):
        return space.extended(RANK)
    number, count = space.extents[-2:]
    most = max(1, CHUNK // max(LEAST, count))
    part = next(rows for rows in range(most, 0, -1) if number % rows == 0)
    parts = (*space.extents[:-2], number // part, part, count)
    return IterationSpace(parts, tuple((*s[:-2], s[-2] * part, *s[-2:]) for s in space.strides)).extended(RANK, 2)


def _is_dense(space: IterationSpace, operand: int) -> bool:
    return space.strides[operand][-1] != 0


def _rows(c: Context, family: ModuleType, space: IterationSpace) -> Rows:
    return rows_of(space.extents[-1], family.VECTORS * c.target.lanes)


def _walk(
    c: Context, family: ModuleType, spec: KernelSpec, views: Mapping[str, View], params: Mapping[str, int],
    others: Mapping[str, Ref] | None = None, rows: Rowwise | None = None,
) -> None:  # fmt: skip
    """Steps of `spec` over all elements of `views` (operand name -> view, the output last). `params` are those beside
    the iteration space, `others` the operands that are not walked. `rows`: how they compute rows by themselves."""
    space = _space(views)
    outer = space.extents[:-RANK]
    for number, index in enumerate(product(*[each(extent) for extent in outer])):
        operands = dict(others or {})
        for (name, view), steps in zip(views.items(), space.strides, strict=True):
            operands[name] = view.at().plus(sum(i * s for (i, _), s in zip(index, steps, strict=False)))
        walked, tiles = _walk_params(space, list(views))
        tiles *= prod(p for _, p in index)
        c.emit(family, spec, operands, {**walked, **params}, tiles, barrier=number == 0, rows=rows)


def _row_by_row(c: Context, spec: table.TableSpec, x: View, y: View) -> Rowwise | None:
    """How a table is looked up for some rows of an image only, if these have no gaps and are whole vectors."""
    _, _, width, channels = y.dims
    vector = table.NARROW if spec.narrow else table.VECTORS * c.target.lanes
    whole = not any(is_symbolic(extent) for extent in y.dims) and width * channels % vector == 0
    if not whole or x.dims != y.dims or spec.rows != "long" or not x.pixel == y.pixel == channels:
        return None
    return Rowwise(x, y, ALONE, 1, table.ENTRIES, "table")


def _walk_params(space: IterationSpace, names: Sequence[str]) -> tuple[dict[str, int], int]:
    """`kernels.elementwise.params` for the innermost dimensions of `space`, and the number of tiles."""
    e0, e1, e2, count = space.extents[-RANK:]
    chunk = CHUNK if e0 == e1 == e2 == 1 and not always_less(count, CHUNK + 1) else count
    chunks = 1 if chunk is count else ceil_div(count, CHUNK)
    params = {"extent_1": e1, "extent_2": e2, "count": count, "chunk": chunk, "chunks": chunks}
    for name, steps in zip(names, space.strides, strict=True):
        params |= {f"{name}_{i}": step for i, step in enumerate(steps[-RANK:-1])}
    return params, e0 * e1 * chunks
