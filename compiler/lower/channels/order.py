"""An order of channels in which more steps of weights fit int16 (`kernels/convolutions/conv.py`)."""

from collections.abc import Sequence

import numpy as np

from ...ir.graph import Array
from ...kernels.convolutions.conv import FITTING, STEPS
from ..nodes.packing import ENOUGH

GROUP = 4
LANES = STEPS["int8"] * GROUP
"""Channels of a step. Those at equal places in its groups are added up first."""

WORK = 2 * 10**8
"""Of a search at most: sums that are looked at."""

COMPARED = 10**10
"""Of bringing alike channels together at most, some seconds: steps that are compared. Of more channels, such as large
language models have, these stay as they are."""

FEW = 8
"""Where one sum in so many does not fit, or less, those that make the channels may lose some of theirs for it: kernels
for which all fit tell no steps apart."""


def best_order(columns: int, sizes: Array, made: Sequence[Array]) -> Array:
    """The channels in their new order.

    sizes: int16[rows, channels], of weights that the channels are multiplied by, for each result and tap; channels are
    whole steps, or there are no rows. made: bool[channels, steps], for each node that makes the channels which of its
    steps fit; channels are whole blocks of `columns`.
    """
    order = np.arange(sizes.shape[1])
    while made:
        fits = np.concatenate(made, axis=1)
        if len(fits) * fits.size > COMPARED:
            break
        order = _alike(columns, fits)
        told = [fits for fits in made if fits[order].reshape(-1, columns, fits.shape[1]).all(axis=1).mean() >= ENOUGH]
        if len(told) == len(made):
            break
        order, made = np.arange(len(order)), told
    if len(sizes):
        _Search(columns, sizes, np.concatenate([np.empty((len(order), 0), bool), *made], axis=1), order).run()
    return order


def _alike(columns: int, fits: Array) -> Array:
    """Blocks of channels of which the same steps fit: each begins with the one of most such steps that is left."""
    left = np.argsort(-fits.sum(axis=1), kind="stable")
    order = []
    while len(left):
        common, taken = fits[left[0]], [0]
        count = fits[left].sum(axis=1)  # where as many steps are common, those with fewer others
        while len(taken) < columns:
            rank = (fits[left] & common).sum(axis=1) * (fits.shape[1] + 1) - count
            rank[taken] = -fits.shape[1] - 1
            taken.append(int(rank.argmax()))
            common = common & fits[left[taken[-1]]]
        order.append(left[taken])
        left = np.delete(left, taken)
    return np.concatenate(order)


class _Search:
    """Exchanges two channels in `order` as long as fewer sums exceed what fits."""

    def __init__(self, columns: int, sizes: Array, fits: Array, order: Array) -> None:
        self._order, self._fits, self._sizes = order, fits[order], sizes[:, order]
        places = np.arange(len(order))
        self._blocks = places // columns
        self._fitting = np.asarray(self._fits.reshape(len(order) // columns, columns, fits.shape[1]).all(axis=1))
        """bool[blocks, steps]."""
        self._sums = places // LANES * GROUP + places % GROUP
        """Which sum the channel at a place joins."""
        self._room, self._over = np.empty_like(self._sizes), np.empty(len(order), np.int64)
        """What the other channels of its sum leave to it, and in how many rows it is larger."""
        for number in range(len(order) // STEPS["int8"]):
            self._add_up(number)
        self._left = WORK // self._sizes.size

    def run(self) -> None:
        """As much as `WORK` allows."""
        self._improve(losing=False)
        if np.count_nonzero(self._over) * FEW <= len(self._order):
            self._improve(losing=True)

    def _improve(self, *, losing: bool) -> None:
        improved = True
        while improved:
            improved = False
            for place in np.argsort(-self._over, kind="stable")[: np.count_nonzero(self._over)]:
                if self._left > 0 and self._over[place]:
                    self._left -= 1
                    improved |= self._exchange(int(place), losing=losing)

    def _exchange(self, place: int, *, losing: bool) -> bool:
        """The channel there with the one that gains most; whether there is one. `losing`: steps of blocks may stop
        fitting, as few as possible."""
        here, there = self._sizes > self._room[:, place, None], self._sizes[:, place, None] > self._room
        gain, lost = self._over + self._over[place] - _counts(here) - _counts(there), self._lost(place)
        gain[(self._sums == self._sums[place]) | (not losing and lost > 0)] = 0
        other = int((gain * (2 * self._fits.shape[1] + 1) - lost).argmax())
        if gain[other] <= 0:
            return False
        pair, swapped = [place, other], [other, place]
        self._sizes[:, pair], self._fits[pair] = self._sizes[:, swapped], self._fits[swapped]
        self._order[pair] = self._order[swapped]
        for block in self._blocks[pair]:
            self._fitting[block] = self._fits[self._blocks == block].all(axis=0)
        for number in self._sums[pair]:
            self._add_up(number)
        return True

    def _lost(self, place: int) -> Array:
        """int[places]: how many steps of both blocks stop fitting after an exchange with each."""
        block = self._blocks[place]
        here = (self._fitting[block] & ~self._fits).sum(axis=1)
        there = (self._fitting & ~self._fits[place]).sum(axis=1)[self._blocks]
        return np.where(self._blocks == block, 0, here + there)

    def _add_up(self, number: int) -> None:
        places = np.flatnonzero(self._sums == number)
        sizes = self._sizes[:, places]
        total = sizes.sum(axis=1, keepdims=True, dtype=sizes.dtype)
        self._room[:, places], self._over[places] = FITTING - total + sizes, np.count_nonzero(total > FITTING)


def _counts(marked: Array) -> Array:
    """int64[columns]: how many rows are marked."""
    return np.asarray(marked.view(np.uint8).sum(axis=0, dtype=np.uint32), np.int64)
