"""Recognise GELU (Hendrycks and Gimpel, 2016) in its parts.

    %d = map(%x) div(%0, sqrt(2))     %e = map(%d) erf(%0)               %s = map(%e) add(%0, 1.0)
    %p = map(%x, %s) mul(%0, %1)      %y = map(%p) mul(%0, 0.5)    ->    %y = map(%x) gelu(%0)

Its factors may come in any order, and some in one map already. A function of its own takes half the operations, and
loses nothing where erf is near -1.
"""

import math
from collections.abc import Container, Iterator

from ..compiler.ir.expr import Call, Const, Expr, In, call, substitute, walk
from ..compiler.ir.graph import Graph, Node, Value
from .editor import Editor
from .patterns import MAX_TREE, is_real, map_expr, scalar, tree_size

PARTS = 8
"""Maps before a product that are looked at: it takes five at most, and there may be some before them."""

OPERANDS = 4
"""Of a map; with more it is none of them."""

PRECISION = 1e-5
"""By which constants may differ from 1 / 2 and sqrt(2), as some models write them."""


def run(graph: Graph) -> bool:
    """Let the last product of every GELU compute it of x."""
    editor = Editor(graph)
    for node in editor.nodes():
        x = _argument(node)
        if x is not None:
            editor.set_inputs(node, [x])
            editor.set_attrs(node, expr=call("gelu", In(0)))
    return editor.commit()


def _argument(node: Node) -> Value | None:
    """What `node` computes GELU of, if it does."""
    if not _is_part(node) or not _calls(node, "mul"):
        return None
    parts = {node: None}
    while len(parts) < PARTS:
        makers = [v.producer for part in parts for v in part.inputs if v.producer and v.producer not in parts]
        found = next(filter(_is_part, makers), None)
        if found is None:
            break
        parts[found] = None
    if not any(_calls(part, "erf") for part in parts):
        return None
    sources = dict.fromkeys(v for part in parts for v in part.inputs if v.type == node.output.type)
    return next((x for x in sources if _is_gelu(_function_of(node.output, x, parts))), None)


def _is_part(node: Node) -> bool:
    return node.op == "map" and len(node.inputs) <= OPERANDS and is_real(node.output.type)


def _calls(node: Node, fn: str) -> bool:
    return any(isinstance(part, Call) and part.fn == fn for part in walk(map_expr(node)))


def _function_of(value: Value, x: Value, parts: Container[Node]) -> Expr | None:
    """What some maps compute of x; None where something else has to do with it."""
    if value is x:
        return In(0)
    number, maker = scalar(value), value.producer
    if number is not None:
        return Const(number)
    if maker is None or maker not in parts or value.type != x.type:
        return None
    operands = {i: _function_of(v, x, parts) for i, v in enumerate(maker.inputs)}
    known = {i: expr for i, expr in operands.items() if expr is not None}
    if len(known) < len(operands) or sum(map(tree_size, known.values())) > MAX_TREE:
        return None
    return substitute(map_expr(maker), known)


def _is_gelu(expr: Expr | None) -> bool:
    """Whether it is the product of %0, 1 / 2 and 1 + erf(%0 / sqrt(2)), in any order."""
    factors = [] if expr is None else list(_factors(expr))
    numbers = [float(f.value) for f in factors if isinstance(f, Const)]
    rest = [f for f in factors if not isinstance(f, Const)]
    if len(rest) != 2 or In(0) not in rest or not _close(math.prod(numbers), 0.5):
        return False
    (share,) = (f for f in rest if f != In(0)) if rest.count(In(0)) == 1 else (None,)
    terms = share.args if isinstance(share, Call) and share.fn == "add" else ()
    (bell,) = (t for t in terms if t != Const(1.0)) if Const(1.0) in terms and terms[0] != terms[1] else (None,)
    return isinstance(bell, Call) and bell.fn == "erf" and _is_scaled(bell.args[0])


def _factors(expr: Expr) -> Iterator[Expr]:
    """Of a product; a quotient by a number is a product with its inverse."""
    if isinstance(expr, Call) and expr.fn == "mul":
        for part in expr.args:
            yield from _factors(part)
    elif isinstance(expr, Call) and expr.fn == "div" and isinstance(expr.args[1], Const) and expr.args[1].value:
        yield from _factors(expr.args[0])
        yield Const(1 / float(expr.args[1].value))
    else:
        yield expr


def _is_scaled(expr: Expr) -> bool:
    """Whether it is %0 / sqrt(2)."""
    factors = list(_factors(expr))
    numbers = [float(f.value) for f in factors if isinstance(f, Const)]
    return len(factors) == len(numbers) + 1 and In(0) in factors and _close(math.prod(numbers), math.sqrt(0.5))


def _close(a: float, b: float) -> bool:
    return math.isclose(a, b, rel_tol=PRECISION)
