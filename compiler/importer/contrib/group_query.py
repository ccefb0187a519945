"""Attention of decoders, with a cache of keys and values."""

import numpy as np

from ...ir.extent import Extent
from .cache import past_rows, present, starts_anew
from .call import Call
from .registry import function
from .text import counted, ints, scalar

_SINK, _K_SCALE, _V_SCALE, _Q_NORM, _K_NORM = range(11, 16)
"""Numbers of inputs."""


@function(
    "GroupQueryAttention",
    "query, key, value, past_k, past_v, lengths, total, cos, sin, places, bias, sink, k_scale, v_scale, q_norm, k_norm",
    "y, k2, v2, scores",
)
def _group_query_attention(c: Call) -> str:
    """The new keys follow those of the past that a batch entry has: lengths + 1 - queries, or none where the total is
    the number of queries. Present keys have as many rows as the longer of past and total or, where the total is known
    at run time only, as past and query together. Rows behind the new ones are 0."""
    _refuse(c)
    lines = scalar("zero", 0, "int64") + scalar("unit", 1, "int64") + scalar("empty", 0.0)
    lines += _heads(c) + _first_place(c) + _rotated(c)
    lines += present(c, "k", "k_turned", _K_SCALE) + present(c, "v", "v_heads", _V_SCALE) + _seen(c)
    operands = "q_turned, k_real, v_real, seen"
    if c.has(_SINK) or c.number("smooth_softmax", 0):
        lines += _with_sink(c)
        operands = "q_turned, k_sunk, v_sunk, seen_sunk"
    lines += f"by_head = Attention{c.given(scale='scale', softcap='softcap')}({operands})\n"
    return (
        lines
        + ints("merged", 0, 0, -1)
        + ("by_row = Transpose<perm = [0, 2, 1, 3]>(by_head)\n y = Reshape(by_row, merged)")
    )


def _refuse(c: Call) -> None:
    """ValueError for what is not supported, or would not be bounded."""
    if c.uses(3):
        raise ValueError("it gives its scores as output 3, which is not supported: leave that output out")
    if c.number("sliding_window_cache", 0):
        raise ValueError("its cache slides, which is not supported: export it with sliding_window_cache = 0")
    past = c.types[3] if c.has(3) else None
    if past is not None and past.dtype != ("int8" if c.has(_K_SCALE) else "float32"):
        raise ValueError(f"its cache is {past.dtype}; float32 without scales and int8 with scales are supported")
    pairs = ((1, 2), (3, 4), (_K_SCALE, _V_SCALE), (_Q_NORM, _K_NORM))
    if any(c.has(i) != c.has(j) for i, j in pairs) or not c.has(5):
        raise ValueError(
            "it takes sequence lengths, and of key, past, scale and norm that of the value, too, or neither"
        )
    if min(int(c.number("num_heads")), int(c.number("kv_num_heads"))) < 1 or len(c.shape(0)) != 3:
        raise ValueError("it takes a query of 3 dimensions, and a positive number of heads")
    if c.number("do_rotary", 0) and not (c.has(7) and c.has(8)):
        raise ValueError("it rotates, but has no caches of cosines and sines")
    if any(isinstance(extent, Extent) for extent in c.shape(0)):
        raise ValueError("the batch and the length of its query must be static; only the past's length can be a range")
    if isinstance(past_rows(c), Extent) and c.shape(0)[0] != 1:
        raise ValueError("its past has a range of lengths, which is supported for a batch of 1; make the length static")
    rows, queries, total = past_rows(c), c.shape(0)[1], c.constant(6)
    if total is not None and not isinstance(rows, Extent) and not queries <= total.item() <= rows + queries:
        raise ValueError(f"its total length is {total.item()}, for {queries} queries and a past of {rows} rows")


def _heads(c: Call) -> str:
    """`q_heads`, `k_heads` and `v_heads` [batch, heads, queries, size], queries and keys normalized if asked for."""
    heads, groups = int(c.number("num_heads")), int(c.number("kv_num_heads"))
    parts, names, lines = (heads, groups, groups), ("query", "key", "value"), ""
    if not c.has(1):
        names = ("q_part", "k_part", "v_part")
        sizes = (n * (c.shape(0)[2] // sum(parts)) for n in parts)
        lines += ints("sizes", *sizes) + f"{', '.join(names)} = Split<axis = -1>(query, sizes)\n"
    for name, source, count in zip("qkv", names, parts, strict=True):
        rows = f"{name}_rows"
        lines += ints(f"{name}_shape", 0, 0, count, -1) + f"{rows} = Reshape({source}, {name}_shape)\n"
        if name != "v" and c.has(_Q_NORM):
            epsilon, rows = c.number("qk_norm_epsilon", 1e-6), f"{name}_normal"
            lines += f"{rows} = RMSNormalization<axis = -1, epsilon = {epsilon}>({name}_rows, {name}_norm)\n"
        lines += f"{name}_heads = Transpose<perm = [0, 2, 1, 3]>({rows})\n"
    return lines


def _first_place(c: Call) -> str:
    """`first` [batch, 1, 1, 1], the row of the first new key, and `at` [batch, 1, queries, 1], those of all."""
    batch, queries, _ = c.shape(0)
    lines = counted("steps", queries) + ints("column", queries, 1) + "down = Reshape(steps, column)\n"
    lines += ints("apart", batch, 1, 1, 1)
    if starts_anew(c):
        lines += "first = Expand(zero, apart)\n"
    else:
        lines += scalar("before", queries - 1, "int64") + "wide = Cast<to = 7>(lengths)\n"
        lines += "ends = Reshape(wide, apart)\n later = Sub(ends, before)\n"
        if c.constant(6) is None and not isinstance(past_rows(c), Extent):
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


def _seen(c: Call) -> str:
    """`seen` [batch, 1 or heads, queries, keys]: the keys that a query sees, or what is added to its scores."""
    lines = "k_size = Shape<start = 2, end = 3>(k_real)\n key_count = Squeeze(k_size)\n"
    lines += "keys = Range(zero, key_count, unit)\n"
    if c.number("causal", 1):
        lines += "seen_0 = LessOrEqual(keys, at)\n"
    else:
        lines += "end = Add(first, steps_n)\n seen_0 = Less(keys, end)\n"
    window = int(c.number("local_window_size", -1))
    if window > 0:
        lines += scalar("window", window, "int64") + "far = Sub(at, window)\n near = Greater(keys, far)\n"
        lines += "visible = And(seen_0, near)\n"
    else:
        lines += "visible = Identity(seen_0)\n"
    if not c.has(10):
        return lines + "seen = Identity(visible)\n"
    return lines + _HIDDEN + "seen = Where(visible, bias, hidden)\n"


_HIDDEN = scalar("hidden", float(np.finfo(np.float32).min))


def _with_sink(c: Call) -> str:
    """`k_sunk`, `v_sunk` and `seen_sunk`: one more key of zeros, whose score is the sink of the head, 0 without one; it
    takes its part of the softmax, and its value adds nothing."""
    heads, (batch, queries, _) = int(c.number("num_heads")), c.shape(0)
    lines = ints("one_more", 0, 0, 0, 0, 0, 0, 1, 0) + ints("a_head", 1, heads, 1, 1)
    lines += "k_sunk = Pad(k_real, one_more)\n v_sunk = Pad(v_real, one_more)\n"
    lines += "by_head_0 = Expand(empty, a_head)\n"
    if c.has(10):
        lines += "added = Add(seen, by_head_0)\n"
    else:
        lines += _HIDDEN + "added = Where(seen, by_head_0, hidden)\n"
    lines += "level = Reshape(sink, a_head)\n" if c.has(_SINK) else "level = Identity(by_head_0)\n"
    lines += ints("a_query", batch, heads, queries, 1) + "column_of_sink = Expand(level, a_query)\n"
    return lines + "seen_sunk = Concat<axis = -1>(added, column_of_sink)\n"
