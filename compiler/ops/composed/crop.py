"""ONNX's CenterCropPad, imported as `slice` and `pad`."""

from ...ir.graph import Value
from ..builder import Builder
from ..onnx_node import OnnxNode, normalized_axis, onnx_op
from ..slice import Span, emit_slice, everything


@onnx_op("CenterCropPad", takes_codes=True)
def _center_crop_pad(b: Builder, node: OnnxNode) -> Value:
    """The middle of what is too long; zeros around what is too short. The odd one is cut or put at the end."""
    x, shape = node.input(0), b.ints(node.input(1), "shape")
    rank = x.type.rank
    axes = [normalized_axis(a, rank) for a in node.integers("axes", range(rank))]
    if len(axes) != len(shape) or min(shape, default=0) < 0:
        raise ValueError(f"it has the extents {list(shape)} for {len(axes)} axes")
    spans, pads = everything(x), [0] * (2 * rank)
    for axis, wanted in zip(axes, shape, strict=True):
        extent = x.type.shape[axis]
        before = abs(extent - wanted) // 2
        if wanted <= extent:
            spans[axis] = Span(before, wanted)
        else:
            pads[axis], pads[axis + rank] = before, wanted - extent - before
    cropped = emit_slice(b, x, spans)
    return b.emit("pad", cropped, pads=tuple(pads)) if any(pads) else cropped
