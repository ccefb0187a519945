"""Let products read computed operands in the order in which they lie in memory.

    %t = transpose(%k) {perm=(0, 2, 3, 1)}
    %s = matmul(%q, %t)                       ->    %s = matmul(%q, %k) {w_perm=(0, 2, 3, 1)}

    %t = transpose(%q) {perm=(0, 2, 1, 3)}
    %s = matmul(%t, %k)                       ->    %s = matmul(%q, %k) {x_perm=(0, 2, 1, 3)}

A second operand is packed anyway, from any order; rows of a first one may lie anywhere.
"""

from ..compiler.ir.attributes import ints_attr
from ..compiler.ir.graph import Graph, Node
from ..compiler.ir.registry import attr
from .editor import Editor


def run(graph: Graph) -> bool:
    """Rewrite every product of a transpose; `dce` removes what nothing reads any more."""
    editor = Editor(graph)
    for node in editor.nodes():
        if node.op == "matmul":
            for number, name in enumerate(("x_perm", "w_perm")):
                _absorb(editor, node, number, name)
    return editor.commit()


def _absorb(editor: Editor, node: Node, number: int, name: str) -> None:
    source = node.inputs[number].producer
    if source is None or source.op != "transpose" or attr(node, name) is not None:
        return
    perm = ints_attr(source, "perm")
    if name == "x_perm" and perm[-1] != len(perm) - 1:
        return
    editor.set_inputs(node, [source.inputs[0] if i == number else v for i, v in enumerate(node.inputs)])
    editor.set_attrs(node, **{name: perm})
