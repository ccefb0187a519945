"""The transforms of Winograd's algorithm for 3 x 3 kernels, as F(side x side, 3 x 3) by Toom and Cook's points.

The points are 0, +-p for each p of `POINTS`, and infinity. These have exact squares and products in float32, and the
errors of their transforms are a fifth of those of 0, +-1, +-2: sums of 64 to 256 channels differ by at most 1.3e-6 of
their range from the exact ones, those of the direct form by 0.5e-6. With 0, +-1 and infinity (`side` 2) data and
results are but added up, and weights halved, for which float16 has bits enough.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from ...ir.graph import Array
from ..emit.builder import Value
from ..emit.floating import fma, keep, like

POINTS: Mapping[int, Sequence[float]] = {2: (1.0,), 4: (0.75, 1.5)}
"""By the side of a tile of results."""


def weight_transform(side: int, w: Array) -> Array:
    """[O, C, 3, 3] float32 -> [(side + 2)^2, C, O], computed in float64 and rounded once: G g G^T."""
    points = [0.0, *(sign * p for p in POINTS[side] for sign in (1, -1))]
    rows = [np.array([1, p, p * p]) / np.prod([p - q for q in points if q != p]) for p in points]
    g = np.array([*rows, [0, 0, 1]])
    outputs, inputs, _, _ = w.shape
    transformed = np.einsum("ik,ockl,jl->ijco", g, w.astype(np.float64), g, optimize=True)
    return np.asarray(transformed.reshape((side + 2) ** 2, inputs, outputs), np.float32)


def data_transform(lanes: int, side: int, d: Sequence[Value]) -> list[Value]:
    """B^T d of side + 2 vectors of `lanes` floats: row i has the coefficients of the product of (x - q) over all
    points q but the i-th."""
    points, squares = POINTS[side], [p * p for p in POINTS[side]]
    found = [_combined(lanes, _monic(squares), d[0::2])]
    for p in points:
        others = _monic([q for q in squares if q != p * p])
        even, odd = (_combined(lanes, others, d[first : first + 2 * len(others) : 2]) for first in (2, 1))
        found += [keep(fma(lanes, like(odd, q, lanes), odd, even)) for q in (p, -p)]
    return [*found, _combined(lanes, _monic(squares), d[1::2])]


def result_transform(lanes: int, side: int, m: Sequence[Value]) -> list[Value]:
    """A^T m of side + 2 vectors, `side` of them: row k has the k-th powers of the points."""
    points, pairs = POINTS[side], list(zip(m[1:-1:2], m[2:-1:2], strict=True))
    sums, differences = ([keep(op) for op in ops] for ops in ([a + b for a, b in pairs], [a - b for a, b in pairs]))
    found = []
    for k in range(side):
        total = m[0] if k == 0 else m[-1] if k == side - 1 else None
        for p, value in zip(points, differences if k % 2 else sums, strict=True):
            power = like(value, p**k, lanes)
            total = power * value if total is None else fma(lanes, power, value, total)
        found.append(keep(total))
    return found


def _monic(roots: Sequence[float]) -> list[float]:
    """Coefficients of the product of (x - root), that of the constant first; the last is 1."""
    return [float(c) for c in np.poly(roots)[::-1]] if roots else [1.0]


def _combined(lanes: int, coefficients: Sequence[float], values: Sequence[Value]) -> Value:
    """The sum of products; the last coefficient is 1."""
    total = values[-1]
    for c, value in zip(coefficients[-2::-1], values[-2::-1], strict=True):
        total = fma(lanes, like(value, c, lanes), value, total)
    return keep(total)
