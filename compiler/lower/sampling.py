"""resize, lrn and roi_align -> their kernels."""

import numpy as np

from ..ir.attributes import bool_attr, float_attr, int_attr, ints_attr, str_attr
from ..ir.graph import Array, Node
from ..kernels import lrn, resize, roi_align
from ..ops import roi
from ..ops.resize import linear_taps, nearest_indices
from .context import Context, lowering, require
from .copies import dense
from .iteration import each
from .pack import float_bits


@lowering("resize")
def lower_resize(c: Context, node: Node) -> None:
    """Source positions and weights are tables: the kernels know nothing of coordinate conventions."""
    x, y = c.input(node, 0), c.output(node)
    _, height, width, channels = y.dims
    params = {"out_height": height, "out_width": width, "y_row": y.row, "y_pixel": y.pixel, "channels": channels}
    if str_attr(node, "mode", ("nearest", "linear")) == "nearest":
        spec = resize.ResizeSpec("nearest", "bytes")
        params["channels"] = channels * y.element
        table = np.concatenate([nearest_indices(node, 0) * x.row, nearest_indices(node, 1) * x.pixel])
    else:
        require(node, "float32", "int8")
        spec = resize.ResizeSpec("linear", x.type.dtype)
        quantized = x.type.quant is not None
        table = np.concatenate([_taps(node, 0, x.row, quantized), _taps(node, 1, x.pixel, quantized)])
    positions = c.weights.add(table.astype(np.int32).tobytes())
    for image, present in each(x.dims[0]):
        operands = {"x": x.at(image), "w": positions, "y": y.at(image)}
        c.emit(resize, spec, operands, params, height * present, barrier=image == 0)


def _taps(node: Node, axis: int, stride: int, quantized: bool) -> Array:
    """(byte offset of low, of high, weight of high) for each output index: [3 * extent] int32."""
    taps = linear_taps(node, axis)
    weights = taps.integer_weights() if quantized else taps.fraction.astype(np.float32).view(np.int32)
    return np.stack([taps.low * stride, taps.high * stride, weights], axis=1).reshape(-1)


@lowering("lrn")
def lower_lrn(c: Context, node: Node) -> None:
    """Channels are the innermost dimension."""
    require(node, "float32")
    x, y = c.input(node, 0), c.output(node)
    size = int_attr(node, "size")
    params = {
        "width": x.dims[2], "x_row": x.row, "x_pixel": x.pixel, "y_row": y.row, "y_pixel": y.pixel,
        "channels": x.dims[3], "before": (size - 1) // 2, "after": size // 2,
        "factor": float_bits(float_attr(node, "alpha") / size), "beta": float_bits(float_attr(node, "beta")),
        "bias": float_bits(float_attr(node, "bias")),
    }  # fmt: skip
    for image, present in each(x.dims[0]):
        operands = {"x": x.at(image), "y": y.at(image)}
        c.emit(lrn, lrn.LrnSpec(), operands, params, x.dims[1] * present, barrier=image == 0)


@lowering("roi_align")
def lower_roi_align(c: Context, node: Node) -> None:
    """Channels are the innermost dimension."""
    x, y = c.input(node, 0), c.output(node)
    regions, images = (dense(c, c.input(node, i)) for i in (1, 2))
    half_pixel, (height, width) = bool_attr(node, "half_pixel"), ints_attr(node, "sizes")
    params = {
        "images": x.dims[0], "height": x.dims[1], "width": x.dims[2], "channels": x.dims[3], "x_image": x.image,
        "x_row": x.row, "x_pixel": x.pixel, "out_height": height, "out_width": width, "y_image": y.image,
        "y_row": y.row, "y_pixel": y.pixel, "scale": float_bits(float_attr(node, "scale")),
        "shift": float_bits(0.5 if half_pixel else 0.0),
        "least": float_bits(float("-inf") if half_pixel else 1.0),
        "samples": int_attr(node, "samples"), "limit": roi.MAX_SAMPLES,
    }  # fmt: skip
    operands = {"x": x.at(), "rois": regions.at(), "w": images.at(), "y": y.at()}
    spec = roi_align.RoiAlignSpec(str_attr(node, "mode", roi.MODES), images.type.dtype)
    c.emit(roi_align, spec, operands, params, y.dims[0] * height)
