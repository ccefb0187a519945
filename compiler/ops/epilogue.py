"""What follows the sum of products of `conv2d` and `matmul`: y = residual_activation(activation(acc) + residual)."""

from collections.abc import Mapping, Sequence
from math import prod

import numpy as np

from ..ir import arrays
from ..ir.attributes import activation_attr, bool_attr, quant_attr
from ..ir.evaluation import evaluate
from ..ir.expr_dtypes import infer_dtype
from ..ir.extent import is_symbolic
from ..ir.graph import Array, Node
from ..ir.types import TensorType
from . import quantized

ATTRS: Mapping[str, object] = {
    "activation": None, "conv_quant": None, "residual_activation": None, "fixed_point": False,
}  # fmt: skip
"""`activation`, `residual_activation`: unary expressions. `conv_quant`: with a quantized residual, the quantization of
`activation(acc)`. `fixed_point`: sums are scaled by odd multipliers, with exact products (`quantized.rescale`)."""

X, W, BIAS, RESIDUAL = range(4)
"""Positions of the inputs; a node with a residual has a bias too."""


def codes_rows(node: Node) -> bool:
    """Whether the data is float32 and the weights int8 codes: then the node makes codes of the data's rows itself, as
    `row_codes` says."""
    x, w = (v.type for v in node.inputs[:2])
    return x.dtype == "float32" and x.quant is None and w.dtype == "int8" and w.quant is not None


def check(node: Node, channels: int, *, rows: bool = False) -> None:
    """ValueError unless dtypes, quantizations, bias [channels] and activation go together. `rows`: the op makes codes
    of rows."""
    x, w = (v.type for v in node.inputs[:2])
    if rows and codes_rows(node):
        if w.quant is None or any(w.quant.zero_point) or not node.inputs[W].is_const:
            raise ValueError("weights of float32 data must be constant where they are quantized, without zero points")
    elif (x.quant is None) != (w.quant is None):
        raise ValueError("its data and weights must both be quantized, or neither")
    if x.quant is not None:
        quantized.scalar(x.quant)
        if (x.dtype, w.dtype) != ("int8", "int8"):
            raise ValueError(f"quantized data and weights must be int8, not {x.dtype} and {w.dtype}")
    elif not codes_rows(node) and (x.dtype != w.dtype or ("float" not in x.dtype and x.dtype != "int8")):
        raise ValueError(f"its data and weights must both be floating point or both int8, not {x.dtype} and {w.dtype}")
    if len(node.inputs) > BIAS:
        bias = node.inputs[BIAS].type
        wanted = "int32" if x.dtype == "int8" else _real(x)
        if bias.shape != (channels,) or bias.dtype != wanted:
            raise ValueError(f"its bias is {bias.dtype}{list(bias.shape)}, but must be {wanted}[{channels}]")
    _check_activation(node, "activation")


def sums_dtype(x: TensorType) -> str:
    """The dtype of the op's result before it is quantized: int8 without quantization gives its int32 sums."""
    return "float32" if x.quant else "int32" if x.dtype == "int8" else x.dtype


def _real(x: TensorType) -> str:
    """The dtype in which the data `x` are computed."""
    return "float32" if x.quant or x.dtype == "float16" else x.dtype


def _check_activation(node: Node, name: str) -> None:
    """ValueError unless the activation is a float32 function of `%0`, and a clamp where the types are quantized."""
    activation = activation_attr(node, name)
    if activation is None:
        return
    x = node.inputs[X].type
    real = _real(x)
    if real == "int8":
        raise ValueError(f"sums of int8 products have no {name}")
    if infer_dtype(activation, [real]) != real:
        raise ValueError(f"its {name} must be a function from {real} to {real}")
    if x.quant is not None:
        quantized.clamp(activation)


def repeats(residual: Sequence[int], shape: Sequence[int]) -> bool:
    """Whether a residual of one shape can be added to matrices of another: it has all their columns, and in other
    dimensions their extent or 1. What is 1 in some runs only is not."""
    if len(residual) != len(shape) or residual[-1:] != shape[-1:]:
        return False
    pairs = zip(residual, shape, strict=True)
    return all((not is_symbolic(r) and r == 1) or (is_symbolic(r) == is_symbolic(d) and r == d) for r, d in pairs)


def check_residual(node: Node, y: TensorType, *, repeated: bool = False) -> None:
    """ValueError unless the residual has the shape of the output `y`, or, if it may be `repeated` and is not quantized,
    one that is repeated to it, and attributes about it come with it only."""
    quant = quant_attr(node, "conv_quant")
    has_residual = len(node.inputs) > RESIDUAL
    own = node.inputs[RESIDUAL].type.shape if has_residual else y.shape
    if own != y.shape and not (repeated and quant is None and repeats(own, y.shape)):
        raise ValueError(f"its residual has the shape {list(own)}, the output {list(y.shape)}")
    if has_residual and y.dtype == "int32":
        raise ValueError("sums of int8 products have no residual")
    if (quant is not None) != (has_residual and node.inputs[X].type.quant is not None):
        raise ValueError("conv_quant must be given with a quantized residual, and only then")
    if not has_residual and activation_attr(node, "residual_activation") is not None:
        raise ValueError("residual_activation needs a residual")
    _check_activation(node, "residual_activation")


def biased(acc: Array, inputs: Sequence[Array], axis: int) -> Array:
    """Sums of products `acc`, whose channels lie along `axis`, and the bias, if there is one."""
    return acc + inputs[BIAS].reshape(_channels(acc, axis)) if len(inputs) > BIAS else acc


def finish(node: Node, acc: Array, inputs: Sequence[Array], axis: int) -> Array:
    """The op's result of its `biased` sums `acc`, whose channels lie along `axis`.

    `acc` is float, or int32 for quantized types; activations, residual and requantization happen here.
    """
    channels = _channels(acc, axis)
    if node.output.type.quant is not None:
        return _finish_quantized(node, acc, inputs, channels)
    activation = activation_attr(node, "activation")
    y = acc if activation is None else evaluate(activation, [acc], arrays.FUNCTIONS)
    if len(inputs) <= RESIDUAL:
        return y
    after = activation_attr(node, "residual_activation")
    return y + inputs[RESIDUAL] if after is None else evaluate(after, [y + inputs[RESIDUAL]], arrays.FUNCTIONS)


def _channels(acc: Array, axis: int) -> list[int]:
    """The shape of what there is one of for each channel."""
    shape = [1] * acc.ndim
    shape[axis] = acc.shape[axis]
    return shape


def _finish_quantized(node: Node, acc: Array, inputs: Sequence[Array], channels: list[int]) -> Array:
    x, w, y = node.inputs[X].type.quant, node.inputs[W].type.quant, node.output.type.quant
    assert x is not None and w is not None and y is not None
    has_residual = len(inputs) > RESIDUAL
    conv = (quant_attr(node, "conv_quant") if has_residual else None) or y
    fixed_point = bool_attr(node, "fixed_point")
    multiplier = quantized.requant_multiplier(x, w, conv, fixed_point=fixed_point)
    if multiplier.size > 1:
        multiplier = multiplier.reshape(channels)
    lo, hi = quantized.saturation(activation_attr(node, "activation"), conv)
    scale = quantized.rescale if fixed_point else quantized.requantize
    result = scale(acc, multiplier, quantized.scalar(conv)[1], lo, hi)
    if not has_residual:
        return result
    residual = node.inputs[RESIDUAL].type.quant
    assert residual is not None
    lo, hi = quantized.saturation(activation_attr(node, "residual_activation"), y)
    return quantized.add(result, inputs[RESIDUAL], (conv, residual, y), lo, hi)


def integer_operands(node: Node, x: Array, w: Array, products: int) -> tuple[Array, Array]:
    """int8 data and weights minus their zero points, as `exact_operands`."""
    return exact_operands(_integers(x, node.inputs[X].type), _integers(w, node.inputs[W].type), products)


def exact_operands(a: Array, b: Array, products: int) -> tuple[Array, Array]:
    """Integers as floats in which sums of `products` products are exact: numpy multiplies integer matrices slowly,
    floating point ones by BLAS."""
    largest = prod(int(np.abs(v.astype(np.int32)).max(initial=0)) for v in (a, b)) * products
    dtype = np.float32 if largest < 2**24 else np.float64
    return a.astype(dtype), b.astype(dtype)


def _integers(codes: Array, type: TensorType) -> Array:
    wide = codes.astype(np.int16)
    return wide if type.quant is None else wide - type.quant.broadcast(codes.ndim)[1]


def to_int32(acc: Array) -> Array:
    """Exact floating point sums as the int32 accumulators of the contract (which wrap around)."""
    return acc.astype(np.int64).astype(np.int32)
