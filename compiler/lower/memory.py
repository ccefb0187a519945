"""The static memory plan: an offset in the arena for every storage, from the phases in which it is in use.

Two storages may share bytes when no phase uses both. Greedy placement by size (Pisarchyk & Lee, "Efficient Memory
Management for Deep Neural Net Inference", 2020): the largest first, each at the lowest gap that fits between the
neighbours it meets in time. Where that leaves holes at the peak, what ends up on top is placed first instead, again and
again.
"""

from collections.abc import Callable, Sequence

import numpy as np

from ..ir.graph import Array
from .buffers import ALIGNMENT, Storage

ROUNDS = 200
"""Placements that are tried for a plan."""

MAX_PAIRS = 2**29
"""Pairs of storages that they look at in all: fewer are tried for plans of thousands of storages, at least one."""

_Order = Callable[[Storage], tuple[int, ...]]

_ORDERS: tuple[_Order, ...] = (
    lambda s: (-s.size, s.first),
    lambda s: (s.first, -s.size),
    lambda s: (-s.size * (s.last - s.first + 1), s.first),
    lambda s: (s.first - s.last, -s.size),
)


def plan_arena(storages: Sequence[Storage]) -> int:
    """Assign offsets; returns the arena's size in bytes, the smallest of what was tried."""
    least = _aligned(lower_bound(storages))
    tried = max(1, min(ROUNDS, MAX_PAIRS // (len(storages) ** 2 + 1)))
    starts = [sorted(storages, key=order) for order in _ORDERS[:tried]]
    best, offsets = min(((_size(placed), placed) for placed in map(_place, starts)), key=lambda plan: plan[0])
    for start in starts:
        order = list(start)
        for _ in range(tried // len(_ORDERS)):
            if best <= least:
                break
            placed = _place(order)
            size = _size(placed)
            if size < best:
                best, offsets = size, placed
            top = max(placed, key=lambda s: placed[s] + _aligned(s.size))
            if order[0] is top:
                break
            order.remove(top)
            order.insert(0, top)
    for storage, offset in offsets.items():
        storage.offset = offset
    return best


def lower_bound(storages: Sequence[Storage]) -> int:
    """The largest sum of sizes in use at one time: no plan can need less."""
    changes: dict[int, int] = {}
    for s in storages:
        changes[s.first] = changes.get(s.first, 0) + s.size
        changes[s.last + 1] = changes.get(s.last + 1, 0) - s.size
    live = peak = 0
    for phase in sorted(changes):
        live += changes[phase]
        peak = max(peak, live)
    return peak


def _aligned(size: int) -> int:
    return size + -size % ALIGNMENT


def _size(placed: dict[Storage, int]) -> int:
    return max((offset + _aligned(s.size) for s, offset in placed.items()), default=0)


def _place(order: Sequence[Storage]) -> dict[Storage, int]:
    """Each storage at the lowest offset where those before it leave room while it is in use."""
    first, last = np.array([s.first for s in order]), np.array([s.last for s in order])
    sizes = np.array([_aligned(s.size) for s in order], np.int64)
    begins = np.zeros(len(order), np.int64)
    for i, storage in enumerate(order):
        meets = np.flatnonzero((first[:i] <= storage.last) & (last[:i] >= storage.first))
        if len(meets):
            begins[i] = _lowest_gap(begins[meets], sizes[meets], sizes[i])
    return dict(zip(order, begins.tolist(), strict=True))


def _lowest_gap(begins: Array, sizes: Array, size: int) -> int:
    """The lowest offset with `size` free bytes beside the ranges that begin at `begins`."""
    by_offset = np.argsort(begins, kind="stable")
    begins = begins[by_offset]
    free_from = np.maximum.accumulate(np.append(0, begins + sizes[by_offset]))
    fits = np.flatnonzero(begins - free_from[:-1] >= size)
    return int(free_from[fits[0] if len(fits) else -1])
