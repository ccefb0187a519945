"""Let products read a computed second operand in the order in which it lies in memory.

    %t = transpose(%k) {perm=(0, 2, 3, 1)}
    %s = matmul(%q, %t)                       ->    %s = matmul(%q, %k) {w_perm=(0, 2, 3, 1)}

Such an operand is packed anyway, from any order.
"""

from ..compiler.ir.attributes import ints_attr
from ..compiler.ir.graph import Graph
from ..compiler.ir.registry import attr
from .editor import Editor


def run(graph: Graph) -> bool:
    """Rewrite every product of a transpose; `dce` removes what nothing reads any more."""
    editor = Editor(graph)
    for node in editor.nodes():
        source = node.inputs[1].producer if node.op == "matmul" else None
        if source is not None and source.op == "transpose" and attr(node, "w_perm") is None:
            x, _, *rest = node.inputs
            editor.set_inputs(node, [x, source.inputs[0], *rest])
            editor.set_attrs(node, w_perm=ints_attr(source, "perm"))
    return editor.commit()
