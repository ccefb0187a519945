"""Packing weights and parameters as the kernels read them: `kernels/convolutions/` says how."""

from collections.abc import Sequence

import numpy as np

from ...ir.graph import Array
from ...kernels.convolutions.conv import FITTING


def int8_parts(w: Array) -> list[Array]:
    """int8 arrays whose sum is `w`: one, unless an asymmetric quantization needs nine bits."""
    parts = []
    while w.min(initial=0) < -128 or w.max(initial=0) > 127:
        parts.append(np.clip(w, -127, 127))
        w = w - parts[-1]
    return [p.astype(np.int8) for p in (*parts, w)]


def pack_dense(taps: Array, columns: int, group: int, header: Sequence[Array], marks: Array | None = None) -> bytes:
    """Blocks for an implicit GEMM.

    taps: [taps, run, channels] weights of the kernel's dtype, where a run is what one tap reads contiguously, a
    multiple of `group` elements. header: per-channel arrays that precede the weights (bias; multipliers).
    marks: bool[blocks, steps], which follows the weights.
    """
    count, run, channels = taps.shape
    padded = np.zeros((count, run, max(channels, columns)), taps.dtype)
    padded[:, :, :channels] = taps
    blocks = []
    for number, start in enumerate(_block_starts(channels, columns)):
        part = padded[:, :, start : start + columns].reshape(count, run // group, group, columns)
        blocks += [*_header(header, start, columns), part.transpose(0, 1, 3, 2).tobytes()]
        if marks is not None:
            blocks.append(marks[number].tobytes() + bytes(-marks.shape[1] % 16))
    return b"".join(blocks)


def fitting_steps(taps: Array, columns: int, step: int) -> Array:
    """bool[blocks, steps]: which steps of so many groups of int8 weights [taps, run, channels] fit int16, as
    `kernels/convolutions/conv.py` says. A run is whole steps."""
    count, run, channels = taps.shape
    sizes = np.abs(taps.astype(np.int16)).reshape(count * run // (4 * step), step, 4, channels)
    fits = (sizes.sum(axis=1) <= FITTING).all(axis=1)
    return np.stack([fits[:, start : start + columns].all(axis=1) for start in _block_starts(channels, columns)])


def pack_headers(channels: int, columns: int, header: Sequence[Array]) -> bytes:
    """The headers of all blocks: what the blocks are without weights."""
    return b"".join(p for start in _block_starts(channels, columns) for p in _header(header, start, columns))


def pack_depthwise(taps: Array, columns: int, header: Sequence[Array]) -> bytes:
    """Blocks for a depthwise convolution. taps: [taps, channels]; header as in `pack_dense`."""
    count, channels = taps.shape
    padded = np.zeros((count, max(channels, columns)), taps.dtype)
    padded[:, :channels] = taps
    blocks = []
    for start in _block_starts(channels, columns):
        blocks += [*_header(header, start, columns), padded[:, start : start + columns].tobytes()]
    return b"".join(blocks)


def _block_starts(channels: int, columns: int) -> list[int]:
    """First channel of each block. The last block overlaps its neighbour rather than being cut short."""
    count = -(-channels // columns)
    return [max(min(b * columns, channels - columns), 0) for b in range(count)]


def _header(header: Sequence[Array], start: int, columns: int) -> list[bytes]:
    parts = []
    for values in header:
        part = np.zeros(columns, values.dtype)
        available = values[start : start + columns]
        part[: len(available)] = available
        parts.append(part.tobytes())
    return parts


def float_bits(value: float) -> int:
    """A float32 as the int32 of its bits, which is how kernels take float parameters."""
    return int(np.array(value, np.float32).view(np.int32))
