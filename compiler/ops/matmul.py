"""`matmul`, and ONNX's MatMul, Gemm and QLinearMatMul.

float32 data times int8 codes of constant weights: codes of the data's rows are multiplied (`row_codes`).
"""

from collections.abc import Callable, Sequence
from math import prod

import numpy as np

from ..ir.attributes import ints_attr
from ..ir.expr import In, call
from ..ir.graph import Array, Node, Value
from ..ir.registry import OpDef, attr, register
from ..ir.types import TensorType
from . import epilogue, float_products, row_codes
from .builder import Builder
from .constness import known
from .map import broadcast_shapes
from .onnx_node import MICROSOFT, OnnxNode, onnx_op
from .qdq import quantized_bias, quantized_constant, quantized_output, quantized_value

MAX_PRODUCTS = 2**26
"""Elementwise products in a product of integer matrices."""


ATTRS = {**epilogue.ATTRS, "x_perm": None, "w_perm": None}
"""`x_perm`, `w_perm`: the dimensions of the first operand, but the last, and of a computed second one are permuted so
before they are multiplied."""


def first_operand(node: Node) -> tuple[int, ...]:
    """The order in which the first operand's dimensions are taken; ValueError unless `x_perm` is a permutation that
    keeps the last one."""
    rank = node.inputs[epilogue.X].type.rank
    if attr(node, "x_perm") is None:
        return tuple(range(rank))
    perm = ints_attr(node, "x_perm", rank)
    if sorted(perm) != list(range(rank)) or perm[-1] != rank - 1:
        raise ValueError(f"its x_perm {list(perm)} must permute {rank} dimensions and leave the last in its place")
    return perm


def second_operand(node: Node) -> tuple[int, ...]:
    """The order in which the second operand's dimensions are taken; ValueError unless `w_perm` is a permutation."""
    rank = node.inputs[epilogue.W].type.rank
    if attr(node, "w_perm") is None:
        return tuple(range(rank))
    perm = ints_attr(node, "w_perm", rank)
    if sorted(perm) != list(range(rank)) or node.inputs[epilogue.W].is_const:
        raise ValueError(f"its w_perm {list(perm)} must permute the {rank} dimensions of a computed operand")
    return perm


def _infer(node: Node) -> tuple[TensorType, ...]:
    a, w = (v.type for v in node.inputs[:2])
    a = a.with_shape(tuple(a.shape[p] for p in first_operand(node)))
    w = w.with_shape(tuple(w.shape[p] for p in second_operand(node)))
    if a.rank < 2 or w.rank < 2 or a.shape[-1] != w.shape[-2]:
        raise ValueError(f"matrices {list(a.shape)} and {list(w.shape)} cannot be multiplied")
    per_column = node.inputs[epilogue.W].is_const
    if w.quant is not None and w.quant.axis not in (None, w.rank - 1 if per_column else None):
        raise ValueError("its second matrix must be quantized per tensor, or per column where it is constant")
    batch = broadcast_shapes([a.shape[:-2], w.shape[:-2]])
    y = TensorType((*batch, a.shape[-2], w.shape[-1]), epilogue.sums_dtype(a))
    epilogue.check(node, channels=w.shape[-1], rows=True)
    epilogue.check_residual(node, y, repeated=True)
    return (y,)


def _reference(node: Node, inputs: Sequence[Array]) -> tuple[Array, ...]:
    acc = _sums(node, inputs)
    return (epilogue.finish(node, acc, inputs, acc.ndim - 1),)


def _sums(node: Node, inputs: Sequence[Array]) -> Array:
    """Of products and the bias."""
    first, second = inputs[0].transpose(first_operand(node)), inputs[1].transpose(second_operand(node))
    if epilogue.codes_rows(node):
        codes, scales = row_codes.row_codes(first)
        columns = node.inputs[1].type.quant
        assert columns is not None
        x, w = epilogue.exact_operands(codes, second, products=codes.shape[-1])
        sums = epilogue.to_int32(np.matmul(x, w))
        acc = row_codes.scaled(sums, scales, columns.broadcast(second.ndim)[0])
    elif node.inputs[0].type.dtype == "float32":
        return float_products.multiply(first, second, *inputs[epilogue.BIAS : epilogue.RESIDUAL])
    else:
        x, w = epilogue.integer_operands(node, first, second, products=first.shape[-1])
        acc = epilogue.to_int32(np.matmul(x, w))
    return epilogue.biased(acc, inputs, acc.ndim - 1)


register(OpDef("matmul", (2, 4), ATTRS, _infer, _reference, requantizes=True))


@onnx_op("MatMul")
def _matmul(b: Builder, node: OnnxNode) -> Value:
    return with_vectors(b, node.input(0), node.input(1), lambda x, w: multiply(b, x, w))


def multiply(b: Builder, x: Value, w: Value) -> Value:
    """The product of matrices of any numbers: of floats in float32, of integers as a sum of elementwise products."""
    dtype = x.type.dtype
    if dtype != w.type.dtype or dtype == "bool":
        raise ValueError(f"it multiplies {dtype} and {w.type.dtype}; operands must be numbers of one dtype")
    if dtype == "float32":
        return b.emit("matmul", x, w)
    if "float" in dtype:
        y = b.emit("matmul", *(b.map(call("cast", In(0), dtype="float32"), v) for v in (x, w)))
        return b.map(call("cast", In(0), dtype=dtype), y)
    rows = b.reshape(x, (*x.type.shape, 1))
    columns = b.reshape(w, (*w.type.shape[:-2], 1, *w.type.shape[-2:]))
    shape = broadcast_shapes([rows.type.shape, columns.type.shape])
    if prod(shape) > MAX_PRODUCTS:
        raise ValueError(
            f"it takes {prod(shape)} products of {dtype}; at most {MAX_PRODUCTS} are supported: cast its input to float"
        )
    products = b.map(call("mul", In(0), In(1)), rows, columns)
    return b.emit("reduce", products, kind="sum", axes=(len(shape) - 2,), keepdims=False)


@onnx_op("QLinearMatMul", takes_codes=True)
def _qlinear_matmul(b: Builder, node: OnnxNode) -> Value:
    x, w = quantized_value(b, node, 0), node.input(3)
    w = quantized_constant(b, node, 3, axis=w.type.rank - 1) if w.is_const else quantized_value(b, node, 3)
    quant = quantized_output(b, node, 6)
    return with_vectors(b, x, w, lambda x, w: b.emit("matmul", x, w, quant=quant))


def with_vectors(b: Builder, x: Value, w: Value, emit: Callable[[Value, Value], Value]) -> Value:
    """`emit(x, w)`; a vector counts as a matrix of one row (`x`) or column (`w`) that the result lacks, as in numpy."""
    if 0 in (x.type.rank, w.type.rank):
        raise ValueError("it multiplies a scalar; vectors and matrices are supported")
    rows = x if x.type.rank > 1 else b.reshape(x, (1, *x.type.shape))
    columns = w if w.type.rank > 1 else b.reshape(w, (*w.type.shape, 1))
    y = emit(rows, columns)
    shape = list(y.type.shape)
    if w.type.rank == 1:
        shape.pop(-1)
    if x.type.rank == 1:
        shape.pop(-1 if w.type.rank == 1 else -2)
    return b.reshape(y, shape)


@onnx_op("FusedMatMul", "TransposeMatMul", domain=MICROSOFT)
def _fused_matmul(b: Builder, node: OnnxNode) -> Value:
    """alpha times the product of operands of which matrices, or their batches, are transposed first."""
    x, w = (_transposed(b, node.input(i), node, side) for i, side in enumerate("AB"))
    y = with_vectors(b, x, w, lambda x, w: multiply(b, x, w))
    alpha = node.number("alpha", 1.0)
    return y if alpha == 1.0 else b.map(call("mul", In(0), alpha), y)


def _transposed(b: Builder, x: Value, node: OnnxNode, side: str) -> Value:
    """`transBatch`: the first dimension moves before the last; `trans`: then the last two change places."""
    if x.type.rank < 2:
        return x
    order = list(range(x.type.rank))
    if node.integer(f"transBatch{side}", 0):
        order.insert(x.type.rank - 2, order.pop(0))
    if node.integer(f"trans{side}", 0):
        order[-2:] = order[:-3:-1]
    return b.transpose(x, order)


@onnx_op("Gemm")
def _gemm(b: Builder, node: OnnxNode) -> Value:
    x, w, c = node.input(0), node.input(1), node.optional(2)
    if (x.type.rank, w.type.rank) != (2, 2):
        raise ValueError(f"it multiplies {list(x.type.shape)} and {list(w.type.shape)}, but takes matrices")
    alpha, beta = node.number("alpha", 1.0), node.number("beta", 1.0)
    x = b.transpose(x, (1, 0)) if node.integer("transA", 0) else x
    w = b.transpose(w, (1, 0)) if node.integer("transB", 0) else w
    if c is not None and beta != 1.0:
        c = b.map(call("mul", In(0), beta), c)
    fits = alpha == 1.0 and x.type.dtype == "float32"
    if c is not None and fits and (bias := _as_bias(b, c, w.type.shape[1])) is not None:
        return b.emit("matmul", x, w, bias)
    y = multiply(b, x, w)
    if alpha != 1.0:
        y = b.map(call("mul", In(0), alpha), y)
    return y if c is None else b.map(call("add", In(0), In(1)), y, c)


def _as_bias(b: Builder, c: Value, columns: int) -> Value | None:
    """`c` as a constant vector with an element a column, or None if it is a matrix of several rows or computed."""
    if not known(c):
        return None
    if c.type.size == columns:
        return b.reshape(c, (columns,)) if c.type.shape[-1:] == (columns,) else None
    if c.data is None or c.type.size != 1:
        return None
    return b.constant(np.repeat(c.data.reshape(-1), columns))


@onnx_op("QGemm", domain=MICROSOFT, takes_codes=True)
def _qgemm(b: Builder, node: OnnxNode) -> Value:
    if node.number("alpha", 1.0) != 1.0:
        raise ValueError("its alpha is not 1; only 1 is supported")
    transposed = node.integer("transB", 0)
    x, w = quantized_value(b, node, 0), quantized_constant(b, node, 3, axis=0 if transposed else 1)
    x = b.transpose(x, (1, 0)) if node.integer("transA", 0) else x
    w = b.transpose(w, (1, 0)) if transposed else w
    inputs = [x, w] if node.optional(6) is None else [x, w, quantized_bias(b, node.input(6), x, w)]
    if node.optional(7) is None:
        return b.emit("matmul", *(b.map(In(0), v) for v in inputs))
    return b.emit("matmul", *inputs, quant=quantized_output(b, node, 7))
