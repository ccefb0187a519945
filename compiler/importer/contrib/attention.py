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
    """Keys and values are [batch, length, width] or, of another sequence, [batch, heads, length, size]."""
    ranks = tuple(len(c.shape(i)) if c.has(i) else 0 for i in range(3))
    if ranks not in ((3, 3, 3), (3, 4, 4)):
        raise ValueError(f"its query, key and value have {ranks} dimensions; (3, 3, 3) and (3, 4, 4) are supported")
    by_head = len(c.shape(1)) == 4
    past = c.shape(6)[2] if c.has(6) else 0
    keys = c.shape(1)[2 if by_head else 1] + past
    mask, bias = (4, "mask") if c.has(4) else None, "bias" if c.has(5) else ""
    names = "past_k past_v" if past else ""
    lines = _merged_heads(c) if by_head else _biased(c)
    heads, queries = int(c.number("num_heads")), c.shape(0)[1]
    return lines + attention(c, heads, keys=keys, mask=mask, bias=bias, past=names, queries=queries)


def _merged_heads(c: Call) -> str:
    """`q`, `k` and `v` of keys and values by head."""
    if any(map(c.has, (3, 6, 7))):
        raise ValueError("its keys and values have 4 dimensions, with a bias or a past, which only those of 3 may have")
    lines = "q = Identity(query)\n" + ints("merged", 0, 0, -1)
    for name, source in (("k", "key"), ("v", "value")):
        lines += f"{name}_rows = Transpose<perm = [0, 2, 1, 3]>({source})\n {name} = Reshape({name}_rows, merged)\n"
    return lines


def _biased(c: Call) -> str:
    """`q`, `k` and `v` with the bias, if there is one."""
    if not c.has(3):
        return "q = Identity(query)\n k = Identity(key)\n v = Identity(value)\n"
    lines = ints("sizes", *(c.shape(i)[2] for i in range(3))) + "bq, bk, bv = Split<axis = 0>(biases, sizes)\n"
    return lines + "q = Add(query, bq)\n k = Add(key, bk)\n v = Add(value, bv)\n"
