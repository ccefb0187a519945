"""Sums over rows of floats, in the order in which kernels add: the same bits on every machine.

Element k joins sum number k modulo n, of the n that `SUM_BYTES` hold, those behind the last whole vector a sum of
their own. The halves of those sums are added, theirs then, and so on; the result to the sum of their own.
"""

from collections.abc import Callable

import numpy as np

from ..ir.graph import Array

SUM_BYTES = 32
"""Of the vectors in which the floats of a row are summed up, whatever a register holds."""

Join = Callable[[Array, Array], Array]


def row_sums(x: Array, join: Join = np.add) -> Array:
    """x [rows, n] -> [rows, 1]. `join` says how an element joins a sum."""
    lanes = SUM_BYTES // x.itemsize
    whole = x.shape[1] - x.shape[1] % lanes
    sums, total = np.zeros((len(x), lanes), x.dtype), np.zeros(len(x), x.dtype)
    for first in range(0, whole, lanes):
        sums = join(sums, x[:, first : first + lanes])
    for k in range(whole, x.shape[1]):
        total = join(total, x[:, k])
    while lanes > 1:
        lanes //= 2
        sums = sums[:, :lanes] + sums[:, lanes:]
    return total[:, None] + sums
