"""Recognise activation functions in their parts.

    %t = map(%x) add(%0, 3.0)
    %u = map(%t) min(max(%0, 0.0), 6.0)
    %v = map(%x, %u) mul(%0, %1)
    %y = map(%v, const 6.0) div(%0, %1)    ->    %y = map(%x) div(mul(%0, min(max(add(%0, 3.0), 0.0), 6.0)), 6.0)

So hard-swish, SiLU, GELU ... become one unary map however the model spells them: in int8 a table, after a float
convolution its epilogue. Before quantization nothing more is merged than that, and clamps with what they clamp: sums
and products of two tensors have integer forms of their own, which `fuse_map` would hide; it runs after quantization.
"""

from ..compiler.ir.expr import clamp_bounds
from ..compiler.ir.graph import Graph, Node, Value
from .fuse_map import fuse_maps
from .patterns import map_expr


def run(graph: Graph) -> bool:
    """Merge maps where the result is a function of one tensor, or ends in a clamp."""
    return fuse_maps(graph, _has_integer_form)


def _has_integer_form(node: Node, inputs: list[Value]) -> bool:
    return sum(not v.is_const for v in inputs) == 1 or clamp_bounds(map_expr(node)) is not None
