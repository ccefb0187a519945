"""Hand no more to the regions of a node than they need.

    const %k
    %y = if(%c, %x, %k, %z)             ->    %y = if(%c, %x)
      region (%x1, %k1, %z1) { .. %k1 .. }      region (%x1) { .. %k .. }

Constants are read as they are; what no region reads is not handed in, so that nodes which computed it can go.
"""

from ..compiler.ir.graph import Graph, Node, replace_uses
from .editor import Editor


def run(graph: Graph) -> bool:
    """Narrow the inputs of every node with regions."""
    editor = Editor(graph)
    for node in editor.nodes():
        if node.regions:
            _narrow(editor, node)
    return editor.commit()


def _narrow(editor: Editor, node: Node) -> None:
    """Go through the captured values, which are the last inputs of the node and of its regions."""
    own = len(node.regions[0].inputs) - _captured(node)
    first = len(node.inputs) - _captured(node)
    read = [{v for n in region.nodes for v in n.inputs}.union(region.outputs) for region in node.regions]
    kept = []
    for place, value in enumerate(node.inputs[first:], own):
        if value.is_const:
            for region in node.regions:
                replace_uses(region, region.inputs[place], value)
        elif any(region.inputs[place] in used for region, used in zip(node.regions, read, strict=True)):
            kept.append(place)
    if len(kept) == _captured(node):
        return
    editor.set_inputs(node, node.inputs[:first] + [node.inputs[first + place - own] for place in kept])
    for region in node.regions:
        region.inputs = region.inputs[:own] + [region.inputs[place] for place in kept]


def _captured(node: Node) -> int:
    """How many values the node captures: its inputs but the condition, or trips, condition and states."""
    return len(node.inputs) - (1 if node.op == "if" else 2 + len(node.outputs))
