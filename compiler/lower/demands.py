"""What the kernels of a node demand of the memory of its operands: the layout is planned around it."""

from ..ir.attributes import ints_attr
from ..ir.extent import most
from ..ir.graph import Node
from ..ops import epilogue
from .buffers import NO_HALO, Halo
from .windows import clips, transposed_halo

_STRIDED_WRITERS = frozenset({
    "avg_pool2d", "broadcast_to", "concat", "conv2d", "conv_transpose2d", "lrn", "map", "matmul", "max_pool2d", "pad",
    "resize", "slice", "transpose",
})  # fmt: skip

_READ_PAST: dict[str, tuple[int, ...]] = {
    "conv2d": (0, 1, 3), "conv_transpose2d": (0, 1), "matmul": (0, 1, 3), "max_pool2d": (0,), "avg_pool2d": (0,),
    "reduce": (0,), "resize": (0,),
}  # fmt: skip
"""op -> inputs behind which its kernels may read up to a vector, without using what is there."""


def writes_strided(node: Node) -> bool:
    """Whether the node can write its output with gaps between the pixels or rows: into a wider buffer."""
    return node.op in _STRIDED_WRITERS


def reads_past(node: Node, index: int) -> bool:
    """Whether the node may read behind its input `index`: in memory of the user's there may be nothing."""
    if node.op == "matmul" and index == epilogue.X and epilogue.codes_rows(node):
        return False
    return index in _READ_PAST.get(node.op, ())


def halo_need(node: Node, index: int) -> Halo:
    """The padding that the node wants around the images of its input `index`."""
    if index != 0:
        return NO_HALO
    if node.op == "conv2d":
        top, left, bottom, right = (0 if clips(node, i % 2) else p for i, p in enumerate(ints_attr(node, "pads", 4)))
        return top, left, bottom, right
    return transposed_halo(node) if node.op == "conv_transpose2d" else NO_HALO


def union(a: Halo, b: Halo) -> Halo:
    """The smallest padding that contains both."""
    return most(a[0], b[0]), most(a[1], b[1]), most(a[2], b[2]), most(a[3], b[3])
