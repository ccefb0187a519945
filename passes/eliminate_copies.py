"""Remove copies that another operation makes anyway, or that undo each other.

concat(concat(a, b), c)                    ->    concat(a, b, c)
slice(concat(a, b)) inside a               ->    slice(a)
concat(slice(x, 0..k), slice(x, k..n))     ->    x
map(broadcast_to(x), y)                    ->    map(x, y), as a map broadcasts by itself
"""

from ..compiler.ir.attributes import int_attr, ints_attr
from ..compiler.ir.extent import always_less
from ..compiler.ir.graph import Graph, Node, Value
from ..compiler.ir.types import broadcast_shapes
from .editor import Editor


def run(graph: Graph) -> bool:
    """Apply each rule to each node, producers first."""
    editor = Editor(graph)
    for node in editor.nodes():
        if node.op == "concat":
            _flatten(editor, node)
            _join_slices(editor, node)
        elif node.op == "slice":
            _slice_operand(editor, node)
        elif node.op == "map":
            _drop_broadcasts(editor, node)
    return editor.commit()


def _flatten(editor: Editor, node: Node) -> None:
    axis = int_attr(node, "axis")
    inner = {v: v.producer for v in node.inputs if v.producer is not None and _is_concat(v.producer, axis)}
    inner = {v: concat for v, concat in inner.items() if editor.only_user(v) is node}
    if inner:
        editor.set_inputs(node, [x for v in node.inputs for x in (inner[v].inputs if v in inner else [v])])
        for concat in inner.values():
            editor.erase(concat)


def _is_concat(node: Node, axis: int) -> bool:
    return node.op == "concat" and int_attr(node, "axis") == axis


def _join_slices(editor: Editor, node: Node) -> None:
    """Slices of one tensor that follow each other along the axis, and together are all of it."""
    axis = int_attr(node, "axis")
    sources = {v.producer.inputs[0] for v in node.inputs if v.producer is not None and v.producer.op == "slice"}
    if len(sources) != 1 or any(v.producer is None or v.producer.op != "slice" for v in node.inputs):
        return
    (source,) = sources
    at = 0
    for value in node.inputs:
        assert value.producer is not None
        starts, steps = ints_attr(value.producer, "starts"), ints_attr(value.producer, "steps")
        if starts != tuple(at if i == axis else 0 for i in range(len(starts))) or any(s != 1 for s in steps):
            return
        at += value.type.shape[axis]
    if source.type == node.output.type:
        editor.replace(node.output, source)


def _slice_operand(editor: Editor, node: Node) -> None:
    """A slice that stays inside one operand of a concatenation reads that operand."""
    concat = node.inputs[0].producer
    if concat is None or concat.op != "concat":
        return
    axis = int_attr(concat, "axis")
    starts, steps = ints_attr(node, "starts"), ints_attr(node, "steps")
    extent = node.output.type.shape[axis]
    if extent == 0:
        return
    first, last = (starts[axis], starts[axis] + (extent - 1) * steps[axis])[:: 1 if steps[axis] > 0 else -1]
    begin = 0
    for operand in concat.inputs:
        if always_less(begin - 1, first) and always_less(last, begin + operand.type.shape[axis]):
            editor.set_inputs(node, [operand])
            editor.set_attrs(node, starts=tuple(s - begin if i == axis else s for i, s in enumerate(starts)))
            return
        begin += operand.type.shape[axis]


def _drop_broadcasts(editor: Editor, node: Node) -> None:
    inputs: list[Value] = list(node.inputs)
    for i, value in enumerate(inputs):
        if value.producer is not None and value.producer.op == "broadcast_to":
            narrow = [*inputs[:i], value.producer.inputs[0], *inputs[i + 1 :]]
            if broadcast_shapes([v.type.shape for v in narrow]) == node.output.type.shape:
                inputs = narrow
    if inputs != node.inputs:
        editor.set_inputs(node, inputs)
