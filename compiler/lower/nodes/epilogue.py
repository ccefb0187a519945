"""What a convolution or matrix product does with its sums: bias, requantization, activations, the residual."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ....errors import EdgeError
from ...ir.attributes import activation_attr, bool_attr, quant_attr
from ...ir.evaluation import fold
from ...ir.expr import Expr
from ...ir.extent import largest
from ...ir.graph import Array, Node
from ...ir.lifting import BOUNDED, bounds, lifted
from ...ir.types import Quant
from ...kernels.convolutions.activation import constants
from ...kernels.convolutions.rescale import Scaling, multiplies_steps, scaling_of
from ...kernels.emit.quantization import OFFSET, SumForm
from ...ops import epilogue as op
from ...ops import quantized
from ..buffers import Ref
from ..context import Context
from .pack import float_bits
from .sums import sum_params

_LARGER: Mapping[Scaling, Scaling] = {
    "small": "medium", "medium": "medium", "any": "any", "offset": "float", "float": "float",
}  # fmt: skip
"""Of sums that are not said to be small."""


@dataclass(frozen=True)
class Epilogue:
    """The epilogue of a node, for all its output channels or a range of them.

    `bias`: [channels] float32, or int32. `multiplier`: [channels] float32 for int8, empty for floats. `x_zero`: the
    zero point of the data. `sum_form`: as in `ContractionSpec`. `clamped`: int8 results lie in less than [-128,
    127]. `halved`: float32 results are stored as float16. `sums`: the result is the int32 sums of int8. `scaled`: as in
    `ContractionSpec`; the bias is float32 then, and the multipliers are the columns' scales. `fixed_point`: as in the
    op. `activation`, `residual_activation`: of floats.
    `table`: what int8 results are looked up in, in place of a residual. `params`: the kernel's parameters.
    `small_sums`: they get code of their own. `second_bias`, `has_fixed_point`: of the target, for int8.
    """

    dtype: str
    bias: Array
    residual: bool
    multiplier: Array = field(default_factory=lambda: np.zeros(0, np.float32))
    x_zero: int = 0
    clamped: bool = False
    sum_form: SumForm = "any"
    halved: bool = False
    sums: bool = False
    scaled: bool = False
    fixed_point: bool = False
    activation: Expr | None = None
    residual_activation: Expr | None = None
    table: Ref | None = None
    params: Mapping[str, int] = field(default_factory=dict)
    small_sums: bool = False
    second_bias: bool = False
    has_fixed_point: bool = False

    def channels(self, part: slice) -> "Epilogue":
        """The same for a range of the output channels."""
        return replace(self, bias=self.bias[part], multiplier=self.multiplier[part])

    def repeated(self, times: int) -> "Epilogue":
        """The same for so many times the output channels, one after the other."""
        return replace(self, bias=np.tile(self.bias, times), multiplier=np.tile(self.multiplier, times))

    def bounded(self) -> "Epilogue":
        """The same where it is one clamp of floats or nothing, with bounds that are parameters: kernels that do much
        beside it are as fast so, and the same for all of these."""
        found = bounds(self.residual_activation if self.residual else self.activation)
        if found is None or (self.residual and self.activation is not None):
            return self
        role = "residual_activation" if self.residual else "activation"
        params = dict(zip(constants(role, BOUNDED), map(float_bits, found), strict=True))
        if self.residual:
            return replace(self, residual_activation=BOUNDED, params=params)
        return replace(self, activation=BOUNDED, params=params)

    def header(self, w: Array, scaling: Scaling) -> Sequence[Array]:
        """What precedes a block's weights: bias, into which the data's zero point (and `OFFSET`, where sums begin
        with it) is folded, and multipliers. w: the channels' weights (first dimension), as they are multiplied."""
        bias, *multiplier = self.bare_header(scaling)
        if self.dtype == "int8" and not self.scaled:
            bias = (bias - self.x_zero * _sums(w) + (OFFSET if scaling == "offset" else 0)).astype(np.int32)
        return [bias, *multiplier]

    def dense_header(self, w: Array, scaling: Scaling) -> Sequence[Array]:
        """`header` of a dense convolution, with the second bias if the target's blocks have one."""
        header = self.header(w, scaling)
        if not self.second_bias:
            return header
        start = 0 if self.scaled else header[0]
        return [*header, (start - 128 * _sums(w)).astype(np.int32)]

    def scaling(self, w: Array) -> Scaling:
        """Of the sums with `w`, whatever the data."""
        if self.scaled and self.small_sums:
            return "offset" if 127 * _sums(np.abs(w)).max(initial=0) < 2**22 else "float"
        if self.dtype != "int8" or self.sums or self.scaled:
            return "medium"
        rows = w.astype(np.int64).reshape(len(w), -1)
        positive, negative = np.maximum(rows, 0).sum(1), np.minimum(rows, 0).sum(1)
        low, high = -128 - self.x_zero, 127 - self.x_zero
        ends = positive * high + negative * low + self.bias, positive * low + negative * high + self.bias
        return self._scaling(np.maximum(*map(np.abs, ends)))

    def any_scaling(self, products: int) -> Scaling:
        """Of the sums of so many products with weights that are not known."""
        if self.dtype != "int8" or self.sums or self.scaled:
            return "medium"
        return _LARGER[self._scaling(products * 255 * 255 + np.abs(self.bias.astype(np.int64)))]

    def _scaling(self, largest: Array) -> Scaling:
        m = self.multiplier
        found = scaling_of(largest.max(), (largest * m).max(), m.min(), m.max(), fixed_point=self.fixed_point)
        # with a residual there is so much to do that it would be a kernel more for little
        return found if self.small_sums and not self.residual else _LARGER[found]

    def bare_header(self, scaling: Scaling) -> Sequence[Array]:
        """What precedes a block's weights where they are 0, or become known at run time."""
        if self.dtype != "int8":
            return [self.bias]
        if multiplies_steps(scaling, fixed_point=self.has_fixed_point):
            return [self.bias, np.ldexp(self.multiplier, 31).astype(np.int32)]
        return [self.bias, self.multiplier]

    def bare_dense_header(self, scaling: Scaling) -> Sequence[Array]:
        """`bare_header` of a dense convolution."""
        return [*self.bare_header(scaling), *[self.bias] * self.second_bias]


def _sums(w: Array) -> Array:
    """Of each channel (first dimension)."""
    return np.asarray(w.astype(np.int64).sum(tuple(range(1, w.ndim))))


def epilogue_of(c: Context, node: Node, channels: int) -> Epilogue:
    """The epilogue of a conv2d, conv_transpose2d or matmul with `channels` output channels."""
    x, channels = node.inputs[op.X].type, largest(channels)
    bias = _bias(node, np.dtype(np.int32 if x.dtype == "int8" else np.float32), channels)
    if x.quant is not None:
        return _quantized(c, node, x.quant, bias)
    if x.dtype == "int8":
        nothing = np.zeros(channels, np.float32)
        residual = len(node.inputs) > op.RESIDUAL
        return Epilogue("int8", bias, residual, nothing, sums=True, second_bias=c.target.second_bias)
    return _of_floats(c, node, bias)


def _bias(node: Node, dtype: np.dtype[Any], channels: int) -> Array:
    """[channels], of zeros where the node has none."""
    if len(node.inputs) <= op.BIAS:
        return np.zeros(channels, dtype)
    given = node.inputs[op.BIAS]
    if given.data is None:
        raise EdgeError(
            f"node {node.name!r} ({node.op}) has the bias {given.name!r}, which is computed at run time; "
            "only constant ones are supported: add it in a node of its own"
        )
    return (given.data + 0).astype(dtype)  # which is 0 in place of -0


def _of_floats(c: Context, node: Node, bias: Array) -> Epilogue:
    """Of sums of floats, or of codes of rows."""
    scaled, residual = op.codes_rows(node), len(node.inputs) > op.RESIDUAL
    dtype = "int8" if scaled else node.inputs[op.X].type.dtype
    activation, params = _with_parameters("activation", activation_attr(node, "activation"))
    after = activation_attr(node, "residual_activation") if residual else None
    after, more = _with_parameters("residual_activation", after)
    scales = _column_scales(node, len(bias)) if scaled else np.zeros(0, np.float32)
    return Epilogue(
        dtype, bias, residual, scales, halved=dtype == "float32" and node.output.type.dtype == "float16",
        scaled=scaled, activation=activation, residual_activation=after, params=params | more,
        small_sums=scaled and c.target.small_sums, second_bias=scaled and c.target.second_bias,
    )  # fmt: skip


def _quantized(c: Context, node: Node, x: Quant, bias: Array) -> Epilogue:
    """Of int8 -> int8."""
    w, y = node.inputs[op.W].type.quant, node.output.type.quant
    assert w is not None and y is not None
    residual = len(node.inputs) > op.RESIDUAL
    conv = (quant_attr(node, "conv_quant") if residual else None) or y
    low, high = quantized.saturation(activation_attr(node, "activation"), conv)
    params = {"zero_point": quantized.scalar(conv)[1], "low": low, "high": high}
    sum_form: SumForm = "any"
    if residual:
        other = node.inputs[op.RESIDUAL].type.quant
        assert other is not None
        bounds = quantized.saturation(activation_attr(node, "residual_activation"), y)
        small = bounds == (-128, 127)
        sum_form, added = sum_params(conv, other, y, (low, high), small=small, shifted=small and c.target.small_sums)
        params |= {**added, "sum_low": bounds[0], "sum_high": bounds[1]}
    fixed_point = bool_attr(node, "fixed_point")
    multiplier = quantized.requant_multiplier(x, w, conv, fixed_point=fixed_point)
    multiplier = np.broadcast_to(multiplier, (len(bias),)).astype(np.float32)
    clamped = residual or (low, high) != (-128, 127)
    return Epilogue(
        "int8", bias, residual, multiplier, quantized.scalar(x)[1], clamped, sum_form, fixed_point=fixed_point,
        params=params, small_sums=c.target.small_sums, second_bias=c.target.second_bias,
        has_fixed_point=c.target.has_fixed_point,
    )  # fmt: skip


def _with_parameters(role: str, expr: Expr | None) -> tuple[Expr | None, dict[str, int]]:
    """An activation whose numbers are parameters of the kernel, and these."""
    if expr is None:
        return None, {}
    general, values = lifted(fold(expr), 1)
    return general, dict(zip(constants(role, general), map(float_bits, values), strict=True))


def _column_scales(node: Node, channels: int) -> Array:
    quant = node.inputs[op.W].type.quant
    assert quant is not None
    return np.broadcast_to(np.array(quant.scale, np.float32), (channels,))


def is_small_product(a: Quant, b: Quant, y: Quant) -> bool:
    """Whether all a * b, before they saturate, are less than 2^15 from the zero point."""
    return bool(255 * 255 * quantized.mul_multiplier(a, b, y) < 2**15 - 1)


def constant_weights(node: Node) -> Array:
    """The weights as they are multiplied: floats, or int64 codes minus the zero point, which may need nine bits in
    imported models. EdgeError where they are computed at run time."""
    w = node.inputs[op.W]
    if w.data is None:
        raise EdgeError(
            f"node {node.name!r} ({node.op}) multiplies by {w.name!r}, which is computed at run time; "
            "only constant weights are supported: fold them into a constant"
        )
    if w.type.quant is None:
        return w.data.astype(np.int64) if w.type.dtype == "int8" else w.data
    return np.asarray(w.data.astype(np.int64) - w.type.quant.broadcast(w.data.ndim)[1])
