"""Attention of decoders, with a cache of keys and values."""

import numpy as np

from ...ir.extent import Extent
from .call import Call
from .registry import function
from .text import counted, ints, scalar


@function(
    "GroupQueryAttention",
    "query, key, value, past_k, past_v, lengths, total, cos, sin, places, bias, sink, k_scale, v_scale, q_norm, k_norm",
    "y, k2, v2, scores",
)
def _group_query_attention(c: Call) -> str:
    """The new keys follow those of the past that a batch entry has: lengths + 1 - queries, or none where the total is
    the number of queries. Present keys have as many rows as the longer of past and total or, where the total is known
    at run time only, as past and query together. Rows behind the new ones are 0."""
    _refuse_of_group_query(c)
    heads, groups = int(c.number("num_heads")), int(c.number("kv_num_heads"))
    parts, names = (heads, groups, groups), ("query", "key", "value")
    lines = scalar("zero", 0, "int64") + scalar("unit", 1, "int64") + scalar("nothing", 0.0)
    if not c.has(1):
        names = ("q_part", "k_part", "v_part")
        sizes = (n * (c.shape(0)[2] // sum(parts)) for n in parts)
        lines += ints("sizes", *sizes) + f"{', '.join(names)} = Split<axis = -1>(query, sizes)\n"
    for name, source, count in zip("qkv", names, parts, strict=True):
        lines += ints(f"{name}_shape", 0, 0, count, -1) + f"{name}_rows = Reshape({source}, {name}_shape)\n"
        lines += f"{name}_heads = Transpose<perm = [0, 2, 1, 3]>({name}_rows)\n"
    lines += _first_place(c) + _rotated(c)
    lines += _present(c, "k2", "past_k", "k_turned") + _present(c, "v2", "past_v", "v_heads")
    attributes = c.given(scale="scale", softcap="softcap")
    lines += _group_query_mask(c) + f"by_head = Attention{attributes}(q_turned, k2, v2, seen)\n"
    return (
        lines
        + ints("merged", 0, 0, -1)
        + ("by_row = Transpose<perm = [0, 2, 1, 3]>(by_head)\n y = Reshape(by_row, merged)")
    )


def _refuse_of_group_query(c: Call) -> None:
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


def _past(c: Call) -> int:
    """The rows of a GroupQueryAttention's past."""
    return c.shape(3)[2] if c.has(3) else 0


def _starts_anew(c: Call) -> bool:
    """Whether nothing of the past counts, in every run."""
    total = c.constant(6)
    return not c.has(3) or (total is not None and total.item() == c.shape(0)[1])


def _first_place(c: Call) -> str:
    """`first` [batch, 1, 1, 1], the row of the first new key, and `at` [batch, 1, queries, 1], those of all."""
    batch, queries, _ = c.shape(0)
    lines = counted("steps", queries) + ints("column", queries, 1) + "down = Reshape(steps, column)\n"
    lines += ints("apart", batch, 1, 1, 1)
    if _starts_anew(c):
        lines += "first = Expand(zero, apart)\n"
    else:
        lines += scalar("before", queries - 1, "int64") + "wide = Cast<to = 7>(lengths)\n"
        lines += "ends = Reshape(wide, apart)\n later = Sub(ends, before)\n"
        if c.constant(6) is None and not isinstance(_past(c), Extent):
            lines += "all = Cast<to = 7>(total)\n anew = Equal(all, steps_n)\n one_anew = Squeeze(anew)\n"
            lines += "first = Where(one_anew, zero, later)\n"
        else:
            lines += "first = Identity(later)\n"
    return lines + "at = Add(first, down)\n"


def _rotated(c: Call) -> str:
    """`q_turned` and `k_turned`, rotated by their places if the node asks for it."""
    if not c.number("do_rotary", 0):
        return "q_turned = Identity(q_heads)\n k_turned = Identity(k_heads)\n"
    lines = ints("inner", 1, 3) + ("turns = Identity(places)\n" if c.has(9) else "turns = Squeeze(at, inner)\n")
    interleaved = int(c.number("rotary_interleaved", 0))
    attributes = f"interleaved = {interleaved}, rotary_embedding_dim = {2 * c.shape(7)[1]}"
    for name in "qk":
        lines += f"{name}_turned = RotaryEmbedding<{attributes}>({name}_heads, cos, sin, turns)\n"
    return lines


def _present(c: Call, present: str, past: str, new: str) -> str:
    """`present` [batch, heads, rows, size]: `past` with `new` from the row `first` on, and 0 behind."""
    queries, rows, total = c.shape(0)[1], _past(c), c.constant(6)
    if isinstance(rows, Extent):
        return f"{present} = Concat<axis = 2>({past}, {new})\n"
    if not rows or (_starts_anew(c) and rows <= queries):
        return f"{present} = Identity({new})\n"
    size = queries + rows if total is None else max(rows, total.item())
    lines = ints(f"{present}_pads", 0, 0, 0, 0, 0, 0, size - rows, 0)
    lines += f"{present}_room = Pad({past}, {present}_pads)\n" + ints(f"{present}_flat", -1)
    lines += f"{present}_first = Reshape(first, {present}_flat)\n"
    lines += f"{present}_all = TensorScatter<axis = 2>({present}_room, {new}, {present}_first)\n"
    lines += counted(f"{present}_keys", size) + ints(f"{present}_column", size, 1)
    lines += f"{present}_down = Reshape({present}_keys, {present}_column)\n {present}_end = Add(first, steps_n)\n"
    lines += f"{present}_kept = Less({present}_down, {present}_end)\n"
    return lines + f"{present} = Where({present}_kept, {present}_all, nothing)\n"


def _group_query_mask(c: Call) -> str:
    """`seen` [batch, 1 or heads, queries, keys]: the keys that a query sees, or what is added to its scores."""
    lines = "k2_size = Shape<start = 2, end = 3>(k2)\n key_count = Squeeze(k2_size)\n"
    lines += "keys = Range(zero, key_count, unit)\n past_or_now = LessOrEqual(keys, at)\n"
    window = int(c.number("local_window_size", -1))
    if window > 0:
        lines += scalar("window", window, "int64") + "far = Sub(at, window)\n near = Greater(keys, far)\n"
        lines += "visible = And(past_or_now, near)\n"
    else:
        lines += "visible = Identity(past_or_now)\n"
    if not c.has(10):
        return lines + "seen = Identity(visible)\n"
    return lines + scalar("hidden", float(np.finfo(np.float32).min)) + "seen = Where(visible, bias, hidden)\n"
