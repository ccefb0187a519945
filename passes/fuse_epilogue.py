"""Let convolutions and matrix products do what follows them element by element, while the result is in registers.

    %t = conv2d(%x, w, b)
    %y = map(%t) f(%0)                       ->    %y = conv2d(%x, w, b) {activation=f(%0)}

    %t = conv2d(%x, w, b) {activation=f}
    %y = map(%t, %r) g(add(%0, %1))          ->    %y = conv2d(%x, w, b, %r) {activation=f, residual_activation=g}

With quantized types f and g are clamps, and `conv_quant` keeps the quantization of %t: %y has the bytes that it had.
What is added to products of float32 may be repeated, as the mask of attention is.
"""

import numpy as np

from ..compiler.ir.expr import Call, Expr, In, clamp_bounds, walk
from ..compiler.ir.extent import is_symbolic
from ..compiler.ir.graph import Graph, Node, Value
from ..compiler.ops.epilogue import repeats
from .editor import Editor
from .fuse_clamp import fuse_activation
from .patterns import accumulator_quant, is_quantized, is_real, map_expr

ACCUMULATES = ("conv2d", "matmul")
"""Ops that take a residual."""


def run(graph: Graph) -> bool:
    """Fuse activations and residual additions, in the order of the nodes."""
    editor = Editor(graph)
    position = {out: i for i, node in enumerate(graph.nodes) for out in node.outputs}
    for node in editor.nodes():
        if node.op == "map" and not fuse_activation(editor, node):
            _fuse_residual(editor, node, position)
    return editor.commit()


def _fuse_residual(editor: Editor, node: Node, position: dict[Value, int]) -> None:
    after = _around_addition(node)
    if after is None:
        return
    # Of two convolutions the later one takes the addition: then nothing waits for the other.
    pairs = zip(node.inputs, reversed(node.inputs), strict=True)
    candidates = [v for v, other in pairs if _accepts_residual(editor, v, other, node)]
    if not candidates:
        return
    value = max(candidates, key=lambda v: position[v])
    producer = value.producer
    assert producer is not None
    residual = node.inputs[1] if node.inputs[0] is value else node.inputs[0]
    attrs = dict(producer.attrs)
    if is_quantized(value.type):
        attrs["conv_quant"] = value.type.quant
    if after != In(0):
        attrs["residual_activation"] = after
    # In the place of the addition, where the residual exists.
    inputs = [*_with_bias(editor, producer), residual]
    editor.insert(node, Node(producer.op, inputs, node.outputs, attrs, producer.name))
    editor.erase(producer)
    editor.erase(node)


def _around_addition(node: Node) -> Expr | None:
    """g, if `node` is g(add(%0, %1)) of two tensors of the result's kind and of shapes that residuals may have, else
    None."""
    types = [v.type for v in (*node.inputs, node.output)]
    shape = node.output.type.shape
    if len(node.inputs) != 2 or node.inputs[0] is node.inputs[1] or not all(repeats(t.shape, shape) for t in types):
        return None
    quantized = all(t.dtype == "int8" and t.quant is not None for t in types)
    if not quantized and not all(is_real(t) for t in types):
        return None
    after = _replace_addition(map_expr(node))
    reads = [e for e in walk(after) if isinstance(e, In)]
    if any(e.index != 0 for e in reads) or not reads or (quantized and clamp_bounds(after) is None):
        return None
    return after


def _replace_addition(expr: Expr) -> Expr:
    """`expr` with In(0) for `add(%0, %1)`, and In(1) for inputs that stand elsewhere."""
    if isinstance(expr, In):
        return In(1)
    if not isinstance(expr, Call):
        return expr
    if expr.fn == "add" and set(expr.args) == {In(0), In(1)}:
        return In(0)
    return Call(expr.fn, tuple(_replace_addition(a) for a in expr.args), expr.dtype)


def _accepts_residual(editor: Editor, value: Value, residual: Value, node: Node) -> bool:
    producer = value.producer
    if producer is None or producer.op not in ACCUMULATES or len(producer.inputs) > 3:
        return False
    if value.type.shape != node.output.type.shape:
        return False
    if producer.op == "matmul" and is_symbolic(value.type.shape[-1]):
        return False  # there is no bias of as many columns as a run has
    repeated = residual.type.shape != value.type.shape
    return editor.only_user(value) is node and not (repeated and (producer.op != "matmul" or not is_real(value.type)))


def _with_bias(editor: Editor, node: Node) -> list[Value]:
    """The inputs with a bias, zero if there was none: the residual is the fourth."""
    if len(node.inputs) == 3:
        return node.inputs
    x, w = node.inputs
    channels = w.type.shape[0 if node.op == "conv2d" else -1]
    quantized = is_quantized(x.type)
    zeros = np.zeros(channels, np.int32 if quantized else np.float32)
    return [x, w, editor.constant(f"{w.name}_bias", zeros, accumulator_quant(x.type, w.type) if quantized else None)]
