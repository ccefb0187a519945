"""conv_transpose2d -> the convolution kernels."""

from dataclasses import replace
from math import gcd

from ...ir.attributes import int_attr, ints_attr
from ...ir.extent import ceil_div
from ...ir.graph import Node
from ...ops import epilogue as op
from ..buffers import View
from ..context import Context, lowering, require
from ..copies import strided_copy
from ..windows import Window, pair, transposed_phases
from .epilogue import Epilogue, epilogue_of
from .gemm import dense
from .packing import ConstantKernel, Kernel, kernel_of

_PIXEL = Window((1, 1), (1, 1), (1, 1), (0, 0))


@lowering("conv_transpose2d")
def lower_conv_transpose2d(c: Context, node: Node) -> None:
    """A matrix product where windows neither overlap nor leave gaps, else phase by phase."""
    require(node, "float32", "float16", "int8")
    x, y, kernel = c.input(node, 0), c.output(node), kernel_of(c, node, (1, 0, 2, 3))
    epilogue = epilogue_of(c, node, y.dims[3])
    if isinstance(kernel, ConstantKernel) and _is_product(node) and y.pixel == y.dims[3] * y.element:
        _product(c, x, y, kernel, epilogue)
    else:
        _phases(c, node, x, y, kernel, epilogue)


def _is_product(node: Node) -> bool:
    """Whether an input pixel alone makes each patch of results."""
    whole = ints_attr(node, "strides") == node.inputs[op.W].type.shape[2:] and int_attr(node, "groups") == 1
    return (
        whole
        and pair(node, "dilations") == (1, 1)
        and not any((*ints_attr(node, "pads"), *pair(node, "output_padding")))
    )


def _product(c: Context, x: View, y: View, kernel: ConstantKernel, epilogue: Epilogue) -> None:
    """x [n, h, w, C], weights [O, C, kh, kw] -> y [n, h * kh, w * kw, O]: rows of patches are the channels of as many
    products. Where these would fill no block of channels, there is one of whole patches, whose rows are moved apart."""
    (images, height, width, _), (outputs, depth, kh, kw) = x.dims, kernel.shape
    row = kw * outputs
    taps = kernel.data.transpose(2, 3, 0, 1).reshape(kh * row, depth, 1, 1)
    every = epilogue.repeated(kh * kw)
    if row >= c.target.columns or kh == 1:
        plane = replace(y, dims=(images, height, width, row), strides=(y.image, kh * y.row, row * y.element))
        for r in range(kh):
            part = slice(r * row, (r + 1) * row)
            target = replace(plane, offset=y.offset + r * y.row)
            dense(c, x, target, ConstantKernel(taps[part]), _PIXEL, every.channels(part), barrier=r == 0)
        return
    patches = c.scratch(y.type.with_shape((images, height, width, kh * row)))
    dense(c, x, patches, ConstantKernel(taps), _PIXEL, every)
    with c.part("patches"):
        size = row * y.element
        element = gcd(size, 8)
        extents = (images, height, kh, width, size // element)
        source = (patches.image, patches.row, size, patches.pixel, element)
        strided_copy(c, patches.at(), y.at(), extents, source, (y.image, kh * y.row, y.row, size, element), element)


def _phases(c: Context, node: Node, x: View, y: View, kernel: Kernel, epilogue: Epilogue) -> None:
    """Output pixels of equal remainder modulo the stride form a plane of their own, and each such plane is an ordinary
    convolution of stride 1 with a part of the kernel (Shi et al., "Is the deconvolution layer the same as a
    convolutional layer?", 2016). It is written with strided steps."""
    groups, steps = int_attr(node, "groups"), pair(node, "strides")
    channels, outputs, *_ = node.inputs[op.W].type.shape
    depth = channels // groups
    first = True
    for g in range(groups):
        part = slice(g * outputs, (g + 1) * outputs)
        source, target = x.channels(g * depth, depth), y.channels(part.start, outputs)
        for py in transposed_phases(node, 0):
            for px in transposed_phases(node, 1):
                taps = kernel.part(range(outputs), range(g * depth, (g + 1) * depth), py.taps, px.taps)
                extents, dilations = (len(py.taps), len(px.taps)), (py.dilation, px.dilation)
                window = Window(extents, (1, 1), dilations, (py.origin, px.origin))
                rows, columns = ceil_div(y.dims[1] - py.first, steps[0]), ceil_div(y.dims[2] - px.first, steps[1])
                plane = target.pixels((py.first, px.first), steps, (rows, columns))
                dense(c, source, plane, taps, window, epilogue.channels(part), barrier=first)
                first = False
