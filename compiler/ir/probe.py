"""Whether code that computes with extents has kept their terms: run with other integer values, it must do the same.

What goes astray is an extent that became an ordinary integer on the way, through `int()`, `range()` or numpy: it has
the largest value for good. In a second run inside `probing()` it has the smallest, and the results differ.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from ...errors import EdgeError
from .extent import at, is_symbolic
from .graph import Graph, Node, Value
from .specialize import is_dynamic


@contextmanager
def probing() -> Iterator[None]:
    """Extents made inside have the value for the smallest values of their symbols."""
    with at(lambda symbol: symbol.low):
        yield


def is_ranged(graph: Graph) -> bool:
    """Whether extents of the graph change from run to run."""
    inputs = any(is_symbolic(d) for value in graph.inputs for d in value.type.shape)
    return inputs or any(map(is_dynamic, graph.nodes))


def lost(name: str) -> EdgeError:
    """The error that names the node whose extents were lost."""
    return EdgeError(f"node {name!r} cannot be compiled for a range of shapes, only for one shape: fix its extents")


def require_same(graph: Graph, probe: Graph) -> None:
    """EdgeError names the first node of `graph` in which `probe`, made by the same code while `probing()`, differs."""
    for node, other in zip(graph.nodes, probe.nodes, strict=False):
        if not _same_node(node, other):
            raise lost(node.name)
    if len(graph.nodes) != len(probe.nodes):
        raise lost(max(graph.nodes, probe.nodes, key=len)[-1].name)
    for value, other_value in zip(graph.outputs, probe.outputs, strict=True):
        if not _same_value(value, other_value):
            raise lost(value.name)


def _same_node(a: Node, b: Node) -> bool:
    if (a.op, a.name, a.attrs) != (b.op, b.name, b.attrs):
        return False
    if not (_same_values(a.inputs, b.inputs) and _same_values(a.outputs, b.outputs)):
        return False
    for left, right in zip(a.regions, b.regions, strict=True):
        require_same(left, right)
    return True


def _same_values(a: Iterable[Value], b: Iterable[Value]) -> bool:
    left, right = list(a), list(b)
    return len(left) == len(right) and all(map(_same_value, left, right))


def _same_value(a: Value, b: Value) -> bool:
    if (a.name, a.type) != (b.name, b.type):
        return False
    if a.data is None or b.data is None or a.data is b.data:
        return (a.data is None) == (b.data is None)
    return a.data.tobytes() == b.data.tobytes()
