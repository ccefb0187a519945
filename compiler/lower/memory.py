"""The static memory plan: an offset in the arena for every storage, from the phases in which it is in use.

Two storages may share bytes when no phase uses both. Greedy placement by size (Pisarchyk & Lee, "Efficient Memory
Management for Deep Neural Net Inference", 2020): the largest first, each at the lowest gap that fits between the
neighbours it meets in time.
"""

from collections.abc import Callable, Sequence

from .buffers import ALIGNMENT, Storage


def plan_arena(storages: Sequence[Storage]) -> int:
    """Assign offsets; returns the arena's size in bytes. The best of several orders is taken."""
    orders: list[Callable[[Storage], tuple[int, ...]]] = [
        lambda s: (-s.size, s.first),
        lambda s: (s.first, -s.size),
        lambda s: (-s.size * (s.last - s.first + 1), s.first),
        lambda s: (s.first - s.last, -s.size),
    ]
    best: tuple[int, list[int]] | None = None
    for order in orders:
        placed = _place(sorted(storages, key=order))
        offsets = [placed[id(s)] for s in storages]
        size = max((o + _aligned(s.size) for o, s in zip(offsets, storages, strict=True)), default=0)
        if best is None or size < best[0]:
            best = size, offsets
    assert best is not None
    for storage, offset in zip(storages, best[1], strict=True):
        storage.offset = offset
    return best[0]


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


def _place(order: Sequence[Storage]) -> dict[int, int]:
    offsets: dict[int, int] = {}
    done: list[Storage] = []
    for storage in order:
        meets = [(offsets[id(o)], _aligned(o.size)) for o in done if o.first <= storage.last and storage.first <= o.last]
        at = 0
        for begin, size in sorted(meets):
            if begin - at >= _aligned(storage.size):
                break
            at = max(at, begin + size)
        offsets[id(storage)] = at
        done.append(storage)
    return offsets
