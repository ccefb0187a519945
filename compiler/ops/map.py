"""`map`: a scalar expression over broadcast inputs; with quantized types a table, an integer addition or product.

A quantized element and a float16 stand for real numbers: the expression sees them in float32."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ..ir import arrays
from ..ir.attributes import expr_attr
from ..ir.evaluation import evaluate
from ..ir.expr import Expr, In, call, peel_clamp
from ..ir.expr_dtypes import infer_dtype
from ..ir.graph import Array, Node
from ..ir.registry import REQUIRED, OpDef, register
from ..ir.types import TensorType, broadcast_shapes
from . import quantized

MAX_INPUTS = 64

__all__ = ["MAX_INPUTS", "IntegerForm", "broadcast_shapes", "integer_form", "seen_as"]


def seen_as(type: TensorType) -> str:
    """The dtype that an expression sees of an operand."""
    return "float32" if type.quant or type.dtype == "float16" else type.dtype


def _infer(node: Node) -> tuple[TensorType, ...]:
    types = [v.type for v in node.inputs]
    dtype = infer_dtype(expr_attr(node, "expr"), [*map(seen_as, types)])
    return (TensorType(broadcast_shapes([t.shape for t in types]), dtype),)


@dataclass(frozen=True)
class IntegerForm:
    """How a map over quantized types is computed without floating point tensors.

    "table": the only input's code selects one of 256 results. "add", "mul": the integer formulas over inputs 0 and 1,
    the result clamped to the codes [lo, hi].
    """

    kind: Literal["table", "add", "mul"]
    lo: int = -128
    hi: int = 127


def integer_form(node: Node) -> IntegerForm | None:
    """The integer form of a map, or None when it is computed in float32 and quantized at the end."""
    types = [*(v.type for v in node.inputs), node.output.type]
    if any(t.quant is None or t.quant.axis is not None or t.dtype not in ("int8", "uint8") for t in types):
        return None
    if len(node.inputs) == 1:
        return IntegerForm("table")
    if len(node.inputs) != 2 or any(t.dtype != "int8" for t in types):
        return None
    expr, y = expr_attr(node, "expr"), node.output.type.quant
    assert y is not None
    core = peel_clamp(expr)[0]
    forms: list[tuple[Literal["add", "mul"], Expr, Expr]] = [("add", In(0), In(1)), ("mul", In(0), In(1))]
    for kind, a, b in forms:
        if core in (call(kind, a, b), call(kind, b, a)):
            _, lo, hi = quantized.clamped_core(expr, y)
            return IntegerForm(kind, lo, hi)
    return None


def _reference(node: Node, inputs: Sequence[Array]) -> tuple[Array, ...]:
    form, y = integer_form(node), node.output.type
    if form is None:
        reals = [
            x if v.type.quant is None else quantized.dequantize(x, v.type.quant)
            for v, x in zip(node.inputs, inputs, strict=True)
        ]
        value = evaluate(expr_attr(node, "expr"), reals, arrays.FUNCTIONS)
        result = np.broadcast_to(value, y.shape)
        return (np.array(result) if y.quant is None else quantized.quantize(result, y.quant, y.dtype),)
    if form.kind == "table":
        table = quantized.map_table(expr_attr(node, "expr"), node.inputs[0].type, y)
        return (table[inputs[0].astype(np.int32) - np.iinfo(inputs[0].dtype).min],)
    a, b, q = node.inputs[0].type.quant, node.inputs[1].type.quant, y.quant
    assert a is not None and b is not None and q is not None
    compute = quantized.add if form.kind == "add" else quantized.mul
    return (compute(inputs[0], inputs[1], (a, b, q), form.lo, form.hi),)


register(OpDef("map", (1, MAX_INPUTS), {"expr": REQUIRED}, _infer, _reference, requantizes=True))
