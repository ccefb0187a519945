"""map -> the elementwise kernels."""

from collections.abc import Sequence

import numpy as np

from ...errors import EdgeError
from ..ir.attributes import expr_attr
from ..ir.expr import Expr, In, substitute
from ..ir.graph import Node
from ..kernels import arith, map, table
from ..ops import quantized
from ..ops.map import integer_form
from .buffers import View
from .context import Context, lowering
from .conv import add_params
from .iteration import Space, broadcast_strides, collapse, extend
from .pack import float_bits

CHUNK = 8192
"""Elements of a tile of a dense tensor."""


@lowering("map")
def lower_map(c: Context, node: Node) -> None:
    """A table, an integer sum or product, or generated code: whatever form the arithmetic contract gives the map."""
    form = integer_form(node)
    if form is None:
        _generated(c, node)
    elif form.kind == "table":
        _table(c, node)
    else:
        _integer(c, node, form.kind, form.lo, form.hi)


def _table(c: Context, node: Node) -> None:
    x, y = c.input(node, 0), c.views[node.output]
    entries = quantized.map_table(expr_attr(node, "expr"), node.inputs[0].type, node.output.type)
    # entry i is for the code i - 128: of an unsigned input that is the byte i + 128
    if node.inputs[0].type.dtype == "uint8":
        entries = np.roll(entries, 128)
    spec = table.TableSpec()
    space = _space([x, y], y)
    operands = [x.at(), c.weights.add(entries.tobytes()), y.at()]
    params, tiles = walk(space, ("x", "y"))
    c.emit(table, spec, operands, params, tiles)


def _integer(c: Context, node: Node, kind: str, low: int, high: int) -> None:
    a, b, y = c.input(node, 0), c.input(node, 1), c.views[node.output]
    qa, qb, qy = node.inputs[0].type.quant, node.inputs[1].type.quant, node.output.type.quant
    assert qa is not None and qb is not None and qy is not None
    if a.type.shape != y.type.shape:  # the kernels broadcast b only; both forms are symmetric
        a, b, qa, qb = b, a, qb, qa
    if a.type.shape != y.type.shape:
        raise EdgeError(f"node {node.name!r}: both operands of an int8 {kind} are broadcast; only one may be")
    space = _space([a, b, y], y)
    spec = arith.ArithSpec("add" if kind == "add" else "mul", b_dense=space.strides[1][-1] != 0)
    params, tiles = walk(space, ("a", "b", "y"))
    if kind == "add":
        params |= add_params(qa, qb, qy, low, high)
    else:
        (za, zb, zy) = (quantized.scalar(q)[1] for q in (qa, qb, qy))
        multiplier = float_bits(float(quantized.mul_multiplier(qa, qb, qy)))
        params |= {"a_zero_point": za, "b_zero_point": zb, "multiplier": multiplier, "zero_point": zy}
        params |= {"low": low, "high": high}
    c.emit(arith, spec, [a.at(), b.at(), y.at()], params, tiles)


def _generated(c: Context, node: Node) -> None:
    y = c.views[node.output]
    expr, sources = _distinct_inputs(node)
    views = [c.input(node, i) for i in sources]
    if len(views) > map.MAX_INPUTS:
        raise EdgeError(f"node {node.name!r}: a map of {len(views)} tensors; at most {map.MAX_INPUTS} are supported")
    space = _space([*views, y], y)
    operands = [_operand(v, steps[-1] != 0) for v, steps in zip([*views, y], space.strides, strict=True)]
    spec = map.MapSpec(expr, tuple(operands[:-1]), operands[-1])
    names = [*map.OPERANDS[: len(views)], "y"]
    params, tiles = walk(space, names)
    for name, view in zip(names, [*views, y], strict=True):
        if view.type.quant is not None:
            scale, zero = quantized.scalar(view.type.quant)
            params |= {f"{name}_scale": float_bits(scale), f"{name}_zero_point": _kernel_zero(view, zero)}
    refs = [v.at() for v in views]
    c.emit(map, spec, [*refs, *[None] * (map.MAX_INPUTS - len(refs)), y.at()], params, tiles)


def _kernel_zero(view: View, zero: int) -> int:
    """The kernels read and write unsigned codes as signed ones, 128 lower."""
    return zero - 128 if view.type.dtype == "uint8" else zero


def _distinct_inputs(node: Node) -> tuple[Expr, list[int]]:
    """The expression over distinct inputs, and which of the node's inputs those are."""
    first = {v: node.inputs.index(v) for v in node.inputs}
    kept = sorted(set(first.values()))
    renumbered = {i: In(kept.index(first[v])) for i, v in enumerate(node.inputs)}
    return substitute(expr_attr(node, "expr"), dict(renumbered)), kept


def _operand(view: View, dense: bool) -> map.MapOperand:
    return map.MapOperand(view.type.dtype, view.type.quant is not None, dense)


def _space(views: Sequence[View], output: View) -> Space:
    """The common iteration space of `views`, all but the last possibly broadcast to `output`: four dimensions, the
    last being a row of elements."""
    shape = output.type.shape
    space = collapse(shape, [broadcast_strides(v, shape) for v in views])
    sizes = [v.element for v in views]
    if not space.extents or any(s[-1] not in (0, e) for s, e in zip(space.strides, sizes, strict=True)) or (
        space.strides[-1][-1] == 0
    ):
        # the innermost dimension is not dense in the output: rows of one element
        ones = tuple((*s, e) for s, e in zip(space.strides, sizes, strict=True))
        space = Space((*space.extents, 1), ones)
    if len(space.extents) > 4:
        raise EdgeError(f"a map broadcasts in {len(space.extents)} dimensions; at most 4 are supported")
    return extend(space, 4)


def walk(space: Space, streams: Sequence[str]) -> tuple[dict[str, int], int]:
    """`kernels.elementwise.params` for `space`, whose operands are called `streams`; and the number of tiles."""
    e0, e1, e2, count = space.extents
    chunk = CHUNK if e0 == e1 == e2 == 1 and count > CHUNK else count
    chunks = -(-count // chunk) if count else 1
    params = {"extent_1": e1, "extent_2": e2, "count": count, "chunk": max(chunk, 1), "chunks": chunks}
    for stream, steps in zip(streams, space.strides, strict=True):
        params |= {f"{stream}_{i}": steps[i] for i in range(3)}
    return params, max(e0 * e1 * chunks, 1)
