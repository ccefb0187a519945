"""conv2d, conv_transpose2d and matmul -> the convolution kernels."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ...errors import EdgeError
from ..ir.attributes import activation_attr, int_attr, ints_attr, quant_attr
from ..ir.graph import Array, Node
from ..ir.types import Quant
from ..kernels import conv, depthwise
from ..ops import quantized
from .buffers import Ref, View
from .context import Context, lowering
from .pack import float_bits, pack_dense, pack_depthwise

L1_WEIGHTS = 16384
"""Bytes of packed weights that a tile streams over its pixels; more than that and the channels are split."""


@dataclass(frozen=True)
class Window:
    """Where the taps are: extents, strides of the output over the input, dilations, and the first tap's offset."""

    taps: tuple[int, int]
    strides: tuple[int, int]
    dilations: tuple[int, int]
    origin: tuple[int, int]


@lowering("conv2d")
def lower_conv2d(c: Context, node: Node) -> None:
    """Groups of one channel are depthwise, other groups are convolutions of their own."""
    x, y = c.input(node, 0), c.views[node.output]
    w = _weights(node)
    strides, dilations = ints_attr(node, "strides", 2), ints_attr(node, "dilations", 2)
    pads = ints_attr(node, "pads", 4)
    window = Window(w.shape[2:4], _two(strides), _two(dilations), (-pads[0], -pads[1]))
    groups = int_attr(node, "groups")
    if groups == w.shape[0] == x.dims[3] and groups > 1:
        _depthwise(c, node, x, y, w[:, 0], window)
        return
    depth, outputs = w.shape[1], w.shape[0] // groups
    arithmetic = _Arithmetic(node, channel_axis=0)
    for image in range(x.dims[0]):
        for g in range(groups):
            part = slice(g * outputs, (g + 1) * outputs)
            _dense(
                c, node, x.channels(g * depth, depth), y.channels(part.start, outputs), w[part], window,
                arithmetic.channels(part), image, residual=_residual(c, arithmetic, part), barrier=image + g == 0,
            )  # fmt: skip


@lowering("conv_transpose2d")
def lower_conv_transpose2d(c: Context, node: Node) -> None:
    """Output pixels of equal remainder modulo the stride form a plane of their own, and each such plane is an ordinary
    convolution of stride 1 with a part of the kernel (Shi et al., "Is the deconvolution layer the same as a
    convolutional layer?", 2016). It is written with strided steps."""
    x, y = c.input(node, 0), c.views[node.output]
    strides, pads = ints_attr(node, "strides", 2), ints_attr(node, "pads", 4)
    if ints_attr(node, "dilations", 2) != (1, 1):
        raise EdgeError(f"node {node.name!r} (conv_transpose2d) has dilations; only 1 is supported: unroll it in the model")
    groups = int_attr(node, "groups")
    w = _weights(node)  # [C, O/g, kh, kw]
    arithmetic = _Arithmetic(node, channel_axis=1)
    depth, outputs = w.shape[0] // groups, w.shape[1]
    first = True
    for image in range(x.dims[0]):
        for g in range(groups):
            part = slice(g * outputs, (g + 1) * outputs)
            source, target = x.channels(g * depth, depth), y.channels(part.start, outputs)
            for py, ky, oy in transposed_phases(w.shape[2], strides[0], pads[0], y.dims[1]):
                for px, kx, ox in transposed_phases(w.shape[3], strides[1], pads[1], y.dims[2]):
                    kernel = w[g * depth : (g + 1) * depth][:, :, ky][:, :, :, kx].transpose(1, 0, 2, 3)
                    window = Window((len(ky), len(kx)), (1, 1), (1, 1), (oy, ox))
                    plane = _plane(target, (py, px), _two(strides))
                    _dense(c, node, source, plane, kernel, window, arithmetic.channels(part), image, barrier=first)
                    first = False


@lowering("matmul")
def lower_matmul(c: Context, node: Node) -> None:
    """A convolution with one tap over a row of `M` pixels."""
    if not node.inputs[1].is_const:
        raise EdgeError(
            f"node {node.name!r} (MatMul) multiplies by {node.inputs[1].name!r}, which is computed at run time; "
            "only constant second operands are supported: fold it into a constant"
        )
    w = _weights(node)
    if w.ndim != 2:
        raise EdgeError(f"node {node.name!r} (MatMul) has a constant of shape {list(w.shape)}; only matrices are supported")
    x, y = c.input(node, 0), c.views[node.output]
    window, arithmetic = Window((1, 1), (1, 1), (1, 1), (0, 0)), _Arithmetic(node, channel_axis=1)
    residual = _residual(c, arithmetic, slice(0, w.shape[1]))
    for image in range(x.dims[0]):
        _dense(c, node, x, y, w.T[:, :, None, None], window, arithmetic, image, residual, barrier=image == 0)


def transposed_phases(taps: int, stride: int, pad: int, extent: int) -> list[tuple[int, list[int], int]]:
    """One axis of a transposed convolution, output plane by output plane: (first output index, the kernel indices that
    reach this plane in the order of ascending input index, input index of the first for output index 0 of the plane)."""
    phases = []
    for p in range(min(stride, extent)):
        reach = [k for k in reversed(range(taps)) if (p + pad - k) % stride == 0]
        phases.append((p, reach, (p + pad - reach[0]) // stride if reach else 0))
    return phases


def _plane(y: View, first: tuple[int, int], strides: tuple[int, int]) -> View:
    """Every stride-th row and pixel of `y`."""
    n, h, w, ch = y.dims
    rows, columns = -(-(h - first[0]) // strides[0]), -(-(w - first[1]) // strides[1])
    return View(
        y.storage, y.type, (n, rows, columns, ch), (y.image, y.row * strides[0], y.pixel * strides[1]),
        y.at(0, *first).offset,
    )  # fmt: skip


class _Arithmetic:
    """Bias, multipliers and the epilogue's parameters of a node, for all its channels or a range of them."""

    def __init__(self, node: Node, channel_axis: int) -> None:
        x, w, y = node.inputs[0].type, node.inputs[1], node.output.type
        assert w.data is not None
        self.node = node
        self.is_int8 = x.quant is not None
        self.residual = len(node.inputs) > 3
        groups = int_attr(node, "groups") if node.op == "conv_transpose2d" else 1
        count = w.type.shape[channel_axis] * groups
        bias = node.inputs[2].data if len(node.inputs) > 2 else None
        if len(node.inputs) > 2 and bias is None:
            raise EdgeError(f"node {node.name!r} ({node.op}) has a bias that is computed at run time; it must be constant")
        dtype = np.int32 if self.is_int8 else np.float32
        self.bias: Array = np.zeros(count, dtype) if bias is None else bias.astype(dtype)
        if not self.is_int8:
            return
        assert x.quant is not None and w.type.quant is not None and y.quant is not None
        self.conv_quant = (quant_attr(node, "conv_quant") if self.residual else None) or y.quant
        multiplier = quantized.requant_multiplier(x.quant, w.type.quant, self.conv_quant)
        self.multiplier = np.broadcast_to(multiplier, (count,)).astype(np.float32)
        self.x_zero = quantized.scalar(x.quant)[1]

    def channels(self, part: slice) -> "_Arithmetic":
        """The same for a range of the output channels."""
        copy = object.__new__(_Arithmetic)
        copy.__dict__ = {**self.__dict__, "bias": self.bias[part]}
        if self.is_int8:
            copy.multiplier = self.multiplier[part]
        return copy

    def header(self, w: Array) -> list[Array]:
        """What precedes a block's weights: bias, into which the input's zero point is folded, and multipliers.
        w: the channels' weights (first dimension), as they are multiplied."""
        if not self.is_int8:
            return [self.bias]
        sums = w.astype(np.int64).sum(tuple(range(1, w.ndim)))
        return [(self.bias - self.x_zero * sums).astype(np.int32), self.multiplier]

    def spec(self, taps: Array) -> dict[str, object]:
        """The parts of a kernel's Spec that the weights and the epilogue decide."""
        if self.is_int8:
            saturates = self._bounds() == (-128, 127)
            return {
                "dtype": "int8",
                "residual": self.residual,
                "clamped": self.residual or not saturates,
                "full_range": bool((taps == -128).any()),
            }
        return {
            "dtype": "float32",
            "residual": self.residual,
            "activation": activation_attr(self.node, "activation"),
            "residual_activation": activation_attr(self.node, "residual_activation") if self.residual else None,
        }

    def params(self) -> Mapping[str, int]:
        """Parameters of the int8 epilogue."""
        if not self.is_int8:
            return {}
        low, high = self._bounds()
        zero = quantized.scalar(self.conv_quant)[1]
        params = {"zero_point": zero, "low": low, "high": high}
        return params | self._residual_params() if self.residual else params

    def _bounds(self) -> tuple[int, int]:
        """The codes that the convolution's activation confines its results to."""
        return quantized.saturation(activation_attr(self.node, "activation"), self.conv_quant)

    def _residual_params(self) -> dict[str, int]:
        other, y = self.node.inputs[3].type.quant, self.node.output.type.quant
        assert other is not None and y is not None
        low, high = quantized.saturation(activation_attr(self.node, "residual_activation"), y)
        return add_params(self.conv_quant, other, y, low, high)


def add_params(a: Quant, b: Quant, y: Quant, low: int, high: int) -> dict[str, int]:
    """`epilogue.RESIDUAL_EPILOGUE` for a + b."""
    p = quantized.add_parameters(a, b, y)
    (za, zb, zy) = (quantized.scalar(q)[1] for q in (a, b, y))
    return {
        "multiplier_a": p.left, "multiplier_b": p.right, "offset": -za * p.left - zb * p.right,
        "step": float_bits(float(p.step)),
        "sum_zero_point": zy, "sum_low": low, "sum_high": high,
    }  # fmt: skip


def _weights(node: Node) -> Array:
    """float32; or int64 minus the zero point, which may exceed int8 in imported models."""
    w = node.inputs[1]
    assert w.data is not None
    if w.type.quant is None:
        return w.data.astype(np.float32)
    return np.asarray(w.data.astype(np.int64) - w.type.quant.broadcast(w.data.ndim)[1])


def _parts(w: Array) -> list[Array]:
    """float32 weights; or int8 arrays whose sum is `w`: one, unless an asymmetric quantization needs nine bits."""
    if w.dtype == np.float32:
        return [w]
    parts = []
    while w.min(initial=0) < -128 or w.max(initial=0) > 127:
        parts.append(np.clip(w, -127, 127))
        w = w - parts[-1]
    return [p.astype(np.int8) for p in (*parts, w)]


def _two(values: tuple[int, ...]) -> tuple[int, int]:
    a, b = values
    return a, b


def _dense(
    c: Context, node: Node, x: View, y: View, w: Array, window: Window, arithmetic: _Arithmetic, image: int,
    residual: View | None = None, barrier: bool = True,
) -> None:  # fmt: skip
    """One image, one group: x [h, w, C], weights [O, C, kh, kw] -> y [oh, ow, O]."""
    outputs, depth, kh, kw = w.shape
    height, width = y.dims[1:3]
    if node.op == "matmul":
        height, width = 1, width * height
    # a kernel row's taps are contiguous where neighbouring pixels are: then it is one run
    merged = window.dilations[1] == 1 and x.pixel == depth * x.element
    taps_x, run, tap_x = (1, kw * depth, 0) if merged else (kw, depth, window.dilations[1] * x.pixel)
    taps = w.transpose(2, 3, 1, 0).reshape(kh * taps_x, run, outputs)
    parts = _parts(taps)
    taps = np.stack(parts, axis=1).reshape(-1, run, outputs)
    group = 4 if arithmetic.is_int8 else 1
    groups = -(-run // group)
    if arithmetic.is_int8 and groups % conv.STEP >= conv.STEP // 2:
        groups += -groups % conv.STEP  # a whole step costs no more than two single groups; these weights are 0
    taps = np.pad(taps, ((0, 0), (0, groups * group - run), (0, 0)))
    columns = c.target.columns
    pixels = height * width
    rows = (c.target.int8_rows if arithmetic.is_int8 else c.target.float_rows) if pixels > 1 else 1
    spec = conv.ConvSpec(
        tile_rows=rows, pointwise=kh * taps_x == 1, whole=groups % conv.STEP == 0, narrow=outputs < columns,
        parts=len(parts),
        **arithmetic.spec(taps),  # type: ignore[arg-type]
    )  # fmt: skip
    packed = pack_dense(taps, columns, group, arithmetic.header(w))
    blocks = -(-outputs // columns)
    block_bytes = len(packed) // blocks
    m_tiles = -(-pixels // rows)
    per_tile = max(1, min(blocks, L1_WEIGHTS // block_bytes)) if len(packed) > 2 * L1_WEIGHTS else blocks
    if m_tiles < 8:
        per_tile = min(per_tile, -(-blocks // 8))
    params = {
        "m_begin": 0, "m_end": pixels, "m_tiles": m_tiles, "out_width": width,
        "x_row": window.strides[0] * x.row, "x_pixel": window.strides[1] * x.pixel,
        "taps_y": kh, "tap_y": window.dilations[0] * x.row, "taps_x": taps_x,
        "tap_x": tap_x, "groups": groups,
        "y_row": y.row, "y_pixel": y.pixel,
        "r_row": residual.row if residual else 0, "r_pixel": residual.pixel if residual else 0,
        "channels": outputs, "blocks": blocks, "blocks_per_tile": per_tile, "block_bytes": block_bytes,
        **arithmetic.params(),
    }  # fmt: skip
    c.emit(
        conv, spec,
        [x.at(image, *window.origin), c.weights.add(packed), _residual_ref(residual, image), y.at(image)],
        params, m_tiles * -(-blocks // per_tile), barrier=barrier, macs=pixels * outputs * depth * kh * kw,
    )  # fmt: skip


def _residual(c: Context, arithmetic: _Arithmetic, part: slice) -> View | None:
    """The residual's channels `part`, where there is one."""
    if not arithmetic.residual:
        return None
    return c.input(arithmetic.node, 3).channels(part.start, part.stop - part.start)


def _residual_ref(residual: View | None, image: int) -> Ref | None:
    return residual.at(image) if residual is not None else None


UNROLLED = {(3, 3), (5, 5)}
"""Depthwise kernels that get code of their own."""


def _depthwise(c: Context, node: Node, x: View, y: View, w: Array, window: Window) -> None:
    """x [h, w, C], weights [C, kh, kw] -> y [oh, ow, C], one step an image."""
    arithmetic = _Arithmetic(node, channel_axis=0)
    channels, kh, kw = w.shape
    columns = c.target.columns
    parts = _parts(w.reshape(channels, kh * kw).T)
    taps = np.stack(parts, axis=1).reshape(-1, channels)
    packed = pack_depthwise(taps, columns, arithmetic.header(w))
    unrolled = (kh, kw) in UNROLLED and len(parts) == 1 and window.dilations == (1, 1) and window.strides[1] in (1, 2)
    # code for two rows at a time needs two rows, one stride apart
    unrolled = unrolled and y.dims[1] > 1 and window.strides[0] == window.strides[1]
    spec = depthwise.DepthwiseSpec(
        kernel=(kh, kw, window.strides[1]) if unrolled else None,
        narrow=channels < columns,
        parts=len(parts),
        **arithmetic.spec(taps),  # type: ignore[arg-type]
    )
    blocks = -(-channels // columns)
    residual = _residual(c, arithmetic, slice(0, channels))
    params = {
        "out_height": y.dims[1], "out_width": y.dims[2], "x_row": window.strides[0] * x.row, "x_pixel": window.strides[1] * x.pixel,
        "taps_y": kh, "tap_y": window.dilations[0] * x.row, "taps_x": kw, "tap_x": window.dilations[1] * x.pixel,
        "y_row": y.row, "y_pixel": y.pixel,
        "r_row": residual.row if residual else 0, "r_pixel": residual.pixel if residual else 0,
        "channels": channels, "blocks": blocks, "block_bytes": len(packed) // blocks, **arithmetic.params(),
    }  # fmt: skip
    for image in range(x.dims[0]):
        c.emit(
            depthwise, spec,
            [x.at(image, *window.origin), c.weights.add(packed), _residual_ref(residual, image), y.at(image)],
            params, -(-y.dims[1] // spec.tile_rows), barrier=image == 0, macs=y.dims[1] * y.dims[2] * channels * kh * kw,
        )  # fmt: skip
