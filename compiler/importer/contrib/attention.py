"""Attention of queries, keys and values that come in one or three tensors."""

from .call import Call
from .registry import function
from .scores import attention
from .text import ints, scalar


@function("Attention", "x, weights, biases, mask, past, bias, length", "y, present")
def _packed_attention(c: Call) -> str:
    if c.has(6) or c.number("do_rotary", 0):
        raise ValueError("its past shares memory with its present, or it rotates; neither is supported")
    heads, (_, queries, _), width = int(c.number("num_heads")), c.shape(0), c.shape(1)[1]
    sizes = c.attributes.get("qkv_hidden_sizes") or (width // 3,) * 3
    lines = "product = MatMul(x, weights)\n"
    lines += "qkv = Add(product, biases)\n" if c.has(2) else "qkv = Identity(product)\n"
    lines += ints("sizes", *sizes) + "q, k, v = Split<axis = -1>(qkv, sizes)\n"
    keys, past = queries, ""
    if c.has(4):
        keys, past = queries + c.shape(4)[3], "past_k past_v"
        lines += scalar("zero", 0, "int64") + scalar("unit", 1, "int64")
        lines += "past_k = Gather(past, zero)\n past_v = Gather(past, unit)\n"
    mask = (3, "mask") if c.has(3) else None
    lines += attention(c, heads, keys=keys, mask=mask, bias="bias" if c.has(5) else "", past=past, queries=queries)
    if c.uses(1):
        lines += ints("front", 0) + "pk = Unsqueeze(k2, front)\n pv = Unsqueeze(v2, front)\n"
        lines += "present = Concat<axis = 0>(pk, pv)"
    return lines


@function("MultiHeadAttention", "query, key, value, biases, mask, bias, past_k, past_v", "y, k2, v2")
def _multi_head_attention(c: Call) -> str:
    heads = int(c.number("num_heads"))
    if not (c.has(1) and c.has(2)) or any(len(c.shape(i)) != 3 for i in range(3)):
        raise ValueError("its query, key and value must be three tensors of 3 dimensions; unpack them before it")
    widths = [c.shape(i)[2] for i in range(3)]
    lines = ""
    if c.has(3):
        lines += ints("sizes", *widths) + "bq, bk, bv = Split<axis = 0>(biases, sizes)\n"
        lines += "q = Add(query, bq)\n k = Add(key, bk)\n v = Add(value, bv)\n"
    else:
        lines += "q = Identity(query)\n k = Identity(key)\n v = Identity(value)\n"
    past = c.shape(6)[2] if c.has(6) else 0
    return lines + attention(
        c, heads, keys=c.shape(1)[1] + past, mask=(4, "mask") if c.has(4) else None, bias="bias" if c.has(5) else "",
        past="past_k past_v" if past else "", queries=c.shape(0)[1],
    )  # fmt: skip
