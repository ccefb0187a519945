"""Ops on bytes that are defined by real numbers or sums of products."""

from ...ops.onnx_node import MICROSOFT
from .call import Call
from .registry import function


@function("QAttention", "x, weights, biases, x_scale, w_scale, mask, x_zero, w_zero, past", "y, present")
def _quantized_attention(c: Call) -> str:
    zeros = [", " + name if c.has(i) else "" for i, name in ((6, "x_zero"), (7, "w_zero"))]
    optional = [name if c.has(i) else '""' for i, name in ((5, "mask"), (8, "past"))]
    kept = ("num_heads", "unidirectional", "scale", "mask_filter_value")
    attributes = c.given(**dict(zip(kept, kept, strict=True)))
    return (
        f"real = DequantizeLinear(x, x_scale{zeros[0]})\n w = DequantizeLinear<axis = 1>(weights, w_scale{zeros[1]})\n"
        f"y, present = {MICROSOFT}.Attention{attributes}(real, w, biases, {', '.join(optional)})"
    )


@function("MatMulIntegerToFloat", "a, b, a_scale, b_scale, a_zero, b_zero, bias", "y")
def _matmul_integer_to_float(c: Call) -> str:
    zeros = [name if c.has(i) else '""' for i, name in ((4, "a_zero"), (5, "b_zero"))]
    lines = f"sums = MatMulInteger(a, b, {', '.join(zeros)})\n real = Cast<to = 1>(sums)\n"
    lines += "scale = Mul(a_scale, b_scale)\n scaled = Mul(real, scale)\n"
    return lines + ("y = Add(scaled, bias)" if c.has(6) else "y = Identity(scaled)")


@function("DynamicQuantizeMatMul", "a, b, b_scale, b_zero, bias", "y")
def _dynamic_quantize_matmul(c: Call) -> str:
    rest = [name if c.has(i) else '""' for i, name in ((3, "b_zero"), (4, "bias"))]
    return (
        "codes, a_scale, a_zero = DynamicQuantizeLinear(a)\n"
        f"y = {MICROSOFT}.MatMulIntegerToFloat(codes, b, a_scale, b_scale, a_zero, {', '.join(rest)})"
    )


@function("QLinearWhere", "condition, x, x_scale, x_zero, z, z_scale, z_zero, y_scale, y_zero", "y")
def _qlinear_where(c: Call) -> str:
    return (
        "a = DequantizeLinear(x, x_scale, x_zero)\n b = DequantizeLinear(z, z_scale, z_zero)\n"
        "chosen = Where(condition, a, b)\n y = QuantizeLinear(chosen, y_scale, y_zero)"
    )
