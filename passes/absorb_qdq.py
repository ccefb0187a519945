"""Turn float operations between dequantize and quantize maps into operations on quantized types.

    %xf = map(%x) %0                        # int8 -> float32
    %wf = map(const w) %0
    %yf = conv2d(%xf, %wf)           ->    %y = conv2d(%x, const w)      # int8 -> int8
    %y = map(%yf) %0                        # float32 -> int8

Three walks:
1. a quantize map moves up over operations that only move elements, to the operation that computes them;
2. operations take the integers behind dequantize maps and give those of the quantize map that follows; operations that
   only move elements let a dequantize map pass behind them; dequantize, then quantize becomes one map, or nothing;
3. constants whose integers nobody took are dequantized for good.
What does not fit stays in float: slower, and just as right.
"""

import numpy as np

from ..compiler.ir.attributes import float_attr, int_attr
from ..compiler.ir.expr import In
from ..compiler.ir.graph import Array, Graph, Node, Value, constant
from ..compiler.ir.integer import CONTRACTIONS, has_integer_form, keeps_quantization, only_moves
from ..compiler.ir.registry import lookup
from ..compiler.ir.types import Quant, TensorType
from .editor import Editor
from .patterns import accumulator_quant, is_dequantize, is_quantize, is_real

INT32_MAX = 2**31 - 1


def run(graph: Graph) -> bool:
    """Make integer operations of all float ones that have the types for it."""
    walks = [_raise_quantize(graph), _absorb(graph), _dequantize_constants(graph)]
    return any(walks)


# Walk 1


def _raise_quantize(graph: Graph) -> bool:
    editor = Editor(graph)
    for node in editor.reversed_nodes():
        pending = [node] if is_quantize(node) else []
        while pending:
            pending += _raise(editor, pending.pop())
    return editor.commit()


def _raise(editor: Editor, quantize: Node) -> list[Node]:
    """Quantize the operands of a move instead of its result; the new quantize maps."""
    moved = quantize.inputs[0]
    move = moved.producer
    if move is None or not _only_moves(move) or editor.only_user(moved) is not quantize:
        return []
    operands = _operands(move)
    quant = quantize.output.type.quant
    assert quant is not None
    if quant.axis is not None or not all(_may_quantize(editor, v, move) for v in operands):
        return []
    raised = [_quantized_copy(editor, v, quant, move) for v in dict.fromkeys(operands)]
    integers = {node.inputs[0]: node.output for node in raised}
    editor.set_inputs(move, [integers.get(v, v) for v in move.inputs])
    editor.take_output(move, quantize)
    return raised


def _may_quantize(editor: Editor, value: Value, move: Node) -> bool:
    """Whether a quantize map of `value` costs no more than one of what `move` makes of it."""
    if value.is_const or editor.only_user(value) is move:
        return True
    return is_dequantize(value.producer) and _is_activation(_behind(value).type)  # from codes to codes, by table


def _quantized_copy(editor: Editor, value: Value, quant: Quant, before: Node) -> Node:
    out = editor.value(f"{value.name}_quantized", TensorType(value.type.shape, "int8", quant))
    return editor.insert(before, Node("map", [value], [out], {"expr": In(0)}, before.name))


# Walk 2


def _absorb(graph: Graph) -> bool:
    editor = Editor(graph)
    for node in editor.nodes():
        if is_quantize(node):
            _cancel(editor, node)
        elif _computes_on_integers(node):
            _absorb_computation(editor, node)
        elif _only_moves(node):
            _lower_dequantize(editor, node)
    return editor.commit()


def _cancel(editor: Editor, quantize: Node) -> None:
    """quantize(dequantize(x)) is a map from one quantization to the other, or x."""
    if not is_dequantize(quantize.inputs[0].producer):
        return
    x = _behind(quantize.inputs[0])
    if x.type != quantize.output.type or editor.replace(quantize.output, x) is None:
        editor.set_inputs(quantize, [x])


def _absorb_computation(editor: Editor, node: Node) -> None:
    quantize = editor.only_user(node.output)
    if not is_quantize(quantize) or quantize is None or not _is_activation(quantize.output.type):
        return
    if node.op in CONTRACTIONS:
        inputs = _contraction_inputs(editor, node)
    elif node.op == "map":
        inputs = _map_inputs(node)
    else:
        inputs = _first_input(node)
        if keeps_quantization(node) and inputs and inputs[0].type.quant != quantize.output.type.quant:
            return
    if inputs:
        editor.set_inputs(node, inputs)
        editor.take_output(node, quantize)


def _first_input(node: Node) -> list[Value] | None:
    """The integers behind the first input, then the others as they are: constants, such as a scale and a bias."""
    x, *rest = node.inputs
    return [_behind(x), *rest] if is_dequantize(x.producer) and _is_activation(_behind(x).type) else None


def _map_inputs(node: Node) -> list[Value] | None:
    """The integers behind all inputs but constants, or what it reads now if all of that is float."""
    variable = [v for v in node.inputs if not _is_known(v)]
    if not any(is_dequantize(v.producer) for v in variable):
        return node.inputs
    if not all(is_dequantize(v.producer) and _is_activation(_behind(v).type) for v in variable):
        return None
    return [_behind(v) if v in variable or _is_integer_operand(v) else v for v in node.inputs]


def _is_known(value: Value) -> bool:
    return value.is_const or (is_dequantize(value.producer) and _behind(value).is_const)


def _is_integer_operand(value: Value) -> bool:
    """Whether the constant is worth a quantized tensor; as a number it is a literal, which makes a map a table."""
    return is_dequantize(value.producer) and _is_activation(_behind(value).type) and value.type.size > 1


def _contraction_inputs(editor: Editor, node: Node) -> list[Value] | None:
    """int8 data and weights and an int32 bias, or None."""
    if len(node.inputs) > 3 or not all(is_dequantize(v.producer) for v in node.inputs[:2]):
        return None
    x, w = (_behind(v) for v in node.inputs[:2])
    if not _is_activation(x.type) or w.type.dtype != "int8" or not _weight_scales_fit(node, w):
        return None
    sums = _largest_sums(node, w)
    if len(node.inputs) == 2:
        return [x, w] if np.all(sums <= INT32_MAX) else None
    bias = _integer_bias(editor, node.inputs[2], x.type, w.type, sums)
    return None if bias is None else [x, w, bias]


def _weight_scales_fit(node: Node, w: Value) -> bool:
    """One scale, or one for each output channel of constant weights."""
    assert w.type.quant is not None
    axis = w.type.quant.axis
    if node.op != "matmul" and not w.is_const:
        return False
    if axis is None:
        return True
    if node.op == "conv_transpose2d":
        return axis == 1 and int_attr(node, "groups") == 1
    return w.is_const and axis == (0 if node.op == "conv2d" else w.type.rank - 1)


def _largest_sums(node: Node, w: Value) -> Array:
    """What the magnitude of the sums of products can be in each output channel, or in all of them."""
    if w.data is None:
        return np.array(255.0 * 255.0 * w.type.shape[-2])
    assert w.type.quant is not None
    magnitudes = 255.0 * np.abs(w.data.astype(np.float64) - w.type.quant.broadcast(w.type.rank)[1])
    if node.op == "matmul":
        return np.asarray(magnitudes.sum(axis=-2))
    if node.op == "conv2d":
        return np.asarray(magnitudes.sum(axis=(1, 2, 3)))
    return np.tile(magnitudes.sum(axis=(0, 2, 3)), int_attr(node, "groups"))


def _integer_bias(editor: Editor, bias: Value, x: TensorType, w: TensorType, sums: Array) -> Value | None:
    """The bias in units of the products, sx * sw; None where it is unknown or leaves no room for `sums` in int32."""
    units = accumulator_quant(x, w)
    source = _behind(bias) if is_dequantize(bias.producer) else bias
    if source.data is None or units is None:
        return None
    codes, quant = source.data.astype(np.float64), source.type.quant
    if quant is None:
        codes = np.rint(codes / units.scale)
    elif any(quant.zero_point) or not np.allclose(quant.scale, units.scale, rtol=1e-5, atol=0):
        codes = np.rint((codes - quant.zero_point) * quant.scale / units.scale)
    if not np.all(np.abs(codes) + sums <= INT32_MAX):
        return None
    return editor.constant(f"{source.name}_int32", codes.astype(np.int32), units)


def _lower_dequantize(editor: Editor, move: Node) -> None:
    """Move the integers behind the operands, and dequantize what comes out."""
    operands = _operands(move)
    if not all(is_dequantize(v.producer) and _is_activation(_behind(v).type) for v in operands):
        return
    if move.op == "pad" and float_attr(move, "value") != 0.0:
        return  # Only zero is sure to have a code.
    types = [_behind(v).type for v in operands]
    if any(t.quant != types[0].quant for t in types):
        return
    real = move.output
    integers = editor.value(f"{real.name}_quantized", TensorType(real.type.shape, "int8", types[0].quant))
    editor.set_inputs(move, [_behind(v) if v in operands else v for v in move.inputs])
    move.outputs = [integers]
    integers.producer = move
    editor.insert_after(move, Node("map", [integers], [real], {"expr": In(0)}, move.name))


# Walk 3


def _dequantize_constants(graph: Graph) -> bool:
    editor = Editor(graph)
    for node in editor.nodes():
        if is_dequantize(node) and node.inputs[0].data is not None and not editor.is_output(node.output):
            (data,) = lookup("map").reference(node, [node.inputs[0].data])
            real = constant(node.output.name, data)
            for user in editor.users(node.output):
                editor.set_inputs(user, [real if v is node.output else v for v in user.inputs])
            editor.erase(node)
    return editor.commit()


# What nodes and types are


def _behind(value: Value) -> Value:
    """What a dequantize map, the producer of `value`, reads."""
    assert value.producer is not None
    return value.producer.inputs[0]


def _is_activation(type: TensorType) -> bool:
    """int8 with one scale."""
    return type.dtype == "int8" and type.quant is not None and type.quant.axis is None


def _computes_on_integers(node: Node) -> bool:
    """Whether the float `node` computes something, and has an integer form for some types."""
    return has_integer_form(node) and is_real(node.output.type) and not only_moves(node) and not is_dequantize(node)


def _only_moves(node: Node) -> bool:
    """Whether the float `node` moves elements."""
    return only_moves(node) and is_real(node.output.type)


def _operands(move: Node) -> list[Value]:
    """The inputs whose elements are moved (the others are indices)."""
    return list(move.inputs) if move.op == "concat" else move.inputs[:1]
