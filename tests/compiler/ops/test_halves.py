"""Numbers stored as float16."""

import numpy as np
import pytest
import torch

from edgec.compiler.ir.expr import Expr, In, call
from edgec.compiler.ir.expr_text import parse
from edgec.compiler.ir.graph import Node, Value, constant
from edgec.compiler.ir.types import TensorType
from edgec.compiler.ops.halves import rounded
from edgec.compiler.ops.reference import run_node


def test_rounding() -> None:
    """numpy's where a float16 is near enough; the largest one beyond, not infinity; NaN stays."""
    halves = np.arange(2**16, dtype=np.uint16).view(np.float16)
    near = halves[np.isfinite(halves)].astype(np.float32)
    between = (near[:-1] + near[1:]) / 2
    for x in (near, between[np.abs(between) < 65504]):
        np.testing.assert_array_equal(rounded(x), x.astype(np.float16))
    beyond = np.array([65520, 1e6, np.inf, -65520, -np.inf, np.nan], np.float32)
    np.testing.assert_array_equal(rounded(beyond), np.array([65504] * 3 + [-65504] * 2 + [np.nan], np.float16))


def test_a_convolution_is_computed_in_float32() -> None:
    """And rounded once: sums of products that float16 could not hold come out right."""
    rng = np.random.default_rng(0)
    x, w = rng.normal(0, 300, (1, 40, 5, 6)).astype(np.float16), rng.normal(size=(7, 40, 3, 3)).astype(np.float16)
    bias = rng.normal(size=7).astype(np.float32)
    y = Value("y", TensorType((1, 7, 3, 4), "float16"))
    node = Node("conv2d", [Value("x", TensorType(x.shape, "float16")), constant("w", w), constant("b", bias)], [y])
    (got,) = run_node(node, [x, w, bias])
    operands = [torch.tensor(a.astype(np.float64)) for a in (x, w, bias)]
    wide = torch.nn.functional.conv2d(operands[0], operands[1], operands[2]).numpy()
    assert got.dtype == np.float16
    np.testing.assert_allclose(got.astype(np.float64), wide, rtol=2**-10)


@pytest.mark.parametrize(
    ("expr", "dtype", "want"),
    [
        (parse("mul(%0, %0)"), "float16", [65504, 4, np.nan]),
        (parse("mul(%0, %0)"), "float32", [9e6, 4, np.nan]),
        (call("cast", parse("mul(%0, %0)"), dtype="float16"), "float16", [np.inf, 4, np.nan]),
        (In(0), "float32", [3000, -2, np.nan]),
    ],
)
def test_a_map_saturates_what_it_stores(expr: Expr, dtype: str, want: list[float]) -> None:
    """A cast of the model's own is infinite beyond the largest float16, as in ONNX."""
    x = np.array([3000, -2, np.nan], np.float16)
    node = Node("map", [Value("x", TensorType((3,), "float16"))], [Value("y", TensorType((3,), dtype))], {"expr": expr})
    (got,) = run_node(node, [x])
    assert got.dtype == dtype
    np.testing.assert_array_equal(got, np.array(want, dtype))
