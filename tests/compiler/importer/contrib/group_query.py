"""GroupQueryAttention, as exporters of decoders write it."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from .nodes import Case, Draw, case, f, family

N, GROUPS, SIZE, PLACES = 4, 2, 16, 24
"""Heads of queries, heads of keys, elements of a head, places that rotation knows."""


def group_query(
    d: Draw, past: int, lengths: Sequence[int], total: int, *, queries: int = 1, packed: bool = False,
    rotary: bool = False, known: bool = True, bias: bool = False, sink: bool = False, scales: str = "",
    **more: Any,
) -> Case:  # fmt: skip
    """Its past has `past` rows, int8 codes if `scales` says what has one; its total length is constant if `known`."""
    batch, widths = len(lengths), [heads * SIZE for heads in (N, GROUPS, GROUPS)]
    if packed:
        qkv = [d.normal(batch, queries, sum(widths)), None, None]
    else:
        qkv = [d.normal(batch, queries, w) for w in widths]
    draw = (lambda *shape: d.codes(np.int8, *shape)) if scales else d.normal
    cache = [draw(batch, GROUPS, past, SIZE) if past else None for _ in range(2)]
    angles = d.rng.uniform(0, 6, (PLACES, SIZE // 2))
    turns = [f(np.cos(angles)), f(np.sin(angles))] if rotary else [None, None]
    inputs = [*qkv, *cache, np.array(lengths, np.int32), np.array(total, np.int32), *turns]
    inputs += [None, d.normal(1, N, queries, total) if bias else None, d.normal(N) if sink else None]
    if scales:
        more |= {"k_quant_type": scales, "v_quant_type": scales, "kv_cache_bit_width": 8}
    shape = (GROUPS * SIZE,) if scales == "PER_CHANNEL" else (1,)
    inputs += [f(d.rng.uniform(0.01, 0.03, shape)) if scales else None for _ in range(2)]
    kinds = {"num_heads": N, "kv_num_heads": GROUPS, "do_rotary": int(rotary)} | more
    return case("GroupQueryAttention", inputs, outputs=3, constants=(6,) if known else (), **kinds)


@family
def group_query_attention(d: Draw) -> Iterator[Case]:
    for past, lengths, total, queries in (
        (0, [2, 2], 3, 3), (6, [2, 2], 3, 3), (6, [3, 5], 6, 1), (3, [3, 3], 4, 1), (4, [2, 4], 5, 1), (4, [6], 7, 3),
        (8, [5], 6, 3),
    ):  # fmt: skip
        for rotary in (False, True):
            for packed in (False, True):
                yield group_query(d, past, lengths, total, queries=queries, packed=packed, rotary=rotary)
            window: dict[str, Any] = {"local_window_size": 2, "rotary_interleaved": 1}
            yield group_query(d, past, lengths, total, queries=queries, rotary=rotary, **window)


@family
def group_query_attention_with_more(d: Draw) -> Iterator[Case]:
    yield group_query(d, 4, [2, 4], 5, scale=0.3, softcap=2.0)
    yield group_query(d, 4, [6], 7, queries=3, bias=True, softcap=2.0)
    yield group_query(d, 0, [2, 2], 3, queries=3, bias=True, local_window_size=2)
    yield group_query(d, 4, [2, 4], 5, known=False, rotary=True)
    yield group_query(d, 0, [2, 2], 3, queries=3, known=False)
    yield group_query(d, 0, [2, 2], 3, queries=3, causal=0)
    yield group_query(d, 4, [6], 7, queries=3, causal=0)


@family
def group_query_attention_with_a_sink(d: Draw) -> Iterator[Case]:
    yield group_query(d, 4, [2, 4], 5, sink=True)
    yield group_query(d, 4, [2, 4], 5, smooth_softmax=1)
    yield group_query(d, 4, [6], 7, queries=3, sink=True, bias=True, softcap=2.0)
    yield group_query(d, 0, [4, 4], 5, queries=5, sink=True, local_window_size=2, rotary=True)
    yield group_query(d, 4, [2, 4], 5, known=False, sink=True)


@family
def group_query_attention_over_codes(d: Draw) -> Iterator[Case]:
    for scales in ("PER_TENSOR", "PER_CHANNEL"):
        yield group_query(d, 4, [6], 7, queries=3, scales=scales, rotary=True)
        yield group_query(d, 6, [3, 5], 6, scales=scales)
        yield group_query(d, 6, [2, 2], 3, queries=3, scales=scales)
