"""conv2d, conv_transpose2d and matmul -> the convolution kernels."""

from dataclasses import replace

import numpy as np

from ..ir.attributes import int_attr
from ..ir.graph import Array, Node
from ..ops import epilogue as op
from .buffers import View
from .context import Context, lowering, require
from .depthwise import depthwise
from .epilogue import Epilogue, constant_weights, epilogue_of
from .gemm import dense
from .iteration import broadcast_strides, strides
from .windows import POINT, Window, bands, pair, transposed_phases


@lowering("conv2d")
def lower_conv2d(c: Context, node: Node) -> None:
    """Groups of one channel are depthwise, other groups are convolutions of their own."""
    require(node, "float32", "int8")
    x, y, w = c.input(node, 0), c.output(node), constant_weights(node)
    epilogue = epilogue_of(node, w.shape[0])
    residual = c.input(node, op.RESIDUAL) if epilogue.residual else None
    strides, dilations = pair(node, "strides"), pair(node, "dilations")
    first = True
    for by in bands(node, 0):
        for bx in bands(node, 1):
            taps = w[:, :, by.taps, bx.taps]
            window = Window((taps.shape[2], taps.shape[3]), strides, dilations, (by.origin, bx.origin))
            part = (by.first, bx.first), (1, 1), (by.count, bx.count)
            beside = residual.pixels(*part) if residual else None
            _groups(c, int_attr(node, "groups"), x, y.pixels(*part), taps, window, epilogue, beside, barrier=first)
            first = False


def _groups(
    c: Context, groups: int, x: View, y: View, w: Array, window: Window, epilogue: Epilogue, residual: View | None, *,
    barrier: bool,
) -> None:  # fmt: skip
    """x [n, h, w, C], weights [O, C/g, kh, kw] -> y [n, oh, ow, O]."""
    if groups == w.shape[0] == x.dims[3] and groups > 1:
        depthwise(c, x, y, w[:, 0], window, epilogue, residual, barrier=barrier)
        return
    depth, outputs = w.shape[1], w.shape[0] // groups
    for g in range(groups):
        part = slice(g * outputs, (g + 1) * outputs)
        source, target = x.channels(g * depth, depth), y.channels(part.start, outputs)
        beside = residual.channels(part.start, outputs) if residual else None
        dense(c, source, target, w[part], window, epilogue.channels(part), beside, barrier=barrier and g == 0)


@lowering("conv_transpose2d")
def lower_conv_transpose2d(c: Context, node: Node) -> None:
    """Output pixels of equal remainder modulo the stride form a plane of their own, and each such plane is an ordinary
    convolution of stride 1 with a part of the kernel (Shi et al., "Is the deconvolution layer the same as a
    convolutional layer?", 2016). It is written with strided steps."""
    require(node, "float32", "int8")
    x, y, w, groups = c.input(node, 0), c.output(node), constant_weights(node), int_attr(node, "groups")
    depth, outputs = w.shape[0] // groups, w.shape[1]
    epilogue, steps = epilogue_of(node, groups * outputs), pair(node, "strides")
    first = True
    for g in range(groups):
        part = slice(g * outputs, (g + 1) * outputs)
        source, target = x.channels(g * depth, depth), y.channels(part.start, outputs)
        kernel = w[g * depth : (g + 1) * depth].transpose(1, 0, 2, 3)
        for py in transposed_phases(node, 0):
            for px in transposed_phases(node, 1):
                taps = kernel[:, :, list(py.taps)][:, :, :, list(px.taps)]
                extents, dilations = (len(py.taps), len(px.taps)), (py.dilation, px.dilation)
                window = Window(extents, (1, 1), dilations, (py.origin, px.origin))
                rows, columns = -(-(y.dims[1] - py.first) // steps[0]), -(-(y.dims[2] - px.first) // steps[1])
                plane = target.pixels((py.first, px.first), steps, (rows, columns))
                dense(c, source, plane, taps, window, epilogue.channels(part), barrier=first)
                first = False


@lowering("matmul")
def lower_matmul(c: Context, node: Node) -> None:
    """A convolution with one tap. Where stack multiplies stack, each matrix is a row of pixels of its own."""
    require(node, "float32", "int8")
    x, y, w = c.input(node, 0), c.output(node), constant_weights(node)
    epilogue = epilogue_of(node, w.shape[-1])
    residual = c.input(node, op.RESIDUAL) if epilogue.residual else None
    if w.size == w.shape[-2] * w.shape[-1] and x.dims[:3] == y.dims[:3]:
        dense(c, x, y, w.reshape(w.shape[-2:]).T[:, :, None, None], POINT, epilogue, residual)
        return
    batch = y.type.shape[:-2]
    stack = np.broadcast_to(w, (*batch, *w.shape[-2:]))
    for number, index in enumerate(np.ndindex(batch)):
        _matrix(c, x, y, stack[index], index, epilogue, residual, barrier=number == 0)


def _matrix(
    c: Context, x: View, y: View, w: Array, index: tuple[int, ...], epilogue: Epilogue, residual: View | None, *,
    barrier: bool,
) -> None:  # fmt: skip
    """One matrix [M, K] of a stack times w [K, N]."""
    rows = y.type.shape[-2]
    batch = y.type.shape[:-2]

    def matrix(view: View) -> View:
        steps = broadcast_strides(view, (*batch, *view.type.shape[-2:]))
        offset = view.offset + sum(i * s for i, s in zip(index, steps, strict=False))
        return replace(view, dims=(1, 1, rows, view.dims[3]), strides=(0, 0, strides(view)[-2]), offset=offset)

    beside = matrix(residual) if residual else None
    dense(c, matrix(x), matrix(y), w.T[:, :, None, None], POINT, epilogue, beside, barrier=barrier)
