"""Products of float32 matrices, summed up as kernels do it: the same bits on every machine.

Each product joins its sum, which begins with the bias, in a fused multiply-add, in the order of the columns of `x`. A
matrix that meets one row at a time has `CHAINS` sums an element, of every `CHAINS`-th product, so that no instruction
waits for the one before; the bias is in the first.
"""

from collections.abc import Sequence

import numpy as np

from ..ir.arrays import fma32
from ..ir.graph import Array

CHAINS = 4


def meets_single_rows(rows: Sequence[int], w: Sequence[int]) -> bool:
    """Whether of the rows [*batch, M] of a result no two neighbours come from the same matrix of `w` [.., K, N]."""
    matrices = (*[1] * (len(rows) + 1 - len(w)), *w[:-2], 1)
    for extent, own in zip(reversed(rows), reversed(matrices), strict=True):
        if extent != 1:
            return own != 1
    return True


def multiply(x: Array, w: Array, bias: Array | None = None) -> Array:
    """x [.., M, K] times w [.., K, N], plus bias [N], float32."""
    rows = (*np.broadcast_shapes(x.shape[:-2], w.shape[:-2]), x.shape[-2])
    depth = x.shape[-1]
    chained = depth - depth % CHAINS if meets_single_rows(rows, w.shape) else 0
    sums = [np.zeros((*rows, w.shape[-1]), np.float32) for _ in range(CHAINS)]
    if bias is not None:
        sums[0][...] = bias
    for k in range(depth):
        chain = k % CHAINS if k < chained else 0
        sums[chain] = fma32(x[..., k : k + 1], w[..., k : k + 1, :], sums[chain])
    return np.asarray((sums[0] + sums[1]) + (sums[2] + sums[3]))
