"""The transforms of Winograd's algorithm for 3 x 3 kernels, as F(side x side, 3 x 3) by Toom and Cook's points.

With a stride of 1 the points are 0, +-p for each p of `POINTS`, and infinity. These have exact squares and products in
float32, and the errors of their transforms are a fifth of those of 0, +-1, +-2: sums of 64 to 256 channels differ by at
most 1.3e-6 of their range from the exact ones, those of the direct form by 0.5e-6. With 0, +-1 and infinity (`side` 2)
data and results are but added up, and weights halved, for which float16 has bits enough.

With a stride of 2 an output has the inputs beside it, at even places, under taps 0 and 2, and one at an odd place under
tap 1. Of the former F(2, 2) with the points 0, 1 and infinity makes three products for four, of the latter there is one
an output: 5 x 5 products for 6 x 6. Nothing but sums is made of data, weights or results.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ...ir.graph import Array
from ..emit.builder import Value
from ..emit.floating import fma, keep, like

POINTS: Mapping[int, Sequence[float]] = {2: (1.0,), 4: (0.75, 1.5)}
"""By the side of a tile of results, where the stride is 1."""

STRIDED = np.array([[1, 0, 0], [1, 0, 1], [0, 0, 1], [0, 1, 0]])
"""What taps are multiplied by where it is 2; the last line is for both inputs at odd places."""


@dataclass(frozen=True)
class Form:
    """Tiles of `side` x `side` results of a convolution with this stride: 2 or 4, or 2 with a stride of 2."""

    side: int
    stride: int = 1

    @property
    def span(self) -> int:
        """Inputs of a tile in each direction, of which as many products with weights are made."""
        return (self.side - 1) * self.stride + 3

    @property
    def positions(self) -> int:
        """Products of a tile and a weight."""
        return self.span**2

    @property
    def taps(self) -> int:
        """Transformed weights in each direction: the last ones of `span` may have the same."""
        return self.span if self.stride == 1 else len(STRIDED)


def weight_transform(form: Form, w: Array) -> Array:
    """[O, C, 3, 3] float32 -> [taps^2, C, O], computed in float64 and rounded once: G g G^T."""
    g = STRIDED if form.stride == 2 else _toom_cook(POINTS[form.side])
    outputs, inputs, _, _ = w.shape
    transformed = np.einsum("ik,ockl,jl->ijco", g, w.astype(np.float64), g, optimize=True)
    return np.asarray(transformed.reshape(form.taps**2, inputs, outputs), np.float32)


def data_transform(lanes: int, form: Form, d: Sequence[Value]) -> list[Value]:
    """B^T d of `span` vectors of `lanes` floats. With a stride of 1 row i has the coefficients of the product of
    (x - q) over all points q but the i-th."""
    if form.stride == 2:
        return [keep(d[0] - d[2]), d[2], keep(d[4] - d[2]), d[1], d[3]]
    points, squares = POINTS[form.side], [p * p for p in POINTS[form.side]]
    found = [_combined(lanes, _monic(squares), d[0::2])]
    for p in points:
        others = _monic([q for q in squares if q != p * p])
        even, odd = (_combined(lanes, others, d[first : first + 2 * len(others) : 2]) for first in (2, 1))
        found += [keep(fma(lanes, like(odd, q, lanes), odd, even)) for q in (p, -p)]
    return [*found, _combined(lanes, _monic(squares), d[1::2])]


def result_transform(lanes: int, form: Form, m: Sequence[Value]) -> list[Value]:
    """A^T m of `span` vectors, `side` of them. With a stride of 1 row k has the k-th powers of the points."""
    if form.stride == 2:
        return [keep(keep(m[i] + m[i + 1]) + m[i + 3]) for i in range(2)]
    points, pairs = POINTS[form.side], list(zip(m[1:-1:2], m[2:-1:2], strict=True))
    sums, differences = ([keep(op) for op in ops] for ops in ([a + b for a, b in pairs], [a - b for a, b in pairs]))
    found = []
    for k in range(form.side):
        total = m[0] if k == 0 else m[-1] if k == form.side - 1 else None
        for p, value in zip(points, differences if k % 2 else sums, strict=True):
            power = like(value, p**k, lanes)
            total = power * value if total is None else fma(lanes, power, value, total)
        found.append(keep(total))
    return found


def _toom_cook(positive: Sequence[float]) -> Array:
    """G: what taps are multiplied by for 0, both signs of these points and infinity."""
    points = [0.0, *(sign * p for p in positive for sign in (1, -1))]
    rows = [np.array([1, p, p * p]) / np.prod([p - q for q in points if q != p]) for p in points]
    return np.array([*rows, [0, 0, 1]])


def _monic(roots: Sequence[float]) -> list[float]:
    """Coefficients of the product of (x - root), that of the constant first; the last is 1."""
    return [float(c) for c in np.poly(roots)[::-1]] if roots else [1.0]


def _combined(lanes: int, coefficients: Sequence[float], values: Sequence[Value]) -> Value:
    """The sum of products; the last coefficient is 1."""
    total = values[-1]
    for c, value in zip(coefficients[-2::-1], values[-2::-1], strict=True):
        total = fma(lanes, like(value, c, lanes), value, total)
    return keep(total)
