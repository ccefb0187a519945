"""Ops that ONNX Runtime's optimizer makes of transformers."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from .nodes import Case, Draw, case, family

B, S, H, N = 2, 5, 16, 4


@family
def activations(d: Draw) -> Iterator[Case]:
    x = d.normal(3, H, scale=3)
    yield case("Gelu", [x])
    yield case("BiasGelu", [x, d.normal(H)])
    yield case("FastGelu", [x])
    yield case("FastGelu", [x, d.normal(H)])
    yield case("QuickGelu", [x])
    yield case("QuickGelu", [x], alpha=0.5)


@family
def inverses(d: Draw) -> Iterator[Case]:
    for rows in (1, 2, 3, 4):
        yield case("Inverse", [d.normal(B, 3, rows, rows) + 2 * np.eye(rows, dtype=np.float32)])
        yield case("Inverse", [d.normal(rows, rows)])


@family
def products(d: Draw) -> Iterator[Case]:
    x, w = d.normal(3, B, S, 4), d.normal(3, B, 4, 6)
    yield case("FusedMatMul", [x, w], alpha=0.25)
    yield case("FusedMatMul", [x, d.normal(3, B, 6, 4)], transB=1)
    yield case("FusedMatMul", [d.normal(3, B, 4, S), w], transA=1, constants=(1,))
    yield case("TransposeMatMul", [d.normal(3, B, 4, S), w], transA=1)
    a, b, c = d.normal(H, 3), d.normal(H, 4), d.normal(4)
    for given in ({"activation": "Relu"}, {"activation": "LeakyRelu", "activation_alpha": 0.3}, {"activation": "Tanh"}):
        yield case("FusedGemm", [a, b, c], transA=1, alpha=0.5, beta=2.0, **given)


@family
def convolutions(d: Draw) -> Iterator[Case]:
    x, w, bias = d.normal(1, 8, 9, 9), d.normal(6, 8, 3, 3, scale=0.3), d.normal(6)
    yield case("FusedConv", [x, w, bias], constants=(1, 2), activation="Relu", pads=[1, 1, 1, 1])
    skip = d.normal(1, 6, 9, 9)
    yield case("FusedConv", [x, w, bias, skip], constants=(1, 2), activation="Relu", pads=[1, 1, 1, 1])
    for activation, parameters in (("LeakyRelu", [0.2]), ("Clip", [0.0, 6.0]), ("HardSigmoid", [0.2, 0.5])):
        more: dict[str, Any] = {"activation": activation, "activation_params": parameters, "strides": [2, 2]}
        yield case("FusedConv", [x, w, bias], constants=(1, 2), **more)


@family
def normalizations(d: Draw) -> Iterator[Case]:
    x, gamma, beta, bias = d.normal(B, S, H), d.normal(H), d.normal(H), d.normal(H)
    for shape in ((B, S, H), (1, S, H), (S, H)):
        skip = d.normal(*shape)
        for optional in ([], [beta], [beta, bias], [None, bias]):
            yield case("SkipLayerNormalization", [x, skip, gamma, *optional], epsilon=1e-3)
        yield case("SkipSimplifiedLayerNormalization", [x, skip, gamma], epsilon=1e-3)
        yield case("SkipSimplifiedLayerNormalization", [x, skip, gamma, bias])
    yield case("SimplifiedLayerNormalization", [x, gamma], domain="", epsilon=1e-3, axis=-1)


@family
def embeddings(d: Draw) -> Iterator[Case]:
    mask = (np.arange(S) < np.array([[3], [5]])).astype(np.int32)
    ids, kinds = d.whole(np.int32, 0, 30, B, S), d.whole(np.int32, 0, 2, B, S)
    words, positions, types = d.normal(30, H), d.normal(9, H), d.normal(2, H)
    for segments in (True, False):
        inputs = [ids, kinds if segments else None, words, positions, types if segments else None, *d.normal(2, H)]
        yield case("EmbedLayerNormalization", [*inputs, mask], outputs=2)
        yield case("EmbedLayerNormalization", inputs, outputs=2)
        yield case("EmbedLayerNormalization", [*inputs, None, d.whole(np.int32, 0, 9, B, S)], outputs=2)


@family
def rotations(d: Draw) -> Iterator[Case]:
    cos, sin, places = d.normal(9, 2), d.normal(9, 2), d.whole(np.int64, 0, 9, B, S)
    for interleaved in (0, 1):
        yield case("RotaryEmbedding", [d.normal(B, S, H), places, cos, sin], interleaved=interleaved)
        yield case("RotaryEmbedding", [d.normal(B, S, H), np.array([3]), cos, sin], interleaved=interleaved)
        yield case("RotaryEmbedding", [d.normal(B, N, S, 4), places, cos, sin], interleaved=interleaved)


def masks(d: Draw) -> dict[str, np.ndarray | None]:
    """The forms of a mask of keys."""
    rows = d.whole(np.int32, 0, 2, B, S, S) | np.eye(S, dtype=np.int32)
    keys = np.array([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]], np.int32)
    return {"none": None, "keys": keys, "lengths": np.array([3, 5], np.int32), "rows": rows}


@family
def packed_attention(d: Draw) -> Iterator[Case]:
    inputs = [d.normal(B, S, H), d.normal(H, 3 * H, scale=0.3), d.normal(3 * H)]
    for mask in masks(d).values():
        for causal in (0, 1):
            given = inputs if mask is None else [*inputs, mask]
            yield case("Attention", given, constants=(1, 2), num_heads=N, unidirectional=causal)
    yield case("Attention", [*inputs, None, None, d.normal(B, N, S, S)], num_heads=N, scale=0.7)
    past = d.normal(2, B, N, 3, H // N)
    for queries in (1, S):
        given = [inputs[0][:, :queries], *inputs[1:], None, past]
        yield case("Attention", given, outputs=2, num_heads=N, unidirectional=1)
    uneven = [d.normal(B, S, H), d.normal(H, 5 * 8, scale=0.3), d.normal(5 * 8)]
    yield case("Attention", uneven, num_heads=N, qkv_hidden_sizes=[16, 16, 8])


@family
def multi_head_attention(d: Draw) -> Iterator[Case]:
    q, k, v = d.normal(B, S, H), d.normal(B, 7, H), d.normal(B, 7, H)
    yield case("MultiHeadAttention", [q, k, v], num_heads=N)
    yield case("MultiHeadAttention", [q, k, v, d.normal(3 * H)], num_heads=N, scale=0.3)
    kept = (np.arange(7) < np.array([[4], [7]])).astype(np.int32)
    yield case("MultiHeadAttention", [q, k, v, None, kept, d.normal(B, N, S, 7)], num_heads=N)
    yield case("MultiHeadAttention", [q, k[:, :S], v[:, :S]], num_heads=N, unidirectional=1)
    cross = [d.normal(B, N, 7, H // N), d.normal(B, N, 7, H // N)]
    yield case("MultiHeadAttention", [q, *cross], num_heads=N)
    yield case("MultiHeadAttention", [q, *cross, None, kept], num_heads=N)
    past = [d.normal(B, N, 3, H // N), d.normal(B, N, 3, H // N)]
    for causal in (0, 1):
        for mask in (None, (np.arange(3 + S) < np.array([[6], [8]])).astype(np.int32)):
            inputs = [q, k[:, :S], v[:, :S], None, mask, None, *past]
            yield case("MultiHeadAttention", inputs, outputs=3, num_heads=N, unidirectional=causal)
