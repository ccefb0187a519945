"""Ranges of activations: streaming statistics and the choice of [lo, hi] from them."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

Array = np.ndarray[Any, Any]
Method = Literal["minmax", "percentile"]
"""percentile drops 0.01 % at either end, which makes steps finer: the better choice for all of the zoo's models
(`python -m edgec.benchmarks.accuracy`). minmax keeps whatever the samples show: for rare large values that matter."""

MAX_BINS = 4096
MAX_INDEX_BITS = 40
"""Bins of a constant far from zero are not made narrower than float32 can tell apart."""

PERCENTILE = 99.99


@dataclass(frozen=True)
class Range:
    """The real interval that a value's int8 codes shall span."""

    lo: float
    hi: float

    def __or__(self, other: "Range") -> "Range":
        return Range(min(self.lo, other.lo), max(self.hi, other.hi))

    @property
    def span(self) -> float:
        """Width of the interval once it holds 0, as every int8 range must."""
        return max(self.hi, 0.0) - min(self.lo, 0.0)


class Histogram:
    """Counts of a stream of floats in at most `MAX_BINS` bins, edges at multiples of a power of two.

    When a new value does not fit, the bin width doubles and bins merge in pairs. Edges of every width are edges of
    all smaller ones, so the merge is exact and the result does not depend on the order of the stream.
    """

    def __init__(self) -> None:
        self.lo, self.hi = np.inf, -np.inf
        self._exponent = -126
        self._first = 0
        self._counts = np.zeros(0, np.int64)

    @property
    def total(self) -> int:
        """Number of values seen."""
        return int(self._counts.sum())

    def add(self, data: Array) -> None:
        """Count the values of a finite float array."""
        if data.size == 0:
            return
        x = data.astype(np.float64).ravel()
        self.lo, self.hi = min(self.lo, float(x.min())), max(self.hi, float(x.max()))
        while not self._fits():
            self._widen()
        bins = np.floor(np.ldexp(x, -self._exponent)).astype(np.int64)
        self._span(int(bins.min()), int(bins.max()))
        self._counts += np.bincount(bins - self._first, minlength=len(self._counts))

    def _fits(self) -> bool:
        """Whether all that was seen has bins of the present width."""
        first, last = (np.floor(np.ldexp(edge, -self._exponent)) for edge in (self.lo, self.hi))
        return bool(last - first < MAX_BINS and max(-first, last) < 2**MAX_INDEX_BITS)

    def _widen(self) -> None:
        """Double the bin width."""
        self._exponent += 1
        if len(self._counts):
            padded = np.concatenate([np.zeros(self._first % 2, np.int64), self._counts])
            padded = np.concatenate([padded, np.zeros(len(padded) % 2, np.int64)])
            self._counts = padded.reshape(-1, 2).sum(axis=1)
            self._first //= 2

    def _span(self, first: int, last: int) -> None:
        """Make room for the bins `first`..`last`."""
        if not len(self._counts):
            self._first, self._counts = first, np.zeros(last - first + 1, np.int64)
            return
        before = max(self._first - first, 0)
        after = max(last - (self._first + len(self._counts) - 1), 0)
        self._counts = np.pad(self._counts, (before, after))
        self._first -= before

    def range(self, method: Method) -> Range:
        """[lo, hi] by `method`: all values seen, or all but 0.01 % at either end (to the resolution of the bins)."""
        if not len(self._counts):
            return Range(0.0, 0.0)
        if method == "minmax":
            return Range(self.lo, self.hi)
        below = np.cumsum(self._counts)
        outside = below[-1] * (1 - PERCENTILE / 100)
        first = self._first + int(np.searchsorted(below, outside, side="right"))
        last = self._first + int(np.searchsorted(below, below[-1] - outside, side="left")) + 1
        return Range(max(self.lo, np.ldexp(first, self._exponent)), min(self.hi, np.ldexp(last, self._exponent)))
