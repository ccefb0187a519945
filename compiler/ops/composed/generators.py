"""ONNX's ops that make tensors from a few numbers: mel filters are constants, random numbers are refused."""

import numpy as np

from ...ir.graph import Value
from ..builder import MAX_TENSOR_BYTES, Builder
from ..onnx_node import OnnxNode, dtype_of, onnx_op


@onnx_op("MelWeightMatrix")
def _mel_weight_matrix(b: Builder, node: OnnxNode) -> Value:
    """[dft_length // 2 + 1, num_mel_bins]: triangles whose corners are equally far apart on the mel scale, rounded down
    to bins of the spectrum."""
    names = ("number of mel bins", "DFT length", "sample rate", "lower edge", "upper edge")
    bins, length, rate, low, high = (b.array(node.input(i), what).item() for i, what in enumerate(names))
    if not (bins > 0 and length > 0 and 0 <= low <= high <= rate / 2):
        raise ValueError(f"{bins} mel bins from {low} to {high} Hz do not fit a sample rate of {rate} Hz")
    rows = length // 2 + 1
    if rows * bins * 8 > MAX_TENSOR_BYTES // 16:
        raise ValueError(f"its matrix has {rows} x {bins} elements; at most {MAX_TENSOR_BYTES // 128} are supported")
    low_mel, high_mel = (2595 * np.log1p(edge / 700) / np.log(10) for edge in (low, high))
    mel = np.arange(bins + 2) * ((high_mel - low_mel) / (bins + 2)) + low_mel
    corners = ((length + 1) * (700 * np.expm1(mel / 2595 * np.log(10))) // rate).astype(np.int64)
    left, center, right = corners[:-2], corners[1:-1], corners[2:]
    row = np.arange(rows)[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        rising, falling = (row - left) / (center - left), (right - row) / (right - center)
    matrix = np.where((row >= left) & (row < center), rising, 0.0)
    matrix = np.where((row >= center) & (row < right), falling, matrix)
    matrix = np.where(row == center, 1.0, matrix)
    dtype = dtype_of(node.integer("output_datatype", 1), "it makes")
    return b.constant(matrix.astype(dtype))


@onnx_op("RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Bernoulli", "Multinomial")
def _random(b: Builder, node: OnnxNode) -> Value:
    raise ValueError(
        "it draws random numbers, and a bundle gives equal results for equal inputs; export the model for inference, "
        "or make the random tensor an input"
    )
