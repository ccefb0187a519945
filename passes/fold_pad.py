"""Let convolutions and pools do the padding in front of them.

    %t = pad(%x) {value=0, pads=(0,0,1,1, 0,0,1,1)}
    %y = conv2d(%t, w, b)                              ->    %y = conv2d(%x, w, b) {pads=(1,1,1,1)}

The padded value must be what the consumer pads with: zero for conv2d and for avg_pool2d with `count_include_pad`.
In a max_pool2d padding never wins, so there the value must not exceed any element that can occur.
"""

import numpy as np

from ..compiler.ir.attributes import activation_attr, bool_attr, float_attr, ints_attr, layout_attr
from ..compiler.ir.expr import Expr, In, peel_clamp
from ..compiler.ir.graph import Graph, Node, Value
from ..compiler.ir.registry import attr
from .editor import Editor
from .patterns import map_expr


def run(graph: Graph) -> bool:
    """Fold pads into their only reader."""
    editor = Editor(graph)
    for node in editor.nodes():
        if node.op in _FOLDABLE:
            _fold(editor, node)
    return editor.commit()


def _fold(editor: Editor, node: Node) -> None:
    pad = node.inputs[0].producer
    if pad is None or pad.op != "pad" or attr(pad, "mode") != "constant":
        return
    if node.inputs.count(pad.output) != 1 or editor.only_user(pad.output) is not node:
        return
    amounts = _spatial_pads(node, ints_attr(pad, "pads"))
    if amounts is None or not _FOLDABLE[node.op](node, pad, amounts):
        return
    pads = tuple(p + q for p, q in zip(ints_attr(node, "pads"), amounts, strict=True))
    editor.set_inputs(node, [pad.inputs[0], *node.inputs[1:]])
    editor.set_attrs(node, pads=pads)
    if node.op == "avg_pool2d":
        editor.set_attrs(node, count_include_pad=True)
    editor.erase(pad)


def _spatial_pads(node: Node, pads: tuple[int, ...]) -> tuple[int, int, int, int] | None:
    """(top, left, bottom, right) if nothing else is padded and nothing is cut off, else None."""
    rank = len(pads) // 2
    h, w = (2, 3) if layout_attr(node) == "NCHW" else (1, 2)
    kept = (h, w, h + rank, w + rank)
    if rank != 4 or any(p < 0 or (p > 0 and i not in kept) for i, p in enumerate(pads)):
        return None
    return pads[h], pads[w], pads[h + rank], pads[w + rank]


def _conv_pads_so(node: Node, pad: Node, amounts: tuple[int, ...]) -> bool:
    return float_attr(pad, "value") == 0


def _avg_pool_pads_so(node: Node, pad: Node, amounts: tuple[int, ...]) -> bool:
    counted = bool_attr(node, "count_include_pad") or not any(ints_attr(node, "pads"))
    return counted and float_attr(pad, "value") == 0 and _is_smaller_than_kernel(node, amounts)


def _max_pool_pads_so(node: Node, pad: Node, amounts: tuple[int, ...]) -> bool:
    """No padded element wins, and every window still holds an element that is not padding."""
    dense = ints_attr(node, "dilations") == (1, 1)
    never_wins = float_attr(pad, "value") <= _lower_bound(pad.inputs[0])
    return dense and never_wins and _is_smaller_than_kernel(node, amounts)


def _is_smaller_than_kernel(node: Node, amounts: tuple[int, ...]) -> bool:
    kernel = ints_attr(node, "kernel")
    return all(p + q < kernel[i % 2] for i, (p, q) in enumerate(zip(ints_attr(node, "pads"), amounts, strict=True)))


def _lower_bound(value: Value) -> float:
    """No element of `value` is smaller than this."""
    producer = value.producer
    if producer is None or producer.op not in ("map", "conv2d"):
        return -np.inf
    if producer.op == "map":
        activation: Expr = map_expr(producer)
    else:
        fused = activation_attr(producer, "residual_activation" if len(producer.inputs) > 3 else "activation")
        activation = In(0) if fused is None else fused
    return peel_clamp(activation)[1]


_FOLDABLE = {"conv2d": _conv_pads_so, "avg_pool2d": _avg_pool_pads_so, "max_pool2d": _max_pool_pads_so}
