"""Ops that ONNX Runtime's quantizer and optimizer make of quantized models."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from .nodes import Array, Case, Draw, case, f, family
from .transformers import H, N, S, masks

B = 2
KINDS: tuple[Any, ...] = (np.uint8, np.int8)


def zero(kind: Any, moved: int = 3) -> Array:
    """A zero point near the middle of the codes."""
    return np.array(moved + (128 if kind is np.uint8 else 0), kind)


@family
def qlinear_elementwise(d: Draw) -> Iterator[Case]:
    """Where a sum lies half way between two codes, ONNX Runtime rounds after it has added the zero point;
    QuantizeLinear of the standard, and edgec, before."""
    for kind in KINDS:
        x, y = d.codes(kind, 3, 4, 8), d.codes(kind, 3, 4, 8)
        sides = [x, f(0.0213), zero(kind), y, f(0.0307), zero(kind, -9)]
        scales = tuple(i for i in range(8) if i not in (0, 3))
        yield case("QLinearAdd", [*sides, f(0.0411), zero(kind, 5)], constants=scales)
        yield case("QLinearMul", [*sides, f(0.0313), zero(kind, 5)], constants=scales)
        row = [x, f(0.0213), zero(kind), y[0, 0], f(0.0307), zero(kind), f(0.0411), zero(kind)]
        yield case("QLinearAdd", row, constants=(*scales, 3))
        halves = [x, f(0.02), zero(kind), y, f(0.03), zero(kind), f(0.04), zero(kind)]
        yield case("QLinearAdd", halves, constants=scales, steps=1)
        one = [x, f(0.02), zero(kind), f(0.004), zero(kind, -128)]
        yield case("QLinearSigmoid", one, constants=(1, 2, 3, 4))
        yield case("QLinearLeakyRelu", [*one[:3], f(0.02), zero(kind)], constants=(1, 2, 3, 4), alpha=0.2)
        sides = [x, f(0.02), zero(kind), y, f(0.03), zero(kind), f(0.025), zero(kind)]
        yield case("QLinearWhere", [d.rng.random((3, 4, 8)) < 0.5, *sides], constants=(2, 3, 5, 6, 7, 8))


@family
def qlinear_softmax(d: Draw) -> Iterator[Case]:
    """Ours sums terms of 17 bits, ONNX Runtime's a table of floats."""
    for kind in KINDS:
        x = [d.codes(kind, 3, 4, 8), f(0.05), zero(kind), f(1 / 256), zero(kind, -128)]
        for opset, axis in ((13, 1), (13, -1), (12, 2)):
            yield case("QLinearSoftmax", x, constants=(1, 2, 3, 4), steps=1, axis=axis, opset=opset)


@family
def qlinear_concat(d: Draw) -> Iterator[Case]:
    for kind in KINDS:
        parts = [d.codes(kind, 2, 3, 4), f(0.02), zero(kind), d.codes(kind, 2, 5, 4), f(0.03), zero(kind, -9)]
        yield case("QLinearConcat", [f(0.03), zero(kind), *parts], constants=(0, 1, 3, 4, 6, 7), axis=1)


@family
def qlinear_pools(d: Draw) -> Iterator[Case]:
    window: dict[str, Any] = {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]}
    for kind in KINDS:
        for last in (0, 1):
            x = [
                d.codes(kind, *((1, 8, 9, 6) if last else (1, 6, 8, 9))),
                f(0.0213),
                zero(kind),
                f(0.0197),
                zero(kind, 9),
            ]
            yield case("QLinearAveragePool", x, constants=(1, 2, 3, 4), channels_last=last, **window)
            yield case("QLinearGlobalAveragePool", x, constants=(1, 2, 3, 4), channels_last=last)
        yield case("NhwcMaxPool", [d.codes(kind, 1, 8, 9, 6)], **window)


@family
def qlinear_products(d: Draw) -> Iterator[Case]:
    for kind in KINDS:
        x, w = d.codes(kind, 1, 8, 9, 6), d.whole(np.int8, -60, 60, 5, 6, 3, 3)
        scales = [f(0.02), zero(kind), w, d.rng.uniform(0.002, 0.01, 5).astype(np.float32), np.zeros(5, np.int8)]
        inputs = [x, *scales, f(0.06), zero(kind, 7), d.whole(np.int32, -900, 900, 5)]
        known = tuple(range(1, 9))
        yield case("QLinearConv", inputs, constants=known, channels_last=1, pads=[1, 1, 1, 1])
        yield case("QLinearConv", inputs, constants=known, channels_last=1, strides=[2, 2])
        x, w = d.codes(kind, 4, 24), d.codes(kind, 6, 24)
        inputs = [x, f(0.02), zero(kind), w, f(0.004), zero(kind, 0), d.whole(np.int32, -900, 900, 6)]
        yield case("QGemm", [*inputs, f(0.05), zero(kind, 7)], constants=tuple(range(1, 9)), transB=1)
        yield case("QGemm", inputs, constants=tuple(range(1, 7)), transB=1)


@family
def quantized_attention(d: Draw) -> Iterator[Case]:
    inputs = [
        d.codes(np.uint8, B, S, H), d.codes(np.uint8, H, 3 * H), d.normal(3 * H), f(0.02), f(0.01), masks(d)["keys"],
        np.array(120, np.uint8), np.array(130, np.uint8),
    ]  # fmt: skip
    yield case("QAttention", inputs, constants=(1, 2, 3, 4, 6, 7), num_heads=N)


@family
def integer_products(d: Draw) -> Iterator[Case]:
    for kind in KINDS:
        a, b, middle = d.codes(np.uint8, S, H), d.codes(kind, H, 6), np.array(np.iinfo(kind).max // 2, kind)
        more = [f(0.02), f(0.01), np.array(100, np.uint8), middle, d.normal(6)]
        yield case("MatMulIntegerToFloat", [a, b, *more], constants=(1, 5))
        yield case("MatMulIntegerToFloat", [a, b, f(0.02), d.normal(6)], constants=(1,))
        yield case("DynamicQuantizeMatMul", [d.normal(S, H), b, f(0.01)], constants=(1,))
        yield case("DynamicQuantizeMatMul", [d.normal(S, H), b, f(0.01), middle, d.normal(6)], constants=(1, 3))


def recurrent(
    d: Draw, kind: Any, direction: str, batch: int, *, columns: bool, states: bool = False
) -> tuple[list[Array | None], dict[str, Any]]:
    """Inputs and attributes of a DynamicQuantizeLSTM with as many scales as `columns`, or one a direction."""
    hidden, depth, directions = 5, 6, 2 if direction == "bidirectional" else 1
    weights = [d.codes(kind, directions, k, 4 * hidden) for k in (depth, hidden)]
    shape = (directions, 4 * hidden) if columns else (directions,)
    scales = [f(d.rng.uniform(0.004, 0.01, shape)) for _ in range(2)]
    middle = np.full(shape, 0 if kind is np.int8 else 128, kind)
    initial = [d.normal(directions, batch, hidden) if states else None for _ in range(2)]
    inputs = [d.normal(4, batch, depth), *weights, d.normal(directions, 8 * hidden), None, *initial, None]
    return [*inputs, scales[0], middle, scales[1], middle], {"hidden_size": hidden, "direction": direction}


@family
def dynamic_quantize_lstm(d: Draw) -> Iterator[Case]:
    for kind in KINDS:
        for direction in ("forward", "reverse", "bidirectional"):
            for batch, columns, states in ((1, False, False), (1, True, True), (3, True, False), (3, False, True)):
                inputs, more = recurrent(d, kind, direction, batch, columns=columns, states=states)
                yield case("DynamicQuantizeLSTM", inputs, outputs=3, constants=(1, 2, 3, 8, 9, 10, 11), **more)


@family
def few_bits(d: Draw) -> Iterator[Case]:
    k, n, block, blocks = 40, 6, 16, 3
    for bits in (2, 4, 8):
        packed, scales = d.codes(np.uint8, n, blocks, block * bits // 8), d.normal(n * blocks)
        inputs = [d.normal(S, k), packed, scales]
        more: dict[str, Any] = {"K": k, "N": n, "bits": bits, "block_size": block, "accuracy_level": 1}
        yield case("MatMulNBits", inputs, constants=(1, 2), **more)
        points = d.codes(np.uint8, n * ((blocks * bits + 7) // 8))
        yield case("MatMulNBits", [*inputs, points], constants=(1, 2, 3), **more)


@family
def bitsandbytes(d: Draw) -> Iterator[Case]:
    k, n, block = 32, 6, 16
    for kind in (0, 1):
        inputs = [d.normal(S, k), d.codes(np.uint8, n * k // 2), d.normal(n * k // block)]
        yield case("MatMulBnb4", inputs, constants=(1, 2), K=k, N=n, block_size=block, quant_type=kind)


@family
def gathered_blocks(d: Draw) -> Iterator[Case]:
    rows, extent, block, indices = 9, 64, 16, d.whole(np.int64, -9, 9, 2, 3)
    for bits in (4, 8):
        blocks, held = extent // block, 8 // bits
        data, scales = d.codes(np.uint8, rows, extent // held), d.normal(rows, blocks)
        more: dict[str, Any] = {"bits": bits, "block_size": block, "gather_axis": 0, "quantize_axis": 1}
        yield case("GatherBlockQuantized", [data, indices, scales], constants=(0, 2), **more)
        zeros = d.codes(np.uint8, rows, blocks // held)
        yield case("GatherBlockQuantized", [data, indices, scales, zeros], constants=(0, 2, 3), **more)


@family
def quantized_embeddings(d: Draw) -> Iterator[Case]:
    ids, mask = d.whole(np.int32, 0, 30, B, S), (np.arange(S) < np.array([[3], [5]])).astype(np.int32)
    tables = [d.codes(np.uint8, rows, H) for rows in (30, 9, 2)] + [d.codes(np.uint8, H) for _ in range(2)]
    scales, zeros = [f(v) for v in d.rng.uniform(0.01, 0.03, 5)], [zero(np.uint8, v) for v in (-9, 0, 4, 20, 7)]
    words, positions, kinds, *affine = tables
    inputs = [ids, d.whole(np.int32, 0, 2, B, S), words, positions, kinds, *affine, mask, *scales, *zeros]
    yield case("QEmbedLayerNormalization", inputs, outputs=2, constants=(*range(2, 7), *range(8, 18)))
    absent = (1, 4, 10, 15)
    inputs = [None if i in absent else a for i, a in enumerate(inputs)]
    yield case("QEmbedLayerNormalization", inputs, outputs=2, constants=(*range(2, 7), *range(8, 18)))
