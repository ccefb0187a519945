"""Ops with a `layout`: NHWC gives the transposed result of NCHW, byte for byte."""

import numpy as np
import pytest

from edgec.compiler.ir.parser import parse_graph
from edgec.compiler.ir.verify import verify
from edgec.compiler.ops.reference import run_graph

OPS = [
    ("conv2d(%x, %w)", "pads=(1, 0, 1, 1)", (1, 6, 7, 8)),
    ("conv_transpose2d(%x, %v)", "strides=(2, 1)", (1, 3, 15, 10)),
    ("max_pool2d(%x)", "kernel=(3, 2), strides=(2, 1), pads=(1, 0, 0, 1)", (1, 4, 3, 8)),
    ("avg_pool2d(%x)", "kernel=(3, 2), pads=(1, 0, 0, 1)", (1, 4, 6, 8)),
    ("lrn(%x)", "size=3", (1, 4, 7, 8)),
    ("resize(%x)", 'mode="linear", sizes=(9, 5), scales=(1.3, 0.6)', (1, 4, 9, 5)),
    ("resize(%x)", 'mode="nearest", sizes=(14, 16), scales=(2.0, 2.0)', (1, 4, 14, 16)),
]


@pytest.mark.parametrize(("call", "attrs", "shape"), OPS)
def test_channels_last(call, attrs, shape):
    rng = np.random.default_rng(1)
    x = rng.normal(size=(1, 4, 7, 8)).astype(np.float32)
    arrays = {
        "w": rng.normal(size=(6, 4, 3, 2)).astype(np.float32),
        "v": rng.normal(size=(4, 3, 3, 3)).astype(np.float32),
    }

    def run(x, x_shape, y_shape, layout):
        ports = f"%x: float32[{','.join(map(str, x_shape))}], %w: float32[6,4,3,2], %v: float32[4,3,3,3]"
        body = f'%y: float32[{",".join(map(str, y_shape))}] = {call} {{{attrs}, layout="{layout}"}}'
        graph = parse_graph(f"graph @g({ports}) -> (%y) {{ {body} }}")
        verify(graph)
        return run_graph(graph, {"x": x} | arrays)["y"]

    first = run(x, x.shape, shape, "NCHW")
    n, c, h, w = shape
    last = run(np.ascontiguousarray(x.transpose(0, 2, 3, 1)), (1, 7, 8, 4), (n, h, w, c), "NHWC")
    assert first.shape == shape
    np.testing.assert_array_equal(last.transpose(0, 3, 1, 2), first)
