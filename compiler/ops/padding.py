"""ONNX's ways to state padding of windows (`pads`, `auto_pad`, `ceil_mode`), resolved to numbers."""

from collections.abc import Sequence
from typing import NamedTuple

from ..ir.extent import ceil_div, most
from ..ir.graph import Value
from .builder import Builder
from .onnx_node import OnnxNode


class Window(NamedTuple):
    """A sliding window over a plane: each field has one entry per spatial dimension, `pads` begin and end of each."""

    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    pads: tuple[int, ...]

    def planar(self) -> "Window":
        """The 2-d form of a 1-d window: height 1."""
        if len(self.kernel) == 2:
            return self
        begin, end = self.pads
        return Window((1, *self.kernel), (1, *self.strides), (1, *self.dilations), (0, begin, 0, end))


def planar(b: Builder, x: Value) -> Value:
    """[N, C, L] as [N, C, 1, L]; four dimensions stay. ValueError for another rank."""
    if x.type.rank == 4:
        return x
    if x.type.rank != 3:
        raise ValueError(
            f"its input has {x.type.rank} dimensions; 1-d and 2-d windows (3 or 4 dimensions) are supported"
        )
    n, c, length = x.type.shape
    return b.reshape(x, (n, c, 1, length))


def unplanar(b: Builder, y: Value, rank: int) -> Value:
    """Inverse of `planar` for an input that had `rank` dimensions."""
    n, c, _, length = y.type.shape
    return y if rank == 4 else b.reshape(y, (n, c, length))


def window(node: OnnxNode, plane: Sequence[int], kernel: Sequence[int]) -> Window:
    """The node's window over a plane of these extents, `auto_pad` resolved."""
    dims = len(plane)
    if len(kernel) != dims:
        raise ValueError(f"its kernel has {len(kernel)} dimensions, its input {dims} spatial ones")
    strides = _per_dimension(node, "strides", dims, 1)
    dilations = _per_dimension(node, "dilations", dims, 1)
    if min((*kernel, *strides, *dilations)) < 1:
        raise ValueError("kernel, strides and dilations must be positive")
    auto_pad = node.text("auto_pad", "NOTSET")
    if auto_pad in ("NOTSET", ""):
        pads = _per_dimension(node, "pads", 2 * dims, 0)
    elif auto_pad == "VALID":
        pads = (0,) * (2 * dims)
    elif auto_pad in ("SAME_UPPER", "SAME_LOWER"):
        totals = []
        for extent, k, s, d in zip(plane, kernel, strides, dilations, strict=True):
            totals.append(most((ceil_div(extent, s) - 1) * s + (k - 1) * d + 1 - extent, 0))
        pads = split_pads(totals, upper=auto_pad == "SAME_UPPER")
    else:
        raise ValueError(f"auto_pad {auto_pad!r} is unknown; NOTSET, VALID, SAME_UPPER and SAME_LOWER are supported")
    if any(p < 0 for p in pads):
        raise ValueError(f"its pads {list(pads)} are negative")
    return Window(tuple(kernel), strides, dilations, pads)


def split_pads(totals: Sequence[int], upper: bool) -> tuple[int, ...]:
    """(begins, ends) of total paddings; an odd element goes to the end if `upper`, else to the beginning."""
    small = [t // 2 for t in totals]
    large = [t - t // 2 for t in totals]
    return (*small, *large) if upper else (*large, *small)


def ceil_pads(w: Window, plane: Sequence[int]) -> tuple[int, ...]:
    """`w.pads` enlarged at the end so that rounding down counts the windows that ceil_mode counts.

    A window that would start beyond the input and its leading pads is not counted.
    """
    dims = len(plane)
    ends = []
    for i, extent in enumerate(plane):
        span = (w.kernel[i] - 1) * w.dilations[i] + 1
        room = extent + w.pads[i] + w.pads[i + dims] - span
        count = -(-room // w.strides[i]) + 1
        if (count - 1) * w.strides[i] >= extent + w.pads[i]:
            count -= 1
        needed = (count - 1) * w.strides[i] + span - extent - w.pads[i]
        ends.append(max(needed, w.pads[i + dims]) if count - 1 > room // w.strides[i] else w.pads[i + dims])
    return (*w.pads[:dims], *ends)


def _per_dimension(node: OnnxNode, name: str, count: int, default: int) -> tuple[int, ...]:
    values = node.integers(name, (default,) * count)
    if len(values) != count:
        raise ValueError(f"attribute {name!r} has {len(values)} entries, but must have {count}")
    return values
