"""resize, lrn and roi_align -> their kernels."""

import numpy as np

from ...ir.attributes import bool_attr, float_attr, int_attr, ints_attr, str_attr
from ...ir.extent import is_symbolic
from ...ir.graph import Array, Node
from ...ir.types import TensorType
from ...kernels import lrn, resize, roi_align, taps
from ...ops import roi
from ...ops.resize import COORDINATES, ROUNDINGS, linear_taps, nearest_indices, scales_of
from ..buffers import Ref, View
from ..context import Context, lowering, require
from ..copies import dense
from ..iteration import each
from .pack import float_bits


@lowering("resize")
def lower_resize(c: Context, node: Node) -> None:
    """Source positions and weights are tables: the kernels know nothing of coordinate conventions."""
    x, y = c.input(node, 0), c.output(node)
    _, height, width, channels = y.dims
    params = {"out_height": height, "out_width": width, "y_row": y.row, "y_pixel": y.pixel, "channels": channels}
    form = "int8" if x.type.dtype == "int8" else "float32"
    if str_attr(node, "mode", ("nearest", "linear")) == "nearest":
        form = "nearest"
        spec = resize.ResizeSpec("nearest", "bytes")
        params["channels"] = channels * y.element
    else:
        require(node, "float32", "float16", "int8")
        spec = resize.ResizeSpec("linear", x.type.dtype)
    if any(map(is_symbolic, (*x.dims[1:3], height, width, x.row))):
        positions = _computed_taps(c, node, x, form)
    else:
        table = np.concatenate([_taps(node, axis, stride, form) for axis, stride in enumerate((x.row, x.pixel))])
        positions = c.weights.add(table.astype(np.int32).tobytes())
    for image, present in each(x.dims[0]):
        operands = {"x": x.at(image), "w": positions, "y": y.at(image)}
        c.emit(resize, spec, operands, params, height * present, barrier=image == 0)


def _taps(node: Node, axis: int, stride: int, form: str) -> Array:
    """The entries of the kernels' table for each output index along an axis of the plane."""
    if form == "nearest":
        return nearest_indices(node, axis) * stride
    found = linear_taps(node, axis)
    weights = found.integer_weights() if form == "int8" else found.fraction.astype(np.float32).view(np.int32)
    return np.stack([found.low * stride, found.high * stride, weights], axis=1).reshape(-1)


def _computed_taps(c: Context, node: Node, x: View, form: str) -> Ref:
    """The same table, made in a run."""
    sizes, entry = ints_attr(node, "sizes", 2), 4 if form == "nearest" else 12
    table = c.scratch(TensorType(((sizes[0] + sizes[1]) * entry,), "int8")).at()
    spec = taps.TapsSpec(
        form,  # type: ignore[arg-type]
        str_attr(node, "coordinates", COORDINATES), str_attr(node, "rounding", ROUNDINGS),
    )  # fmt: skip
    with c.part("taps"):
        for axis, (stride, scale) in enumerate(zip((x.row, x.pixel), scales_of(node), strict=True)):
            params = {
                "before": x.dims[1 + axis], "after": sizes[axis], "stride": stride,
                "scale": 0 if scale is None else float_bits(scale),  # type: ignore[arg-type]
            }  # fmt: skip
            c.emit(taps, spec, {"y": table.plus(axis * sizes[0] * entry)}, params, 1, barrier=axis == 0)
    return table


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
