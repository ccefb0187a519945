"""Lay the tensors of spatial operations out as NHWC, which the kernels take, and let no transpose in between survive.

    %t = conv2d(%x, w) {layout=NCHW}           %x1 = transpose(%x) {perm=(0,2,3,1)}
    %u = map(%t) f(%0)                         %t  = conv2d(%x1, w) {layout=NHWC}
    %y = max_pool2d(%u) {layout=NCHW}    ->    %u  = map(%t) f(%0)
                                               %y1 = max_pool2d(%u) {layout=NHWC}
                                               %y  = transpose(%y1) {perm=(0,3,1,2)}

One walk in the order of the nodes. Operations that don't care (map, concat, slice, pad, reduce, softmax, transpose,
reshape) work in the order in which their operands are stored, with axes and constants rewritten; others get the model's
order.
A transpose of the model is no work but another name for what is stored, and a reshape that splits or joins dimensions
within the stored order stays one: channel shuffles and flattened 1x1 planes need no way back to NCHW.
"""

from collections.abc import Callable, Mapping

from ..compiler.ir.attributes import bool_attr, int_attr, ints_attr, layout_attr
from ..compiler.ir.extent import Undecided, largest
from ..compiler.ir.graph import Graph, Node, Value
from ..compiler.ir.types import Quant, TensorType
from .editor import Editor
from .layouts import Layouts, Perm, identity, permute

NHWC: Perm = (0, 2, 3, 1)
"""The order of the stored dimensions in terms of NCHW."""

_SPATIAL = ("conv2d", "conv_transpose2d", "max_pool2d", "avg_pool2d", "resize", "lrn", "roi_align")


def run(graph: Graph) -> bool:
    """Rewrite every node; transposes remain where both orders are needed."""
    editor = Editor(graph)
    layouts = Layouts(editor)
    for node in editor.nodes():
        rule = _RULES.get(node.op, _in_order)
        rule(editor, layouts, node)
    for value in dict.fromkeys(graph.outputs):
        layouts.give_out(value)
    return editor.commit()


def _in_order(editor: Editor, layouts: Layouts, node: Node) -> None:
    """An operation whose dimensions have their place: everything as the model says."""
    _rewrite(editor, layouts, node, identity)


def _rewrite(editor: Editor, layouts: Layouts, node: Node, perm_of: Callable[[int], Perm]) -> None:
    inputs = [layouts.get(v, perm_of(v.type.rank), node) for v in node.inputs]
    if inputs != node.inputs:
        editor.set_inputs(node, inputs)


def _spatial(editor: Editor, layouts: Layouts, node: Node) -> None:
    if layout_attr(node) == "NHWC":
        return _in_order(editor, layouts, node)
    # data and residual; weights and bias are as the model says, also where they are computed
    inputs = [layouts.get(v, NHWC if i in (0, 3) else identity(v.type.rank), node) for i, v in enumerate(node.inputs)]
    editor.set_inputs(node, inputs)
    editor.set_attrs(node, layout="NHWC")
    layouts.put(node.output, node, NHWC)


def _map(editor: Editor, layouts: Layouts, node: Node) -> None:
    """Operands of the result's rank vote; smaller ones get leading ones, constants are permuted."""
    rank = node.output.type.rank
    perm = _vote(layouts, [v for v in node.inputs if v.type.rank == rank])
    if perm != identity(rank):
        stored = {v: _stored_operand(editor, layouts, v, perm, node) for v in dict.fromkeys(node.inputs)}
        editor.set_inputs(node, [stored[v] for v in node.inputs])
        layouts.put(node.output, node, perm)
    else:
        _in_order(editor, layouts, node)


def _stored_operand(editor: Editor, layouts: Layouts, value: Value, perm: Perm, node: Node) -> Value:
    """`value`, of the result's rank or less, so that it broadcasts against tensors stored in the order `perm`."""
    rank = value.type.rank
    if rank == len(perm):
        return layouts.get(value, perm, node)
    if value.type.size == 1:
        return layouts.get(value, identity(rank), node)
    type = _with_leading_ones(value.type, len(perm))
    if value.data is not None:
        widened = editor.revised(node, value, value.data.reshape(type.shape), type.quant)
    else:
        widened = editor.value(f"{value.name}_widened", type)
        inputs = [layouts.get(value, identity(rank), node)]
        editor.insert(node, Node("reshape", inputs, [widened], {"shape": type.shape}, node.name))
    return layouts.get(widened, perm, node)


def _with_leading_ones(type: TensorType, rank: int) -> TensorType:
    quant, more = type.quant, rank - type.rank
    if quant is not None and quant.axis is not None:
        quant = Quant(quant.scale, quant.zero_point, quant.axis + more)
    return TensorType((1,) * more + type.shape, type.dtype, quant)


def _vote(layouts: Layouts, operands: list[Value]) -> Perm:
    """The order in which most elements of the operands are stored; another than the model's if that is a draw."""
    votes: dict[Perm, int] = {}
    for value in operands:
        if not value.is_const:
            for perm in layouts.perms(value):
                votes[perm] = votes.get(perm, 0) + largest(value.type.size)
    rank = operands[0].type.rank if operands else 0
    return max(votes, key=lambda perm: (votes[perm], perm != identity(rank)), default=identity(rank))


def _one_axis(editor: Editor, layouts: Layouts, node: Node) -> None:
    """concat and softmax."""
    perm = _vote(layouts, node.inputs)
    axis = perm.index(int_attr(node, "axis"))
    _in_perm(editor, layouts, node, perm)
    if perm != identity(len(perm)):
        editor.set_attrs(node, axis=axis)


def _slice(editor: Editor, layouts: Layouts, node: Node) -> None:
    perm = _vote(layouts, node.inputs)
    starts, steps = (permute(ints_attr(node, name), perm) for name in ("starts", "steps"))
    _in_perm(editor, layouts, node, perm)
    if perm != identity(len(perm)):
        editor.set_attrs(node, starts=starts, steps=steps)


def _pad(editor: Editor, layouts: Layouts, node: Node) -> None:
    perm = _vote(layouts, node.inputs)
    pads = ints_attr(node, "pads")
    rank = len(perm)
    _in_perm(editor, layouts, node, perm)
    if perm != identity(rank):
        editor.set_attrs(node, pads=permute(pads[:rank], perm) + permute(pads[rank:], perm))


def _broadcast_to(editor: Editor, layouts: Layouts, node: Node) -> None:
    if node.inputs[0].type.rank != node.output.type.rank:
        return _in_order(editor, layouts, node)
    perm = _vote(layouts, node.inputs)
    shape = permute(ints_attr(node, "shape"), perm)
    _in_perm(editor, layouts, node, perm)
    if perm != identity(len(perm)):
        editor.set_attrs(node, shape=shape)


def _in_perm(editor: Editor, layouts: Layouts, node: Node, perm: Perm) -> None:
    """All inputs and the output, of one rank, in one order."""
    _rewrite(editor, layouts, node, lambda rank: perm)
    layouts.put(node.output, node, perm)


def _reduce(editor: Editor, layouts: Layouts, node: Node) -> None:
    perm = _vote(layouts, node.inputs)
    rank = len(perm)
    if perm == identity(rank):
        return _in_order(editor, layouts, node)
    axes = [a % rank for a in ints_attr(node, "axes")]
    _rewrite(editor, layouts, node, lambda rank: perm)
    editor.set_attrs(node, axes=tuple(sorted(perm.index(a) for a in axes)))
    if bool_attr(node, "keepdims"):
        layouts.put(node.output, node, perm)
    else:
        kept = [a for a in range(rank) if a not in axes]
        layouts.put(node.output, node, tuple(kept.index(a) for a in perm if a in kept))


def _transpose(editor: Editor, layouts: Layouts, node: Node) -> None:
    layouts.alias(node.output, node.inputs[0], ints_attr(node, "perm"))
    editor.erase(node)


def _reshape(editor: Editor, layouts: Layouts, node: Node) -> None:
    """Split and join dimensions where they are stored; dimensions to be joined are first brought together."""
    x, y = node.inputs[0], node.output
    groups = _groups(x.type.shape, y.type.shape)
    stored = layouts.perms(x)[0]
    per_channel = x.type.quant is not None and x.type.quant.axis is not None
    if groups is None or per_channel or stored == identity(x.type.rank):
        return _in_order(editor, layouts, node)
    groups.sort(key=lambda group: max(stored.index(axis) for axis in group[0]))
    wanted = [axis for before, _ in groups for axis in before]
    if wanted == [axis for axis in stored if x.type.shape[axis] != 1]:
        source = layouts.get(x, stored, node)
    else:
        source = layouts.get(x, _with_ones(wanted, x.type.rank), node)
    perm = _with_ones([axis for _, after in groups for axis in after], y.type.rank)
    editor.set_inputs(node, [source])
    editor.set_attrs(node, shape=permute(y.type.shape, perm))
    layouts.put(y, node, perm)


Group = tuple[list[int], list[int]]
"""Dimensions before and after a reshape that hold the same elements; extents of one belong to no group."""


def _groups(before: tuple[int, ...], after: tuple[int, ...]) -> list[Group] | None:
    """The smallest groups of dimensions between which elements do not move; None for tensors without elements, or where
    the groups differ from run to run."""
    if 0 in before:
        return None
    try:
        return _matched(before, after)
    except Undecided:
        return None


def _matched(before: tuple[int, ...], after: tuple[int, ...]) -> list[Group]:
    left = [axis for axis, extent in enumerate(before) if extent != 1]
    right = [axis for axis, extent in enumerate(after) if extent != 1]
    groups: list[Group] = []
    i = j = 0
    while i < len(left):
        group: Group = ([left[i]], [right[j]])
        have, want = before[left[i]], after[right[j]]
        i, j = i + 1, j + 1
        while have != want:
            if have < want:
                have *= before[left[i]]
                group[0].append(left[i])
                i += 1
            else:
                want *= after[right[j]]
                group[1].append(right[j])
                j += 1
        groups.append(group)
    return groups


def _with_ones(order: list[int], rank: int) -> Perm:
    """`order` of some dimensions, with the others (of extent one) each put behind its neighbour."""
    perm = list(order)
    for axis in range(rank):
        if axis not in order:
            perm.insert(perm.index(axis - 1) + 1 if axis else 0, axis)
    return tuple(perm)


_Rule = Callable[[Editor, Layouts, Node], None]

_RULES: Mapping[str, _Rule] = {
    "map": _map,
    "concat": _one_axis,
    "softmax": _one_axis,
    "slice": _slice,
    "pad": _pad,
    "reduce": _reduce,
    "broadcast_to": _broadcast_to,
    "transpose": _transpose,
    "reshape": _reshape,
    **dict.fromkeys(_SPATIAL, _spatial),
}
