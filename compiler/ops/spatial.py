"""Windows over 2-d planes: what convolutions and pools share."""

from collections.abc import Iterator, Sequence

import numpy as np

from ..ir.attributes import ints_attr, layout_attr
from ..ir.extent import is_symbolic
from ..ir.graph import Array, Node
from ..ir.types import TensorType

NHWC_FROM_NCHW = (0, 2, 3, 1)
NCHW_FROM_NHWC = (0, 3, 1, 2)

MAX_PLANE = 2**26
"""Elements of a padded plane: more is a malformed model."""


def require_fixed(extents: Sequence[int], what: str) -> None:
    """ValueError if a run decides any of `extents`."""
    if any(is_symbolic(v) for v in extents):
        raise ValueError(f"a run decides {what}, {list(extents)}: give the input a fixed shape")


def to_nchw(node: Node, x: Array) -> Array:
    """A view of `x`, laid out as the node's `layout` says, with channels second."""
    return x.transpose(NCHW_FROM_NHWC) if layout_attr(node) == "NHWC" else x


def from_nchw(node: Node, y: Array) -> Array:
    """Inverse of `to_nchw`, contiguous."""
    return np.ascontiguousarray(y.transpose(NHWC_FROM_NCHW) if layout_attr(node) == "NHWC" else y)


def nchw_shape(node: Node, type: TensorType) -> tuple[int, int, int, int]:
    """(N, C, H, W) of a tensor in the node's layout; ValueError unless it has four dimensions."""
    if type.rank != 4:
        raise ValueError(f"its input has the shape {list(type.shape)}, but must have 4 dimensions")
    order = NCHW_FROM_NHWC if layout_attr(node) == "NHWC" else (0, 1, 2, 3)
    n, c, h, w = (type.shape[i] for i in order)
    return n, c, h, w


def in_layout(node: Node, n: int, c: int, h: int, w: int) -> tuple[int, int, int, int]:
    """The shape of an (N, C, H, W) tensor in the node's layout."""
    return (n, h, w, c) if layout_attr(node) == "NHWC" else (n, c, h, w)


def window_extents(
    node: Node, plane: Sequence[int], kernel: Sequence[int], dilations: Sequence[int]
) -> tuple[int, int]:
    """(OH, OW): how many windows of `kernel` fit on a (H, W) plane under the node's `strides` and `pads`."""
    strides, pads = ints_attr(node, "strides", 2, least=1), ints_attr(node, "pads", 4, least=0)
    padded = [plane[i] + pads[i] + pads[i + 2] for i in range(2)]
    if padded[0] * padded[1] > MAX_PLANE:
        raise ValueError(f"its padded plane {padded} has more than {MAX_PLANE} elements")
    extents = []
    for i in range(2):
        room = padded[i] - ((kernel[i] - 1) * dilations[i] + 1)
        if room < 0:
            raise ValueError(
                f"its window {list(kernel)} (dilations {list(dilations)}) is larger than the padded {list(plane)} plane"
            )
        extents.append(room // strides[i] + 1)
    return extents[0], extents[1]


def taps(
    x: Array,
    kernel: Sequence[int],
    strides: Sequence[int],
    pads: Sequence[int],
    dilations: Sequence[int],
    fill: float = 0,
) -> Iterator[tuple[int, int, Array]]:
    """(i, j, what element (i, j) of the sliding window sees): views [N, C, OH, OW] of the padded `x` [N, C, H, W]."""
    top, left, bottom, right = pads
    if any(pads):
        x = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)), constant_values=fill)
    (kh, kw), (sh, sw), (dh, dw) = kernel, strides, dilations
    oh = (x.shape[2] - (kh - 1) * dh - 1) // sh + 1
    ow = (x.shape[3] - (kw - 1) * dw - 1) // sw + 1
    for i in range(kh):
        for j in range(kw):
            rows = slice(i * dh, i * dh + (oh - 1) * sh + 1, sh)
            columns = slice(j * dw, j * dw + (ow - 1) * sw + 1, sw)
            yield i, j, x[:, :, rows, columns]
