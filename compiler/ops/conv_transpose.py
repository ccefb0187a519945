"""`conv_transpose2d` and ONNX's ConvTranspose (1-d ones have height 1)."""

from collections.abc import Sequence

import numpy as np

from ..ir.attributes import int_attr, ints_attr
from ..ir.graph import Array, Node, Value
from ..ir.registry import OpDef, register
from ..ir.types import TensorType
from . import epilogue
from .builder import Builder
from .conv import biased, require_groups, require_spatial
from .onnx_node import OnnxNode, onnx_op
from .padding import Window, planar, split_pads, unplanar, window
from .spatial import MAX_PLANE, from_nchw, in_layout, nchw_shape, to_nchw
from .volumes import conv_transpose3d

ATTRS = {
    "strides": (1, 1), "pads": (0, 0, 0, 0), "output_padding": (0, 0), "dilations": (1, 1), "groups": 1,
    "layout": "NCHW", "activation": None, "fixed_point": False,
}  # fmt: skip


def _full_extents(node: Node, plane: Sequence[int], kernel: Sequence[int]) -> tuple[int, int]:
    """(H, W) of the result before the pads are cut off."""
    strides, dilations = ints_attr(node, "strides", 2, least=1), ints_attr(node, "dilations", 2, least=1)
    more = ints_attr(node, "output_padding", 2, least=0)
    height, width = ((plane[i] - 1) * strides[i] + (kernel[i] - 1) * dilations[i] + 1 + more[i] for i in range(2))
    return height, width


def _infer(node: Node) -> tuple[TensorType, ...]:
    x, w = (v.type for v in node.inputs[:2])
    n, c, *plane = nchw_shape(node, x)
    groups = int_attr(node, "groups", least=1)
    if w.rank != 4 or w.shape[0] != c or c % groups or 0 in w.shape or 0 in plane:
        raise ValueError(f"weights {list(w.shape)} in {groups} groups do not fit an input of shape {list(x.shape)}")
    if w.quant is not None and w.quant.axis is not None and (w.quant.axis, groups) != (1, 1):
        raise ValueError("its weights must be quantized per tensor, or per output channel (axis 1) with one group")
    pads = ints_attr(node, "pads", 4, least=0)
    full = _full_extents(node, plane, w.shape[2:])
    if full[0] * full[1] > MAX_PLANE:
        raise ValueError(f"its result before the pads are cut off, {list(full)}, has more than {MAX_PLANE} elements")
    oh, ow = (full[i] - pads[i] - pads[i + 2] for i in range(2))
    if oh < 1 or ow < 1:
        raise ValueError(f"its pads {list(pads)} leave nothing of the {list(full)} result")
    channels = w.shape[1] * groups
    y = TensorType(in_layout(node, n, channels, oh, ow), epilogue.sums_dtype(x))
    epilogue.check(node, channels)
    return (y,)


def sums_of_products(node: Node, x: Array, w: Array) -> Array:
    """The bare transposed convolution: x [N, C, H, W], w [C, O/g, kh, kw] -> [N, O, OH, OW].

    Each kernel element adds the image of `x` under its matrix to the places it reaches.
    """
    groups, (channels, depth, kh, kw) = int_attr(node, "groups"), w.shape
    n, _, height, width = x.shape
    (sh, sw), (dh, dw) = ints_attr(node, "strides"), ints_attr(node, "dilations")
    oh, ow = _full_extents(node, (height, width), (kh, kw))
    full = np.zeros((n, groups * depth, oh, ow), x.dtype)
    columns = x.reshape(n, groups, channels // groups, height * width)
    for i in range(kh):
        for j in range(kw):
            weights = w[:, :, i, j].reshape(groups, channels // groups, depth).transpose(0, 2, 1)
            rows = slice(i * dh, i * dh + (height - 1) * sh + 1, sh)
            full[:, :, rows, j * dw : j * dw + (width - 1) * sw + 1 : sw] += (weights @ columns).reshape(
                n, -1, height, width
            )
    top, left, bottom, right = ints_attr(node, "pads")
    return full[:, :, top : oh - bottom, left : ow - right]


def _reference(node: Node, inputs: Sequence[Array]) -> tuple[Array, ...]:
    x, w = to_nchw(node, inputs[0]), inputs[1]
    if node.inputs[0].type.dtype != "int8":
        acc = sums_of_products(node, x, w)
    else:
        x, w = epilogue.integer_operands(node, x, w, products=w.size // w.shape[1])
        acc = epilogue.to_int32(sums_of_products(node, x, w))
    return (from_nchw(node, epilogue.finish(node, epilogue.biased(acc, inputs, 1), inputs, 1)),)


register(OpDef("conv_transpose2d", (2, 3), ATTRS, _infer, _reference, requantizes=True))


@onnx_op("ConvTranspose")
def _conv_transpose(b: Builder, node: OnnxNode) -> Value:
    x, w, bias, groups = node.input(0), node.input(1), node.optional(2), node.integer("group", 1)
    require_spatial(x, w)
    where, more = _window(node, x.type.shape[2:], w.type.shape[2:])

    def conv(x: Value, w: Value, where: Window) -> Value:
        return biased(
            b, "conv_transpose2d", (x, w), bias, strides=where.strides, pads=where.pads, dilations=where.dilations,
            output_padding=(0, *more)[-2:], groups=groups,
        )  # fmt: skip

    if x.type.rank == 5:
        require_groups(x.type.shape[1], w.type.shape[0], groups)
        return conv_transpose3d(b, x, w, where, more[0], groups, conv)
    return unplanar(b, conv(planar(b, x), planar(b, w), where.planar()), x.type.rank)


def _window(node: OnnxNode, plane: Sequence[int], kernel: Sequence[int]) -> tuple[Window, tuple[int, ...]]:
    """The window and the output padding; `auto_pad` and `output_shape` resolved to pads."""
    dims, auto_pad = len(plane), node.text("auto_pad", "NOTSET")
    explicit = OnnxNode(
        node.op_type, node.name, node.opset, node.inputs, node.outputs, {**node.attrs, "auto_pad": "NOTSET"}
    )
    w = window(explicit, plane, kernel)
    more = node.integers("output_padding", (0,) * dims)
    if len(more) != dims:
        raise ValueError(f"output_padding has {len(more)} entries, but must have {dims}")
    wanted: Sequence[int] | None = None
    if "output_shape" in node.attrs:
        wanted = node.integers("output_shape")[-dims:]
    elif auto_pad in ("SAME_UPPER", "SAME_LOWER"):
        wanted = [extent * s for extent, s in zip(plane, w.strides, strict=True)]
    if wanted is not None:
        totals = [
            (plane[i] - 1) * w.strides[i] + (kernel[i] - 1) * w.dilations[i] + 1 + more[i] - wanted[i]
            for i in range(dims)
        ]
        # A result wider than the windows reach is filled up at its end.
        more = tuple(m + max(-t, 0) for m, t in zip(more, totals, strict=True))
        w = w._replace(pads=split_pads([max(t, 0) for t in totals], upper=auto_pad == "SAME_UPPER"))
    elif auto_pad == "VALID":
        w = w._replace(pads=(0,) * (2 * dims))
    return w, more
