"""Remove operations that change nothing, and merge those that say one thing in two steps.

map %0 (same type), reshape to the same shape, identity transpose,
slice of everything, pad by nothing, concat of one, 1x1 pool,
resize and broadcast_to the same shape                                  ->    their input
reshape(reshape(x)), transpose(transpose(x)), slice(slice(x))           ->    one of them
transpose that only moves extents of one, reduce over such extents      ->    reshape
"""

from collections.abc import Callable

from ..compiler.ir.attributes import ints_attr
from ..compiler.ir.graph import Graph, Node
from ..compiler.ir.registry import attr
from .editor import Editor
from .patterns import is_identity


def run(graph: Graph) -> bool:
    """Apply the rules to each node, producers first, so that chains collapse in one walk."""
    editor = Editor(graph)
    for node in editor.nodes():
        if node.op in _MERGE:
            _MERGE[node.op](editor, node)
        rule = _CHANGES_NOTHING.get(node.op)
        if rule is not None and node.output.type == node.inputs[0].type and rule(node):
            editor.replace(node.output, node.inputs[0])
    return editor.commit()


def _always(node: Node) -> bool:
    return True


def _transposes_nothing(node: Node) -> bool:
    return ints_attr(node, "perm") == tuple(range(node.output.type.rank))


def _slices_nothing(node: Node) -> bool:
    return all(s == 1 for s in ints_attr(node, "steps"))


def _pools_nothing(node: Node) -> bool:
    return ints_attr(node, "kernel") == (1, 1) and ints_attr(node, "strides") == (1, 1)


def _resizes_nothing(node: Node) -> bool:
    return attr(node, "scales") == (1.0, 1.0)


def _concatenates_one(node: Node) -> bool:
    return len(node.inputs) == 1


_CHANGES_NOTHING: dict[str, Callable[[Node], bool]] = {
    "map": is_identity,
    "reshape": _always,
    "broadcast_to": _always,
    "pad": _always,
    "transpose": _transposes_nothing,
    "slice": _slices_nothing,
    "concat": _concatenates_one,
    "resize": _resizes_nothing,
    "max_pool2d": _pools_nothing,
    "avg_pool2d": _pools_nothing,
}
"""op -> whether a node whose output has its input's type gives its input back."""


def _merge_reshapes(editor: Editor, node: Node) -> None:
    """The data stay in place, so only the last shape counts."""
    inner = node.inputs[0].producer
    if inner is not None and inner.op == "reshape":
        editor.set_inputs(node, inner.inputs)


def _merge_transposes(editor: Editor, node: Node) -> None:
    inner = node.inputs[0].producer
    perm = ints_attr(node, "perm")
    if inner is not None and inner.op == "transpose":
        first = ints_attr(inner, "perm")
        perm = tuple(first[p] for p in perm)
        editor.set_inputs(node, inner.inputs)
        editor.set_attrs(node, perm=perm)
    x = node.inputs[0].type
    moved = [p for p in perm if x.shape[p] != 1]
    if moved == sorted(moved) and not _transposes_nothing(node):
        _become_reshape(editor, node)


def _merge_slices(editor: Editor, node: Node) -> None:
    inner = node.inputs[0].producer
    if inner is None or inner.op != "slice":
        return
    starts, steps = ints_attr(node, "starts"), ints_attr(node, "steps")
    first_starts, first_steps = ints_attr(inner, "starts"), ints_attr(inner, "steps")
    editor.set_inputs(node, inner.inputs)
    editor.set_attrs(
        node,
        starts=tuple(a + b * s for a, b, s in zip(first_starts, starts, first_steps, strict=True)),
        steps=tuple(a * b for a, b in zip(first_steps, steps, strict=True)),
    )


def _drop_reduction(editor: Editor, node: Node) -> None:
    x = node.inputs[0].type
    of_one = all(x.shape[axis] == 1 for axis in ints_attr(node, "axes"))
    if of_one and attr(node, "kind") in ("sum", "mean", "max", "min", "prod") and x.quant == node.output.type.quant:
        _become_reshape(editor, node)


def _become_reshape(editor: Editor, node: Node) -> None:
    """`node` moves no element in memory: a reshape says so. Scales per channel would lose their dimension."""
    quant = node.inputs[0].type.quant
    if quant is None or quant.axis is None:
        editor.become(node, "reshape", shape=node.output.type.shape)
        _merge_reshapes(editor, node)


_MERGE: dict[str, Callable[[Editor, Node], None]] = {
    "reshape": _merge_reshapes,
    "transpose": _merge_transposes,
    "slice": _merge_slices,
    "reduce": _drop_reduction,
}
