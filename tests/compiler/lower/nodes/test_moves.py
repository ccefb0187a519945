"""Ops that only move data, where lowering lets them share memory."""

import numpy as np

import edgec.compiler.ops  # noqa: F401  (fills the op registry)
from edgec.compiler.ir.expr import In, call
from edgec.compiler.ir.graph import Graph, Value
from edgec.compiler.ir.types import TensorType
from edgec.compiler.ops.builder import Builder
from edgec.tests.compiler.lower.running import check

RNG = np.random.default_rng(7)


def test_a_pad_that_is_some_channels_of_a_concat_leaves_the_others_alone(tmp_path) -> None:
    x, z = (Value(name, TensorType((1, 5, size, 1), "float32")) for name, size in (("x", 7), ("z", 4)))
    b = Builder(taken=["x", "z"])
    before, after = (b.map(call(fn, In(0)), x) for fn in ("neg", "abs"))
    padded = b.emit("pad", z, pads=(0, 0, 2, 0, 0, 0, 1, 0), value=0.5, mode="constant")
    y = b.emit("concat", before, padded, after, axis=3)
    feeds = {v.name: RNG.normal(size=v.type.shape).astype(np.float32) for v in (x, z)}
    check(Graph("g", [x, z], [y], b.nodes), feeds, tmp_path)
