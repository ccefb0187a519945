"""Compute at compile time what depends on constants alone.

    const %a, const %b            const %c = op(a, b)
    %c = op(%a, %b)        ->

Dequantized constants stay as they are: `absorb_qdq` wants the integers. So do outputs of the graph, which some node has
to write, and sums of products, whose cost here an untrusted model decides.
"""

from ..compiler.ir.graph import Graph, Node, constant
from ..compiler.ir.integer import CONTRACTIONS
from ..compiler.ir.registry import lookup
from ..compiler.ir.specialize import is_dynamic
from .editor import Editor
from .patterns import is_dequantize

MAX_GROWTH = 1 << 20
"""Bytes that a folded constant may be larger than what it was computed from: a bundle must not swell."""


def run(graph: Graph) -> bool:
    """Fold every node whose inputs are constants."""
    editor = Editor(graph)
    for node in editor.nodes():
        if _is_foldable(node) and not any(editor.is_output(out) for out in node.outputs):
            data = lookup(node.op).reference(node, [v.data for v in node.inputs if v.data is not None])
            for out, array in zip(node.outputs, data, strict=True):
                folded = constant(out.name, array.astype(out.type.dtype, copy=False), out.type.quant)
                for user in editor.users(out):
                    editor.set_inputs(user, [folded if v is out else v for v in user.inputs])
            editor.erase(node)
    return editor.commit()


def _is_foldable(node: Node) -> bool:
    if node.regions or is_dynamic(node) or is_dequantize(node) or node.op in CONTRACTIONS:
        return False
    if not all(v.is_const for v in node.inputs):
        return False
    before, after = (sum(v.type.nbytes for v in values) for values in (node.inputs, node.outputs))
    return after <= before + MAX_GROWTH
