"""A small decoder as onnxruntime-genai's builder writes one: normalization with residuals, grouped heads that rotate, a
gate; in float32 or with weights of 4 bits. Its weights are seeded."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

WIDTH, HEADS, GROUPS, SIZE, WORDS, LAYERS, BLOCK = 64, 4, 2, 16, 50, 2, 16
MICROSOFT = "com.microsoft"

Array = np.ndarray[Any, Any]


class _Writer:
    """The graph so far. Nodes and constants are called after what they compute."""

    def __init__(self, bits: int) -> None:
        self.rng, self.bits = np.random.default_rng(0), bits
        self.nodes: list[onnx.NodeProto] = []
        self.tensors: list[onnx.TensorProto] = []

    def constant(self, name: str, data: Array) -> str:
        self.tensors.append(numpy_helper.from_array(data, name))
        return name

    def node(self, op: str, inputs: list[str], *outputs: str, domain: str = "", **attributes: Any) -> str:
        self.nodes.append(helper.make_node(op, inputs, outputs, name=f"{outputs[0]}_node", domain=domain, **attributes))
        return outputs[0]

    def scales(self, name: str) -> str:
        return self.constant(name, self.rng.uniform(0.5, 1.5, WIDTH).astype(np.float32))

    def packed(self, name: str, rows: Array, shape: tuple[int, ...]) -> tuple[str, str]:
        """The names of codes, bytes of `shape`, and scales [n, blocks] of a matrix."""
        blocks = rows.reshape(len(rows), -1, BLOCK)
        steps = np.abs(blocks).max(-1, keepdims=True) / 7
        codes = (np.rint(blocks / steps) + 8).astype(np.uint8)
        pairs = (codes[..., ::2] | codes[..., 1::2] << 4).reshape(shape)
        return self.constant(f"{name}.q", pairs), self.constant(f"{name}.s", steps[..., 0].astype(np.float32))

    def product(self, x: str, name: str, k: int, n: int) -> str:
        weights = (self.rng.normal(size=(k, n)) * k**-0.5).astype(np.float32)
        if not self.bits:
            return self.node("MatMul", [x, self.constant(f"{name}.w", weights)], name)
        names = self.packed(name, weights.T, (n, -1, BLOCK // 2))
        more = {"K": k, "N": n, "bits": 4, "block_size": BLOCK}
        return self.node("MatMulNBits", [x, *names], name, domain=MICROSOFT, **more)

    def embedded(self) -> str:
        table = self.rng.normal(size=(WORDS, WIDTH)).astype(np.float32)
        if not self.bits:
            return self.node("Gather", [self.constant("words", table), "input_ids"], "embedded")
        codes, steps = self.packed("words", table, (WORDS, -1))
        more = {"bits": 4, "block_size": BLOCK, "gather_axis": 0, "quantize_axis": 1}
        return self.node("GatherBlockQuantized", [codes, "input_ids", steps], "embedded", domain=MICROSOFT, **more)

    def layer(self, i: int, x: str, residual: str) -> tuple[str, str]:
        """What comes after layer `i`: normalized, and the residual before that."""
        counts = zip("qkv", (HEADS, GROUPS, GROUPS), strict=True)
        parts = [self.product(x, f"{i}.{name}", WIDTH, n * SIZE) for name, n in counts]
        outputs = [f"{i}.mixed", f"present.{i}.key", f"present.{i}.value"]
        past = [f"past.{i}.key", f"past.{i}.value"]
        mixed = self.node(
            "GroupQueryAttention", [*parts, *past, "lengths", "total", "cos", "sin"], *outputs, domain=MICROSOFT,
            num_heads=HEADS, kv_num_heads=GROUPS, do_rotary=1, scale=SIZE**-0.5,
        )  # fmt: skip
        x, residual = self.normalized(f"{i}.attended", residual, self.product(mixed, f"{i}.out", HEADS * SIZE, WIDTH))
        gate, up = (self.product(x, f"{i}.{name}", WIDTH, 2 * WIDTH) for name in ("gate", "up"))
        opened = self.node("Mul", [gate, self.node("Sigmoid", [gate], f"{i}.sigmoid")], f"{i}.silu")
        inner = self.node("Mul", [opened, up], f"{i}.inner")
        return self.normalized(f"{i}.done", residual, self.product(inner, f"{i}.down", 2 * WIDTH, WIDTH))

    def normalized(self, name: str, residual: str, x: str) -> tuple[str, str]:
        outputs = [name, "", "", f"{name}.sum"]
        inputs = [residual, x, self.scales(f"{name}.scale")]
        self.node("SkipSimplifiedLayerNormalization", inputs, *outputs, domain=MICROSOFT, epsilon=1e-5)
        return name, f"{name}.sum"


def write_decoder(path: Path, bits: int = 0) -> None:
    """Write the decoder, for any batch and lengths, with weights of 4 `bits` or of float32."""
    w = _Writer(bits)
    one, first = w.constant("one", np.array([1])), w.constant("first", np.array(1))
    counts = w.node("ReduceSum", ["attention_mask", one], "counts", keepdims=0)
    w.node("Cast", [w.node("Sub", [counts, one], "before")], "lengths", to=TensorProto.INT32)
    extent = w.node("Gather", [w.node("Shape", ["attention_mask"], "extents"), first], "extent", axis=0)
    w.node("Cast", [extent], "total", to=TensorProto.INT32)
    angles = np.arange(32)[:, None] * 10000.0 ** (-np.arange(SIZE // 2) / (SIZE // 2))
    w.constant("cos", np.cos(angles).astype(np.float32))
    w.constant("sin", np.sin(angles).astype(np.float32))
    residual = w.embedded()
    x = w.node("SimplifiedLayerNormalization", [residual, w.scales("scale")], "normal", axis=-1, epsilon=1e-5)
    for i in range(LAYERS):
        x, residual = w.layer(i, x, residual)
    w.product(x, "logits", WIDTH, WORDS)
    port, caches = helper.make_tensor_value_info, [(i, kind) for i in range(LAYERS) for kind in ("key", "value")]
    integers, floats = TensorProto.INT64, TensorProto.FLOAT
    inputs = [port("input_ids", integers, ["n", "rows"]), port("attention_mask", integers, ["n", "total"])]
    inputs += [port(f"past.{i}.{kind}", floats, ["n", GROUPS, "past", SIZE]) for i, kind in caches]
    outputs = [port("logits", floats, ["n", "rows", WORDS])]
    outputs += [port(f"present.{i}.{kind}", floats, ["n", GROUPS, "total", SIZE]) for i, kind in caches]
    graph = helper.make_graph(w.nodes, "decoder", inputs, outputs, w.tensors)
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid(MICROSOFT, 1)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=10), path)


def decoder_feeds(rows: int, past: int) -> dict[str, Array]:
    """One sequence of `rows` tokens after `past` others."""
    rng = np.random.default_rng(2)
    feeds: dict[str, Array] = {"input_ids": rng.integers(0, WORDS, (1, rows))}
    feeds["attention_mask"] = np.ones((1, past + rows), np.int64)
    for i in range(LAYERS):
        for kind in ("key", "value"):
            feeds[f"past.{i}.{kind}"] = rng.normal(size=(1, GROUPS, past, SIZE)).astype(np.float32)
    return feeds
