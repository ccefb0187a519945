"""Write maps of several tensors as the sums, products and tables that int8 has integer forms for.

    %y = map(%a, %b) max(add(mul(%0, sigmoid(%0)), %1), 0.0)

->  %t = map(%a) mul(%0, sigmoid(%0))
    %y = map(%t, %b) max(add(%0, %1), 0.0)

The float passes fuse whatever is elementwise; in int8 a table lookup and an integer addition (which a convolution can
take as its residual) are faster than arithmetic on dequantized values. Maps that are made of anything else stay.
"""

from ..ir.attributes import expr_attr
from ..ir.expr import Call, Const, Expr, In, call, peel_clamp, substitute, walk
from ..ir.graph import Graph, Node, Value
from ..ir.types import TensorType
from ..ops.map import broadcast_shapes
from .names import Names


def split_maps(graph: Graph) -> None:
    """Split every float32 map of two or more variable tensors, in place."""
    nodes: list[Node] = []
    names = Names(graph)
    for node in graph.nodes:
        if node.op == "map" and all(v.type.dtype == "float32" for v in (*node.inputs, *node.outputs)):
            splitter = _Splitter(node, names)
            if splitter.splits(expr_attr(node, "expr")):
                splitter.finish(expr_attr(node, "expr"))
                nodes += splitter.nodes
        nodes.append(node)
    graph.nodes = nodes


class _Splitter:
    """One map under division; `nodes` are the new maps that come before it."""

    def __init__(self, node: Node, names: Names) -> None:
        self.node = node
        self.names = names
        self.nodes: list[Node] = []

    def splits(self, expr: Expr) -> bool:
        """Whether `expr` is clamps, sums and products over terms of one variable tensor each."""
        if len(self._variables(expr)) <= 1:
            return bool(self._variables(expr))
        core = peel_clamp(expr)[0]
        return isinstance(core, Call) and core.fn in ("add", "mul") and all(self.splits(a) for a in core.args)

    def finish(self, expr: Expr) -> None:
        """Leave to the node itself the last sum or product and its clamps."""
        self.node.inputs, self.node.attrs["expr"] = self._step(expr)

    def _step(self, expr: Expr) -> tuple[list[Value], Expr]:
        """`expr` over tensors that hold its operands: one table, or one sum or product with clamps around it."""
        if len(self._variables(expr)) > 1:
            core = peel_clamp(expr)[0]
            assert isinstance(core, Call)
            values = [self._value(a) for a in core.args]
            inputs = list(dict.fromkeys(values))
            return inputs, _replace(expr, core, call(core.fn, *(In(inputs.index(v)) for v in values)))
        used = sorted({e.index for e in walk(expr) if isinstance(e, In)})
        return [self.node.inputs[i] for i in used], substitute(expr, {old: In(new) for new, old in enumerate(used)})

    def _value(self, expr: Expr) -> Value:
        """A tensor that holds `expr`: an input of the node or the output of a new map."""
        inputs, step = self._step(expr)
        if step == In(0):
            return inputs[0]
        out = Value(
            self.names.fresh(self.node.output.name),
            TensorType(broadcast_shapes([v.type.shape for v in inputs]), "float32"),
        )
        self.nodes.append(Node("map", inputs, [out], {"expr": step}, self.node.name))
        return out

    def _variables(self, expr: Expr) -> set[Value]:
        read = (self.node.inputs[e.index] for e in walk(expr) if isinstance(e, In))
        return {v for v in read if not v.is_const}


def _replace(expr: Expr, core: Expr, new: Expr) -> Expr:
    """`expr`, clamps around `core`, with `new` in the place of `core`."""
    if expr is core:
        return new
    assert isinstance(expr, Call)
    return Call(expr.fn, tuple(a if isinstance(a, Const) else _replace(a, core, new) for a in expr.args), expr.dtype)
