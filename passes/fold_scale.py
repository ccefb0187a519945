"""Fold scales and shifts per channel (batch normalization, biases, input normalization) into weights and bias.

    %t = conv2d(%x, w, b)
    %y = map(%t, s, d) add(mul(%0, %1), %2)    ->    %y = conv2d(%x, w * s, b * s + d)

    %t = map(%x, s, d) add(mul(%0, %1), %2)
    %y = conv2d(%t, w, b)                      ->    %y = conv2d(%x, w * s, b + sum(w * d))

    %t = map(%x, s, d) add(mul(%0, %1), %2)
    %y = map(%t, f) mul(%0, %1)                ->    %y = map(%x, s * f, d * f) add(mul(%0, %1), %2)

The second form needs a convolution without padding, or a shift of zero: the padding is not shifted. Both hold
for conv_transpose2d (the first form only) and matmul with constant weights; float32 only; not across an activation.
"""

import numpy as np

from ..compiler.ir.attributes import activation_attr, int_attr, ints_attr, layout_attr
from ..compiler.ir.expr import In, call
from ..compiler.ir.graph import Array, Graph, Node, Value
from ..compiler.ir.integer import CONTRACTIONS
from .affine import channel_axis, match_affine
from .editor import Editor
from .patterns import is_real


def run(graph: Graph) -> bool:
    """Fold every affine map whose neighbour has weights to take it, chains of them too."""
    editor = Editor(graph)
    for node in editor.nodes():
        if node.op == "map":
            _fold_into_producer(editor, node)
    for node in editor.reversed_nodes():
        if node.op == "map":
            _fold_into_consumer(editor, node)
    return editor.commit()


def _fold_into_producer(editor: Editor, node: Node) -> None:
    for value in node.inputs:
        producer = value.producer
        if producer is None or editor.only_user(value) is not node:
            continue
        if producer.op == "map":
            _compose(editor, producer, node)
        elif _has_float_weights(producer):
            _scale_outputs(editor, producer, node)


def _scale_outputs(editor: Editor, producer: Node, node: Node) -> None:
    """The affine map `node` as part of the contraction before it."""
    if len(producer.inputs) > 3 or activation_attr(producer, "activation") is not None:
        return
    axis = _output_channel_axis(producer)
    affine = match_affine(node, axis)
    if affine is None:
        return
    channels = producer.output.type.shape[axis]
    scale, shift = (np.broadcast_to(a, (channels,)) for a in (affine.scale, affine.shift))
    weights = _weights(producer) * _along_outputs(producer, scale)
    _set_weights(editor, producer, producer.inputs[0], weights, _bias(producer, channels) * scale + shift)
    editor.take_output(producer, node)


def _compose(editor: Editor, producer: Node, node: Node) -> None:
    """Two affine maps as one; those of numbers alone are left to `fuse_map`."""
    axis = channel_axis(node) if channel_axis(node) is not None else channel_axis(producer)
    first, second = (None, None) if axis is None else (match_affine(n, axis) for n in (producer, node))
    if axis is None or first is None or second is None:
        return
    shape = [1] * node.output.type.rank
    shape[axis] = node.output.type.shape[axis]
    operands = {"scale": first.scale * second.scale, "shift": first.shift * second.scale + second.shift}
    constants = []
    for what, entries in operands.items():
        data = np.broadcast_to(entries, (shape[axis],)).reshape(shape).astype(np.float32)
        constants.append(editor.constant(f"{node.output.name}_{what}", data))
    editor.set_inputs(node, [first.x, *constants])
    editor.set_attrs(node, expr=call("add", call("mul", In(0), In(1)), In(2)))
    editor.erase(producer)


def _fold_into_consumer(editor: Editor, node: Node) -> None:
    consumer = editor.only_user(node.output)
    if consumer is None or consumer.op not in ("conv2d", "matmul") or not _has_float_weights(consumer):
        return
    if consumer.inputs.count(node.output) != 1 or consumer.inputs[0] is not node.output:
        return
    affine = match_affine(node, _input_channel_axis(consumer))
    if affine is None or (affine.shift.any() and consumer.op == "conv2d" and any(ints_attr(consumer, "pads"))):
        return
    weights = _weights(consumer)
    scale, shift = (_along_inputs(consumer, node.output.type.shape, a) for a in (affine.scale, affine.shift))
    channels = consumer.output.type.shape[_output_channel_axis(consumer)]
    bias = _bias(consumer, channels) + _sum_over_inputs(consumer, weights * shift)
    _set_weights(editor, consumer, affine.x, weights * scale, bias)
    editor.erase(node)


def _has_float_weights(node: Node) -> bool:
    """Constant float32 weights of the common rank, and a constant bias if any."""
    if node.op not in CONTRACTIONS or not all(is_real(v.type) for v in [*node.inputs, *node.outputs]):
        return False
    constant = node.inputs[1].is_const and all(v.is_const for v in node.inputs[2:3])
    return constant and (node.op != "matmul" or node.inputs[1].type.rank == 2)


def _output_channel_axis(node: Node) -> int:
    return node.output.type.rank - 1 if node.op == "matmul" or layout_attr(node) == "NHWC" else 1


def _input_channel_axis(node: Node) -> int:
    return node.inputs[0].type.rank - 1 if node.op == "matmul" or layout_attr(node) == "NHWC" else 1


def _weights(node: Node) -> Array:
    data = node.inputs[1].data
    assert data is not None
    return data.astype(np.float64)


def _bias(node: Node, channels: int) -> Array:
    bias = node.inputs[2].data if len(node.inputs) > 2 else None
    return np.zeros(channels) if bias is None else bias.astype(np.float64)


def _along_outputs(node: Node, scale: Array) -> Array:
    """A factor per output channel, shaped to multiply the weights."""
    if node.op == "conv2d":
        return scale.reshape(-1, 1, 1, 1)
    if node.op == "matmul":
        return scale
    inputs, per_group = node.inputs[1].type.shape[:2]
    groups = int_attr(node, "groups")
    by_group = scale.reshape(groups, 1, per_group)
    return np.broadcast_to(by_group, (groups, inputs // groups, per_group)).reshape(inputs, per_group, 1, 1)


def _along_inputs(node: Node, x_shape: tuple[int, ...], factor: Array) -> Array:
    """A factor per input channel, shaped to multiply the weights of a conv2d [O, C/g, kh, kw] or matmul [K, N]."""
    channels = np.broadcast_to(factor, (x_shape[_input_channel_axis(node)],))
    if node.op == "matmul":
        return channels.reshape(-1, 1)
    groups = int_attr(node, "groups")
    outputs = node.inputs[1].type.shape[0]
    by_output = np.repeat(channels.reshape(groups, -1), outputs // groups, axis=0)
    return by_output.reshape(outputs, -1, 1, 1)


def _sum_over_inputs(node: Node, weights: Array) -> Array:
    total: Array = weights.sum(axis=0 if node.op == "matmul" else (1, 2, 3))
    return total


def _set_weights(editor: Editor, node: Node, x: Value, weights: Array, bias: Array) -> None:
    old = node.inputs[1]
    w = editor.revised(node, old, weights.astype(np.float32))
    if len(node.inputs) > 2:
        b = editor.revised(node, node.inputs[2], bias.astype(np.float32))
    else:
        b = editor.constant(f"{old.name}_bias", bias.astype(np.float32))
    editor.set_inputs(node, [x, w, b, *node.inputs[3:]])
