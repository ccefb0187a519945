"""Merge chains of elementwise operations into one pass over memory.

    %t = map(%x, %z) mul(%0, %1)
    %y = map(%t, %r) add(%0, %1)    ->    %y = map(%x, %z, %r) add(mul(%0, %1), %2)

Intermediate values are unquantized (a rounding to int8 in between is part of the meaning), are read by nothing else,
and have the shape of the result: a small tensor that is broadcast would be computed again for each element of a large
one.
"""

from collections.abc import Callable

import numpy as np

from ..compiler.ir.expr import Const, Expr, In, substitute
from ..compiler.ir.expr_dtypes import infer_dtype
from ..compiler.ir.graph import Graph, Node, Value
from .editor import Editor
from .patterns import MAX_TREE, is_quantized, map_expr, scalar, tree_size

MAX_INPUTS = 4
"""Tensors that a merged map reads: a kernel takes five pointers (compiler/lower/plan.py)."""


Wanted = Callable[[Node, list[Value]], bool]
"""Whether a map that reads what a map before it computes should be merged with it, then reading these inputs."""


def run(graph: Graph) -> bool:
    """Fuse into each map, in order, the maps that feed it."""
    return fuse_maps(graph, lambda node, inputs: True)


def fuse_maps(graph: Graph, wanted: Wanted) -> bool:
    """Do all legal mergers that are `wanted`; scalar constants become literals on the way."""
    editor = Editor(graph)
    for node in editor.nodes():
        if node.op == "map":
            _inline_scalars(editor, node)
            while any(_merge(editor, node, v, wanted) for v in node.inputs):
                pass
    return editor.commit()


def _inline_scalars(editor: Editor, node: Node) -> None:
    """Constants of one element become literals, as far as shape and dtype of the result allow."""
    expr = map_expr(node)
    for value in dict.fromkeys(node.inputs):
        number = scalar(value)
        rest = [v for v in node.inputs if v is not value]
        if number is None or not rest or np.broadcast_shapes(*(v.type.shape for v in rest)) != node.output.type.shape:
            continue
        literal = _renumbered(expr, node.inputs, rest, {value: Const(number)})
        if _dtype(literal, rest) == _dtype(expr, node.inputs):
            expr = literal
            editor.set_inputs(node, rest)
            editor.set_attrs(node, expr=expr)


def _merge(editor: Editor, node: Node, value: Value, wanted: Wanted) -> bool:
    """Compute `value` inside `node` instead of in the map before it; whether that could be done."""
    producer = value.producer
    if producer is None or producer.op != "map" or editor.only_user(value) is not node:
        return False
    if value.type.shape != node.output.type.shape:
        return False
    if any(is_quantized(v.type) for v in (*producer.inputs, value, node.output)):
        return False
    inputs = list(dict.fromkeys(x for v in node.inputs for x in (producer.inputs if v is value else [v])))
    if not wanted(node, inputs):
        return False
    inner = _renumbered(map_expr(producer), producer.inputs, inputs, {})
    expr = _renumbered(map_expr(node), node.inputs, inputs, {value: inner})
    if len(inputs) > max(MAX_INPUTS, len(node.inputs)) or tree_size(expr) > MAX_TREE:
        return False
    editor.set_inputs(node, inputs)
    editor.set_attrs(node, expr=expr)
    editor.erase(producer)
    return True


def _renumbered(expr: Expr, old: list[Value], new: list[Value], replaced: dict[Value, Expr]) -> Expr:
    """`expr` over the inputs `old`, said over the inputs `new`; values of `replaced` become expressions."""
    place = {v: In(i) for i, v in reversed(list(enumerate(new)))}
    return substitute(expr, {i: replaced[v] if v in replaced else place[v] for i, v in enumerate(old)})


def _dtype(expr: Expr, inputs: list[Value]) -> str | None:
    """The dtype of `expr`, None where a literal does not go with its operands."""
    try:
        return infer_dtype(expr, ["float32" if is_quantized(v.type) else v.type.dtype for v in inputs])
    except ValueError:
        return None
