"""ONNX Runtime's contributed ops (com.microsoft) that other ops make up: each as a function in ONNX's own words.

A body depends on the node's attributes and on the types of its inputs, of which some may be left out.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, isfinite
from typing import Any

import numpy as np
import onnx
from onnx import FunctionProto, NodeProto, helper

from ..ir.extent import Extent
from ..ir.graph import Array, Value
from ..ir.types import TensorType
from ..ops.onnx_node import MICROSOFT

OPSET = 24
"""What the bodies are written in."""

_MASKED = -10000.0
"""What is added to the scores of keys that are masked out, unless an attribute says otherwise."""


@dataclass(frozen=True)
class _Call:
    """A node to be spelled out: its inputs and their types, None for those it leaves out, and its attributes."""

    node: NodeProto
    inputs: Sequence[Value | None]
    attributes: Mapping[str, Any]

    @property
    def types(self) -> Sequence[TensorType | None]:
        """Of the inputs."""
        return [None if value is None else value.type for value in self.inputs]

    def has(self, index: int) -> bool:
        """Whether the input number `index` is there."""
        return index < len(self.inputs) and self.inputs[index] is not None

    def constant(self, index: int) -> Array | None:
        """The input number `index` where it is known."""
        value = self.inputs[index] if index < len(self.inputs) else None
        return None if value is None else value.data

    def shape(self, index: int) -> tuple[int, ...]:
        """The shape of the input number `index`; ValueError if it is left out."""
        type = self.types[index] if index < len(self.types) else None
        if type is None:
            raise ValueError(f"input {index} is missing")
        return type.shape

    def number(self, name: str, default: float | None = None) -> Any:
        """A numeric attribute; required without a default."""
        value = self.attributes.get(name, default)
        if not isinstance(value, int | float) or not isfinite(value):
            raise ValueError(f"attribute {name!r} must be a finite number")
        return value

    def given(self, **names: str) -> str:
        """Those of the numeric attributes that the node has, under other names, as a list of attributes."""
        present = {name: self.number(source) for name, source in names.items() if source in self.attributes}
        return "<" + ", ".join(f"{name} = {value!r}" for name, value in present.items()) + ">" if present else ""

    def uses(self, output: int) -> bool:
        """Whether the model reads the output number `output`."""
        return output < len(self.node.output) and self.node.output[output] != ""

    def refuse_outputs(self, *outputs: int) -> None:
        """ValueError if one of them is read."""
        if any(map(self.uses, outputs)):
            raise ValueError(f"its outputs {' and '.join(map(str, outputs))} are for training; others are supported")


_Body = Callable[[_Call], str]
_BODIES: dict[tuple[str, str], tuple[str, str, _Body]] = {}


def contrib_body(domain: str, node: NodeProto, operands: Sequence[Value | None]) -> FunctionProto | None:
    """What `node` is made of; None if nothing is known. ValueError where it has no such form."""
    if (domain, node.op_type) not in _BODIES:
        return None
    inputs, outputs, body = _BODIES[domain, node.op_type]
    attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    if len(operands) > len(inputs.split(", ")):
        raise ValueError(f"it has {len(operands)} inputs; at most {len(inputs.split(', '))} are known")
    head = f'<domain: "{MICROSOFT}", opset_import: ["": {OPSET}, "{MICROSOFT}": 1]>'
    lines = body(_Call(node, operands, attributes))
    text = f"{head} {node.op_type} ({inputs}) => ({outputs}) {{ {lines} }}"
    function: FunctionProto = onnx.parser.parse_function(text)
    return function


def is_contrib(domain: str, op_type: str) -> bool:
    """Whether there is a body for the op."""
    return (domain, op_type) in _BODIES


def _function(name: str, inputs: str, outputs: str, domain: str = MICROSOFT) -> Callable[[_Body], _Body]:
    def register(body: _Body) -> _Body:
        _BODIES[domain, name] = (inputs, outputs, body)
        return body

    return register


def _scalar(name: str, value: float, kind: str = "float") -> str:
    return f"{name} = Constant<value = {kind} {{{value!r}}}>()\n"


def _range(name: str, count: int) -> str:
    ends = _scalar(f"{name}_0", 0, "int64") + _scalar(f"{name}_1", 1, "int64") + _scalar(f"{name}_n", count, "int64")
    return ends + f"{name} = Range({name}_0, {name}_n, {name}_1)\n"


def _ints(name: str, *values: int) -> str:
    return f"{name} = Constant<value = int64[{len(values)}] {{{', '.join(map(str, values))}}}>()\n"


@_function("Gelu", "x", "y")
def _gelu(c: _Call) -> str:
    return "y = Gelu(x)"


@_function("BiasGelu", "a, b", "y")
def _bias_gelu(c: _Call) -> str:
    return "s = Add(a, b)\n y = Gelu(s)"


@_function("BiasSplitGelu", "x, bias", "y")
def _bias_split_gelu(c: _Call) -> str:
    return "s = Add(x, bias)\n left, right = Split<axis = -1, num_outputs = 2>(s)\n g = Gelu(right)\n y = Mul(left, g)"


@_function("FastGelu", "x, bias", "y")
def _fast_gelu(c: _Call) -> str:
    return ("s = Add(x, bias)" if c.has(1) else "s = Identity(x)") + ' y = Gelu<approximate = "tanh">(s)'


@_function("QuickGelu", "x", "y")
def _quick_gelu(c: _Call) -> str:
    return _scalar("alpha", c.number("alpha", 1.702)) + "s = Mul(x, alpha)\n t = Sigmoid(s)\n y = Mul(x, t)"


def _sum(c: _Call, bias: int) -> str:
    """`sum` of input, skip and, if it is there, the input number `bias`."""
    return "both = Add(x, skip)\n sum = " + ("Add(both, bias)\n" if c.has(bias) else "Identity(both)\n")


@_function("SkipLayerNormalization", "x, skip, gamma, beta, bias", "y, mean, rate, sum")
def _skip_layer_normalization(c: _Call) -> str:
    c.refuse_outputs(1, 2)
    beta = ", beta" if c.has(3) else ""
    return _sum(c, 4) + f"y = LayerNormalization<epsilon = {c.number('epsilon', 1e-12)}>(sum, gamma{beta})"


@_function("SkipSimplifiedLayerNormalization", "x, skip, gamma, bias", "y, mean, rate, sum")
def _skip_simplified_layer_normalization(c: _Call) -> str:
    c.refuse_outputs(1, 2)
    return _sum(c, 3) + f"y = RMSNormalization<epsilon = {c.number('epsilon', 1e-12)}>(sum, gamma)"


@_function("SimplifiedLayerNormalization", "x, scale", "y, rate")
@_function("SimplifiedLayerNormalization", "x, scale", "y, rate", domain="")
def _simplified_layer_normalization(c: _Call) -> str:
    c.refuse_outputs(1)
    axis, epsilon = c.number("axis", -1), c.number("epsilon", 1e-5)
    return f"y = RMSNormalization<axis = {axis}, epsilon = {epsilon}>(x, scale)"


@_function(
    "EmbedLayerNormalization",
    "ids, segments, words, positions, kinds, gamma, beta, mask, places",
    "y, lengths, sum",
)
def _embed_layer_normalization(c: _Call) -> str:
    _, length = c.shape(0)
    lines = "w = Gather(words, ids)\n"
    if c.has(8):
        lines += "p = Gather(positions, places)\n"
    else:
        lines += _ints("first", 0) + _ints("last", length) + "p = Slice(positions, first, last, first)\n"
    lines += "wp = Add(w, p)\n"
    lines += "k = Gather(kinds, segments)\n sum = Add(wp, k)\n" if c.has(1) else "sum = Identity(wp)\n"
    lines += f"y = LayerNormalization<epsilon = {c.number('epsilon', 1e-12)}>(sum, gamma, beta)\n"
    if c.has(7):
        return lines + _ints("one", 1) + "lengths = ReduceSum<keepdims = 0>(mask, one)"
    lines += _scalar("none", 0, "int32") + _ints("rows", c.shape(0)[0])
    return lines + "lengths = Expand(none, rows)"


def _mask(c: _Call, index: int, name: str, keys: int) -> str:
    """`added` [batch or 1, 1, queries or 1, keys] from the mask called `name`, the input number `index`."""
    shape = c.shape(index)
    lines = _scalar("offset", float(c.number("mask_filter_value", _MASKED))) + _scalar("one", 1.0)
    if len(shape) == 1:
        if shape[0] != c.shape(0)[0]:
            raise ValueError(f"its mask has the shape {list(shape)}; [batch], [batch, keys] and 3-d ones are supported")
        lines += _range("keys", keys) + _ints("column", -1, 1) + f"counts = Reshape({name}, column)\n"
        lines += "wide = Cast<to = 7>(counts)\n kept = Less(keys, wide)\n"
    elif len(shape) in (2, 3):
        lines += f"kept = Identity({name})\n"
    else:
        raise ValueError(f"its mask has {len(shape)} dimensions; 1 to 3 are supported")
    rows = shape[1] if len(shape) == 3 else 1
    lines += _ints("wanted", -1, 1, rows, keys) + "square = Reshape(kept, wanted)\n real = Cast<to = 1>(square)\n"
    return lines + "hidden = Sub(one, real)\n added = Mul(hidden, offset)\n"


def _attention(
    c: _Call, heads: int, *, queries: int, keys: int, mask: tuple[int, str] | None, bias: str, past: str
) -> str:
    """`y`, and `k2` and `v2` with the past before them, from q, k, v [batch, length, heads * size]."""
    causal = bool(c.number("unidirectional", 0)) and queries > 1
    lines = ""
    added = [bias] if bias else []
    if mask is not None:
        lines += _mask(c, *mask, keys)
        added.append("added")
    if len(added) == 2:
        lines += f"total = Add({', '.join(added)})\n"
        added = ["total"]
    scale = f", scale = {c.number('scale')!r}" if c.number("scale", 0.0) else ""
    attributes = f"q_num_heads = {heads}, kv_num_heads = {heads}, is_causal = {int(causal)}{scale}"
    operands = ["q", "k", "v", added[0] if added else '""', *past.split()]
    while operands[-1] == '""':
        operands.pop()
    return lines + f"y, k2, v2 = Attention<{attributes}>({', '.join(operands)})\n"


@_function("Attention", "x, weights, biases, mask, past, bias, length", "y, present")
def _packed_attention(c: _Call) -> str:
    if c.has(6) or c.number("do_rotary", 0):
        raise ValueError("its past shares memory with its present, or it rotates; neither is supported")
    heads, (_, queries, _), width = int(c.number("num_heads")), c.shape(0), c.shape(1)[1]
    sizes = c.attributes.get("qkv_hidden_sizes") or (width // 3,) * 3
    lines = "product = MatMul(x, weights)\n"
    lines += "qkv = Add(product, biases)\n" if c.has(2) else "qkv = Identity(product)\n"
    lines += _ints("sizes", *sizes) + "q, k, v = Split<axis = -1>(qkv, sizes)\n"
    keys, past = queries, ""
    if c.has(4):
        keys, past = queries + c.shape(4)[3], "past_k past_v"
        lines += _scalar("zero", 0, "int64") + _scalar("unit", 1, "int64")
        lines += "past_k = Gather(past, zero)\n past_v = Gather(past, unit)\n"
    mask = (3, "mask") if c.has(3) else None
    lines += _attention(c, heads, keys=keys, mask=mask, bias="bias" if c.has(5) else "", past=past, queries=queries)
    if c.uses(1):
        lines += _ints("front", 0) + "pk = Unsqueeze(k2, front)\n pv = Unsqueeze(v2, front)\n"
        lines += "present = Concat<axis = 0>(pk, pv)"
    return lines


@_function("MultiHeadAttention", "query, key, value, biases, mask, bias, past_k, past_v", "y, k2, v2")
def _multi_head_attention(c: _Call) -> str:
    heads = int(c.number("num_heads"))
    if not (c.has(1) and c.has(2)) or any(len(c.shape(i)) != 3 for i in range(3)):
        raise ValueError("its query, key and value must be three tensors of 3 dimensions; unpack them before it")
    widths = [c.shape(i)[2] for i in range(3)]
    lines = ""
    if c.has(3):
        lines += _ints("sizes", *widths) + "bq, bk, bv = Split<axis = 0>(biases, sizes)\n"
        lines += "q = Add(query, bq)\n k = Add(key, bk)\n v = Add(value, bv)\n"
    else:
        lines += "q = Identity(query)\n k = Identity(key)\n v = Identity(value)\n"
    past = c.shape(6)[2] if c.has(6) else 0
    return lines + _attention(
        c, heads, keys=c.shape(1)[1] + past, mask=(4, "mask") if c.has(4) else None, bias="bias" if c.has(5) else "",
        past="past_k past_v" if past else "", queries=c.shape(0)[1],
    )  # fmt: skip


@_function(
    "GroupQueryAttention",
    "query, key, value, past_k, past_v, lengths, total, cos, sin, places, bias, sink, k_scale, v_scale, q_norm, k_norm",
    "y, k2, v2, scores",
)
def _group_query_attention(c: _Call) -> str:
    """The new keys follow those of the past that a batch entry has: lengths + 1 - queries, or none where the total is
    the number of queries. Present keys have as many rows as the longer of past and total or, where the total is known
    at run time only, as past and query together. Rows behind the new ones are 0."""
    _refuse_of_group_query(c)
    heads, groups = int(c.number("num_heads")), int(c.number("kv_num_heads"))
    parts, names = (heads, groups, groups), ("query", "key", "value")
    lines = _scalar("zero", 0, "int64") + _scalar("unit", 1, "int64") + _scalar("nothing", 0.0)
    if not c.has(1):
        names = ("q_part", "k_part", "v_part")
        sizes = (n * (c.shape(0)[2] // sum(parts)) for n in parts)
        lines += _ints("sizes", *sizes) + f"{', '.join(names)} = Split<axis = -1>(query, sizes)\n"
    for name, source, count in zip("qkv", names, parts, strict=True):
        lines += _ints(f"{name}_shape", 0, 0, count, -1) + f"{name}_rows = Reshape({source}, {name}_shape)\n"
        lines += f"{name}_heads = Transpose<perm = [0, 2, 1, 3]>({name}_rows)\n"
    lines += _first_place(c) + _rotated(c)
    lines += _present(c, "k2", "past_k", "k_turned") + _present(c, "v2", "past_v", "v_heads")
    attributes = c.given(scale="scale", softcap="softcap")
    lines += _group_query_mask(c) + f"by_head = Attention{attributes}(q_turned, k2, v2, seen)\n"
    return lines + _ints("merged", 0, 0, -1) + (
        "by_row = Transpose<perm = [0, 2, 1, 3]>(by_head)\n y = Reshape(by_row, merged)"
    )


def _refuse_of_group_query(c: _Call) -> None:
    """ValueError for what is not supported, or would not be bounded."""
    if any(map(c.has, range(11, 16))) or c.uses(3) or c.number("smooth_softmax", 0) or c.number("qk_output", 0):
        raise ValueError("it has a head sink, a quantized cache, norms of its own or writes scores; none is supported")
    if c.number("sliding_window_cache", 0) or not c.number("causal", 1):
        raise ValueError("its cache slides or it is not causal; neither is supported")
    if c.has(1) != c.has(2) or c.has(3) != c.has(4) or not c.has(5):
        raise ValueError("it takes key and value, or neither; past key and value, or neither; and sequence lengths")
    if min(int(c.number("num_heads")), int(c.number("kv_num_heads"))) < 1 or len(c.shape(0)) != 3:
        raise ValueError("it takes a query of 3 dimensions, and a positive number of heads")
    if c.number("do_rotary", 0) and not (c.has(7) and c.has(8)):
        raise ValueError("it rotates, but has no caches of cosines and sines")
    if any(isinstance(extent, Extent) for extent in c.shape(0)):
        raise ValueError("the batch and the length of its query must be static; only the past's length can be a range")
    if isinstance(_past(c), Extent) and c.shape(0)[0] != 1:
        raise ValueError("its past has a range of lengths, which is supported for a batch of 1; make the length static")
    rows, queries, total = _past(c), c.shape(0)[1], c.constant(6)
    if total is not None and not isinstance(rows, Extent) and not queries <= total.item() <= rows + queries:
        raise ValueError(f"its total length is {total.item()}, for {queries} queries and a past of {rows} rows")


def _past(c: _Call) -> int:
    """The rows of a GroupQueryAttention's past."""
    return c.shape(3)[2] if c.has(3) else 0


def _starts_anew(c: _Call) -> bool:
    """Whether nothing of the past counts, in every run."""
    total = c.constant(6)
    return not c.has(3) or (total is not None and total.item() == c.shape(0)[1])


def _first_place(c: _Call) -> str:
    """`first` [batch, 1, 1, 1], the row of the first new key, and `at` [batch, 1, queries, 1], those of all."""
    batch, queries, _ = c.shape(0)
    lines = _range("steps", queries) + _ints("column", queries, 1) + "down = Reshape(steps, column)\n"
    lines += _ints("apart", batch, 1, 1, 1)
    if _starts_anew(c):
        lines += "first = Expand(zero, apart)\n"
    else:
        lines += _scalar("before", queries - 1, "int64") + "wide = Cast<to = 7>(lengths)\n"
        lines += "ends = Reshape(wide, apart)\n later = Sub(ends, before)\n"
        if c.constant(6) is None and not isinstance(_past(c), Extent):
            lines += "all = Cast<to = 7>(total)\n anew = Equal(all, steps_n)\n one_anew = Squeeze(anew)\n"
            lines += "first = Where(one_anew, zero, later)\n"
        else:
            lines += "first = Identity(later)\n"
    return lines + "at = Add(first, down)\n"


def _rotated(c: _Call) -> str:
    """`q_turned` and `k_turned`, rotated by their places if the node asks for it."""
    if not c.number("do_rotary", 0):
        return "q_turned = Identity(q_heads)\n k_turned = Identity(k_heads)\n"
    lines = _ints("inner", 1, 3) + ("turns = Identity(places)\n" if c.has(9) else "turns = Squeeze(at, inner)\n")
    interleaved = int(c.number("rotary_interleaved", 0))
    attributes = f"interleaved = {interleaved}, rotary_embedding_dim = {2 * c.shape(7)[1]}"
    for name in "qk":
        lines += f"{name}_turned = RotaryEmbedding<{attributes}>({name}_heads, cos, sin, turns)\n"
    return lines


def _present(c: _Call, present: str, past: str, new: str) -> str:
    """`present` [batch, heads, rows, size]: `past` with `new` from the row `first` on, and 0 behind."""
    queries, rows, total = c.shape(0)[1], _past(c), c.constant(6)
    if isinstance(rows, Extent):
        return f"{present} = Concat<axis = 2>({past}, {new})\n"
    if not rows or (_starts_anew(c) and rows <= queries):
        return f"{present} = Identity({new})\n"
    size = queries + rows if total is None else max(rows, total.item())
    lines = _ints(f"{present}_pads", 0, 0, 0, 0, 0, 0, size - rows, 0)
    lines += f"{present}_room = Pad({past}, {present}_pads)\n" + _ints(f"{present}_flat", -1)
    lines += f"{present}_first = Reshape(first, {present}_flat)\n"
    lines += f"{present}_all = TensorScatter<axis = 2>({present}_room, {new}, {present}_first)\n"
    lines += _range(f"{present}_keys", size) + _ints(f"{present}_column", size, 1)
    lines += f"{present}_down = Reshape({present}_keys, {present}_column)\n {present}_end = Add(first, steps_n)\n"
    lines += f"{present}_kept = Less({present}_down, {present}_end)\n"
    return lines + f"{present} = Where({present}_kept, {present}_all, nothing)\n"


def _group_query_mask(c: _Call) -> str:
    """`seen` [batch, 1 or heads, queries, keys]: the keys that a query sees, or what is added to its scores."""
    lines = "k2_size = Shape<start = 2, end = 3>(k2)\n key_count = Squeeze(k2_size)\n"
    lines += "keys = Range(zero, key_count, unit)\n past_or_now = LessOrEqual(keys, at)\n"
    window = int(c.number("local_window_size", -1))
    if window > 0:
        lines += _scalar("window", window, "int64") + "far = Sub(at, window)\n near = Greater(keys, far)\n"
        lines += "visible = And(past_or_now, near)\n"
    else:
        lines += "visible = Identity(past_or_now)\n"
    if not c.has(10):
        return lines + "seen = Identity(visible)\n"
    return lines + _scalar("hidden", float(np.finfo(np.float32).min)) + "seen = Where(visible, bias, hidden)\n"


@_function("RotaryEmbedding", "x, places, cos, sin", "y")
def _rotary_embedding(c: _Call) -> str:
    if c.number("scale", 1.0) != 1.0:
        raise ValueError("its scale is not 1; only 1 is supported")
    shape = c.shape(0)
    batch, length = shape[0], shape[2 if len(shape) == 4 else 1]
    heads = c.number("num_heads", 0)
    if len(shape) == 3 and not heads:
        heads = shape[2] // (2 * c.shape(2)[1])
    names = {"interleaved": c.number("interleaved", 0), "rotary_embedding_dim": c.number("rotary_embedding_dim", 0)}
    names |= {"num_heads": heads} if len(shape) == 3 else {}
    lines = "at = Identity(places)\n"
    if len(c.shape(1)) < 2:
        lines = _range("steps", length) + _ints("all", batch, length)
        lines += "line = Add(places, steps)\n at = Expand(line, all)\n"
    return lines + f"y = RotaryEmbedding<{', '.join(f'{k} = {int(v)}' for k, v in names.items())}>(x, cos, sin, at)"


@_function(
    "QAttention", "x, weights, biases, x_scale, w_scale, mask, x_zero, w_zero, past", "y, present"
)
def _quantized_attention(c: _Call) -> str:
    zeros = [", " + name if c.has(i) else "" for i, name in ((6, "x_zero"), (7, "w_zero"))]
    optional = [name if c.has(i) else '""' for i, name in ((5, "mask"), (8, "past"))]
    kept = ("num_heads", "unidirectional", "scale", "mask_filter_value")
    attributes = c.given(**dict(zip(kept, kept, strict=True)))
    return (
        f"real = DequantizeLinear(x, x_scale{zeros[0]})\n w = DequantizeLinear<axis = 1>(weights, w_scale{zeros[1]})\n"
        f"y, present = {MICROSOFT}.Attention{attributes}(real, w, biases, {', '.join(optional)})"
    )


@_function("MatMulIntegerToFloat", "a, b, a_scale, b_scale, a_zero, b_zero, bias", "y")
def _matmul_integer_to_float(c: _Call) -> str:
    zeros = [name if c.has(i) else '""' for i, name in ((4, "a_zero"), (5, "b_zero"))]
    lines = f"sums = MatMulInteger(a, b, {', '.join(zeros)})\n real = Cast<to = 1>(sums)\n"
    lines += "scale = Mul(a_scale, b_scale)\n scaled = Mul(real, scale)\n"
    return lines + ("y = Add(scaled, bias)" if c.has(6) else "y = Identity(scaled)")


@_function("DynamicQuantizeMatMul", "a, b, b_scale, b_zero, bias", "y")
def _dynamic_quantize_matmul(c: _Call) -> str:
    rest = [name if c.has(i) else '""' for i, name in ((3, "b_zero"), (4, "bias"))]
    return (
        "codes, a_scale, a_zero = DynamicQuantizeLinear(a)\n"
        f"y = {MICROSOFT}.MatMulIntegerToFloat(codes, b, a_scale, b_scale, a_zero, {', '.join(rest)})"
    )


@_function("MatMulNBits", "a, codes, scales, zeros, groups, bias", "y")
def _matmul_n_bits(c: _Call) -> str:
    """The weights [N, blocks, bytes] become float32 when compiling."""
    k, n, block, bits = (int(c.number(name)) for name in ("K", "N", "block_size", "bits"))
    if bits not in (4, 8) or c.has(4):
        raise ValueError(f"it has {bits} bits{' and a group index' * c.has(4)}; 4 and 8 bits in order are supported")
    blocks = ceil(k / block)
    lines = _unpacked("codes", "w", bits, (n, blocks, block))
    if not c.has(3):
        lines += _scalar("z", float(2 ** (bits - 1)))
    elif c.types[3] is not None and c.types[3].dtype == "uint8":
        per_row = ceil(blocks * bits / 8) * 8 // bits
        lines += _unpacked("zeros", "zs", bits, (n, per_row, 1)) + _ints("zb", 0) + _ints("ze", blocks) + _ints("zx", 1)
        lines += "z = Slice(zs, zb, ze, zx)\n"
    else:
        lines += _ints("zshape", n, blocks, 1) + "z = Reshape(zeros, zshape)\n"
    lines += _ints("sshape", n, blocks, 1) + "s = Reshape(scales, sshape)\n"
    lines += "shifted = Sub(w, z)\n real = Mul(shifted, s)\n"
    lines += _ints("flat", n, blocks * block) + "rows = Reshape(real, flat)\n"
    lines += _ints("kb", 0) + _ints("ke", k) + _ints("kx", 1) + "cut = Slice(rows, kb, ke, kx)\n"
    lines += "columns = Transpose<perm = [1, 0]>(cut)\n product = MatMul(a, columns)\n"
    return lines + ("y = Add(product, bias)" if c.has(5) else "y = Identity(product)")


def _unpacked(source: str, target: str, bits: int, shape: tuple[int, ...]) -> str:
    """`target` float32 of `shape` from bytes that hold one or two codes each, the low half first."""
    lines = _ints(f"{target}_shape", *shape)
    if bits == 8:
        return lines + f"{target}_b = Reshape({source}, {target}_shape)\n {target} = Cast<to = 1>({target}_b)\n"
    lines += _scalar(f"{target}_15", 15, "uint8") + _scalar(f"{target}_4", 4, "uint8") + _ints(f"{target}_end", -1)
    lines += f"{target}_low = BitwiseAnd({source}, {target}_15)\n"
    lines += f'{target}_high = BitShift<direction = "RIGHT">({source}, {target}_4)\n'
    for half in ("low", "high"):
        lines += f"{target}_{half}1 = Unsqueeze({target}_{half}, {target}_end)\n"
    lines += f"{target}_both = Concat<axis = -1>({target}_low1, {target}_high1)\n"
    return lines + f"{target}_b = Reshape({target}_both, {target}_shape)\n {target} = Cast<to = 1>({target}_b)\n"


@_function("FusedGemm", "a, b, c", "y")
def _fused_gemm(c: _Call) -> str:
    activation = c.attributes.get("activation", b"Identity").decode()
    if activation not in _ACTIVATIONS:
        raise ValueError(f"its activation is {activation!r}; supported are {', '.join(_ACTIVATIONS)}")
    product = c.given(alpha="alpha", beta="beta", transA="transA", transB="transB")
    parameters = c.given(**{name: f"activation_{name}" for name in _ACTIVATIONS[activation]})
    return f"product = Gemm{product}({'a, b, c' if c.has(2) else 'a, b'})\n y = {activation}{parameters}(product)"


_ACTIVATIONS: Mapping[str, Sequence[str]] = {
    **dict.fromkeys(("Identity", "Relu", "Sigmoid", "Tanh", "Softplus", "Softsign"), ()),
    **dict.fromkeys(("LeakyRelu", "Elu", "ThresholdedRelu"), ("alpha",)),
    "HardSigmoid": ("alpha", "beta"),
}
"""Of FusedGemm, and which parameters they have."""


@_function("QLinearWhere", "condition, x, x_scale, x_zero, z, z_scale, z_zero, y_scale, y_zero", "y")
def _qlinear_where(c: _Call) -> str:
    return (
        "a = DequantizeLinear(x, x_scale, x_zero)\n b = DequantizeLinear(z, z_scale, z_zero)\n"
        "chosen = Where(condition, a, b)\n y = QuantizeLinear(chosen, y_scale, y_zero)"
    )
