"""The geometry of convolutions: where their windows lie, and what a transposed convolution is made of."""

from dataclasses import dataclass, replace
from math import gcd
from typing import Literal

from ..ir.attributes import ints_attr
from ..ir.extent import always_less, ceil_div, largest, most
from ..ir.graph import Node
from .buffers import Halo, View


@dataclass(frozen=True)
class Window:
    """Input pixels that an output pixel sees, in (y, x) order: how many, how far the window moves from one output pixel
    to the next, the distance of its taps, and the (often negative) position of the first output's first tap."""

    taps: tuple[int, int]
    strides: tuple[int, int]
    dilations: tuple[int, int]
    origin: tuple[int, int]


ALONE = Window((1, 1), (1, 1), (1, 1), (0, 0))
"""What a step sees that computes each pixel from that pixel."""


@dataclass(frozen=True)
class Rowwise:
    """How a step computes rows of `y` by themselves: from the rows of `x` that `window` says, in tiles of `tile`
    pixels if it is a "dense" convolution, else of so many rows. `weights`: bytes that it reads beside. A "picture" of
    the user's is laid out as pixels; a row of `x` is that of all planes. By a "table" it looks up each element."""

    x: View
    y: View
    window: Window
    tile: int
    weights: int
    kind: Literal["dense", "depthwise", "picture", "table"] = "dense"

    @property
    def reach(self) -> int:
        """Rows of x from the first to the last that a row of y sees."""
        return (self.window.taps[0] - 1) * self.window.dilations[0] + 1


def picture_rows(x: View, y: View) -> Rowwise:
    """Of a planar picture x [n, c, h, w], whose view calls its channels rows and its rows pixels, laid out as y."""
    planes = replace(x, dims=y.dims, strides=(x.image, x.dims[1] * x.pixel, x.dims[1] * x.element))
    return Rowwise(planes, y, ALONE, 1, 0, "picture")


def pair(node: Node, name: str) -> tuple[int, int]:
    """An attribute of two integers, (y, x)."""
    y, x = ints_attr(node, name, 2)
    return y, x


@dataclass(frozen=True)
class Band:
    """The outputs [first, first + count) along one axis of a convolution, for which the elements `taps` of the kernel
    lie inside of the plane; `origin` is the input index that the first of these reads for the first output."""

    first: int
    count: int
    taps: range
    origin: int


def clips(node: Node, axis: int) -> bool:
    """Whether a channels-last conv2d is computed band by band along `axis` (0: y, 1: x), without padding in memory:
    where there is more padding than plane."""
    pads = ints_attr(node, "pads", 4)
    return always_less(node.inputs[0].type.shape[1 + axis], pads[axis] + pads[axis + 2])


def bands(node: Node, axis: int) -> list[Band]:
    """All outputs of a channels-last conv2d along `axis`: one band, unless the axis is clipped."""
    stride, dilation, pad = (ints_attr(node, name)[axis] for name in ("strides", "dilations", "pads"))
    kernel, extent, outputs = (v.type.shape[i + axis] for v, i in (
        (node.inputs[1], 2), (node.inputs[0], 1), (node.output, 1),
    ))  # fmt: skip
    if not clips(node, axis):
        return [Band(0, outputs, range(kernel), -pad)]
    found: list[Band] = []
    for o in range(outputs):
        start = o * stride - pad
        first = min(max(-(start // dilation), 0), kernel)  # ceil(-start / dilation)
        last = max(min((extent - 1 - start) // dilation + 1, kernel), first)
        if found and found[-1].taps == range(first, last):
            found[-1] = replace(found[-1], count=found[-1].count + 1)
        else:
            found.append(Band(o, 1, range(first, last), start + first * dilation if first < last else 0))
    return found


@dataclass(frozen=True)
class Phase:
    """The outputs `first`, `first` + stride, ... along one axis of a transposed convolution. They are an ordinary
    convolution of stride 1 with the kernel elements `taps` (in the order of ascending input index), `dilation` apart;
    `origin` is the input index that the first tap of the first output reads."""

    first: int
    taps: range
    dilation: int
    origin: int


def transposed_phases(node: Node, axis: int) -> list[Phase]:
    """The phases of a channels-last conv_transpose2d along `axis` (0: y, 1: x).

    Output o gets x[i] * w[k] where o + pad = i * stride + k * dilation, so outputs of one remainder modulo the stride
    use the same kernel elements.
    """
    stride, dilation, pad = (ints_attr(node, name)[axis] for name in ("strides", "dilations", "pads"))
    kernel, extent = node.inputs[1].type.shape[2 + axis], node.output.type.shape[1 + axis]
    phases = []
    for first in range(min(stride, largest(extent))):
        fitting = [k for k in range(kernel) if (first + pad - k * dilation) % stride == 0]
        taps = range(fitting[-1], fitting[0] - 1, -(stride // gcd(dilation, stride))) if fitting else range(0)
        origin = (first + pad - taps[0] * dilation) // stride if taps else 0
        phases.append(Phase(first, taps, dilation // gcd(dilation, stride), origin))
    return phases


def transposed_halo(node: Node) -> Halo:
    """The padding that a channels-last conv_transpose2d needs around its input."""
    sides = []
    for axis in range(2):
        stride, extent = ints_attr(node, "strides")[axis], node.inputs[0].type.shape[1 + axis]
        before = after = 0
        for phase in transposed_phases(node, axis):
            if phase.taps:
                outputs = ceil_div(node.output.type.shape[1 + axis] - phase.first, stride)
                last = phase.origin + (len(phase.taps) - 1) * phase.dilation + outputs - 1
                before, after = max(before, -phase.origin), most(after, last - (extent - 1))
        sides.append((before, after))
    (top, bottom), (left, right) = sides
    return top, left, bottom, right
