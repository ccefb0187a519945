"""Let convolutions and matrix products do the clamp (relu, relu6, clip) that follows them.

    %t = conv2d(%x, w, b)
    %y = map(%t) max(%0, 0.0)    ->    %y = conv2d(%x, w, b) {activation=max(%0, 0.0)}

Before quantization, so that only the clamped value gets a range; `fuse_epilogue` does the rest after it.
"""

from ..compiler.ir.attributes import activation_attr
from ..compiler.ir.expr import Expr, clamp_bounds, substitute
from ..compiler.ir.graph import Graph, Node
from ..compiler.ir.integer import CONTRACTIONS
from .editor import Editor
from .patterns import MAX_TREE, is_quantized, map_expr, tree_size


def run(graph: Graph) -> bool:
    """Fuse every clamp whose input is used by nothing else."""
    editor = Editor(graph)
    for node in editor.nodes():
        if node.op == "map" and clamp_bounds(map_expr(node)) is not None:
            fuse_activation(editor, node)
    return editor.commit()


def fuse_activation(editor: Editor, node: Node) -> bool:
    """Compute the unary map `node` in the epilogue of the contraction before it, if that gives the same result.

    The types must be equal: a clamp commutes with rounding to the same quantization. Quantized epilogues clamp only,
    and int32 sums have none.
    """
    if len(node.inputs) != 1 or node.inputs[0].type != node.output.type or node.output.type.dtype == "int32":
        return False
    producer = node.inputs[0].producer
    if producer is None or producer.op not in CONTRACTIONS or editor.only_user(producer.output) is not node:
        return False
    name = "residual_activation" if len(producer.inputs) > 3 else "activation"
    before, after = activation_attr(producer, name), map_expr(node)
    expr: Expr = after if before is None else substitute(after, {0: before})
    if tree_size(expr) > MAX_TREE or (is_quantized(node.output.type) and clamp_bounds(expr) is None):
        return False
    editor.set_attrs(producer, **{name: expr})
    editor.take_output(producer, node)
    return True
