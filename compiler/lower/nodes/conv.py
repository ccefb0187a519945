"""conv2d -> the convolution kernels."""

from dataclasses import replace

from ...ir.attributes import int_attr
from ...ir.graph import Node
from ...ops import epilogue as op
from ..buffers import View
from ..context import Context, lowering, require
from ..tables import entries
from ..windows import Window, bands, pair
from .depthwise import depthwise, has_depthwise_form
from .epilogue import Epilogue, epilogue_of
from .gemm import dense
from .packing import ConstantKernel, Kernel, kernel_of
from .winograd import tiling, winograd_conv, winograd_form


@lowering("conv2d")
def lower_conv2d(c: Context, node: Node) -> None:
    """Groups of one channel are depthwise, other groups are convolutions of their own."""
    require(node, "float32", "float16", "int8")
    x, w, table = c.input(node, 0), kernel_of(c, node), c.tables.get(node)
    y, epilogue = c.output(table or node), epilogue_of(c, node, w.shape[0])
    if table is not None:
        epilogue = replace(epilogue, table=c.weights.add(entries(table)))
    residual = c.input(node, op.RESIDUAL) if epilogue.residual else None
    strides, dilations = pair(node, "strides"), pair(node, "dilations")
    first = True
    for by in bands(node, 0):
        for bx in bands(node, 1):
            taps = w.part(range(w.shape[0]), range(w.shape[1]), by.taps, bx.taps)
            window = Window((taps.shape[2], taps.shape[3]), strides, dilations, (by.origin, bx.origin))
            part = (by.first, bx.first), (1, 1), (by.count, bx.count)
            beside = residual.pixels(*part) if residual else None
            _groups(c, int_attr(node, "groups"), x, y.pixels(*part), taps, window, epilogue, beside, barrier=first)
            first = False


def _groups(
    c: Context, groups: int, x: View, y: View, w: Kernel, window: Window, epilogue: Epilogue, residual: View | None, *,
    barrier: bool,
) -> None:  # fmt: skip
    """x [n, h, w, C], weights [O, C/g, kh, kw] -> y [n, oh, ow, O]."""
    if groups == w.shape[0] == x.dims[3] and groups > 1 and has_depthwise_form(w, epilogue):
        depthwise(c, x, y, w, window, epilogue, residual, barrier=barrier)
        return
    depth, outputs = w.shape[1], w.shape[0] // groups
    rest = [range(extent) for extent in w.shape[1:]]
    for g in range(groups):
        part = slice(g * outputs, (g + 1) * outputs)
        source, target = x.channels(g * depth, depth), y.channels(part.start, outputs)
        beside = residual.channels(part.start, outputs) if residual else None
        taps = w.part(range(part.start, part.stop), *rest)
        own, waits = epilogue.channels(part), barrier and g == 0
        form = winograd_form(target, taps, window, own)
        by = None if form is None else tiling(c, form, target, depth)
        if by is not None and c.room.for_algorithm(by.scratch) and isinstance(taps, ConstantKernel):
            winograd_conv(c, source, target, taps, by, window, own, beside, barrier=waits)
        else:
            dense(c, source, target, taps, window, own, beside, barrier=waits)
