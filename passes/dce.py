"""Remove nodes whose results nobody reads.

%t = op(%x)   # no reader
%y = op(%x)                     ->    %y = op(%x)
"""

from ..compiler.ir.graph import Graph, Value


def run(graph: Graph) -> bool:
    """Keep what the graph's outputs depend on."""
    live: set[Value] = set(graph.outputs)
    kept = []
    for node in reversed(graph.nodes):
        if any(out in live for out in node.outputs):
            kept.append(node)
            live.update(node.inputs)
    modified = len(kept) != len(graph.nodes)
    graph.nodes = kept[::-1]
    return modified
