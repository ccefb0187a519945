"""Compute the same thing once, and keep equal constants once.

%a = op(%x) {k=1}
%b = op(%x) {k=1}               ->    %a = op(%x) {k=1};   %b's readers read %a
"""

import hashlib
from collections import Counter

from ..compiler.ir.graph import Graph, Node, Value
from .editor import Editor


def run(graph: Graph) -> bool:
    """Merge equal constants, then equal nodes, in one walk."""
    editor = Editor(graph)
    constants: dict[object, Value] = {}
    types = Counter(value.type for value in graph.values() if value.is_const)
    first: dict[Value, Value] = {}
    computed: dict[object, Value] = {}
    for node in editor.nodes():
        for value in node.inputs:
            if types[value.type] > 1 and value.is_const and value not in first:
                first[value] = constants.setdefault(_content(value), value)
        inputs = [first.get(v, v) for v in node.inputs]
        if inputs != node.inputs:
            editor.set_inputs(node, inputs)
        if len(node.outputs) != 1 or node.regions:
            continue
        key = _meaning(node)
        earlier = computed.setdefault(key, node.output)
        if earlier is not node.output:
            computed[key] = editor.replace(node.output, earlier) or earlier
    return editor.commit()


def _content(value: Value) -> object:
    assert value.data is not None
    return value.type, hashlib.blake2b(value.data.tobytes()).digest()


def _meaning(node: Node) -> object:
    # repr tells 0.0 from -0.0 and 1 from 1.0, which equality does not.
    return node.op, tuple(node.inputs), node.output.type, repr(sorted(node.attrs.items()))
