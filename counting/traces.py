"""Joining blocks into traces: what the processor sees as one stretch of code, mostly the body of a loop."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from .counts import Block, Runs

FIRM = 0.98
"""The share of a block's exits, and of the next one's entries, that makes the two one stretch."""


@dataclass(frozen=True)
class Trace:
    """Instruction words that run one after the other, and how often the whole stretch ran."""

    words: tuple[int, ...]
    runs: float


def traces(blocks: Mapping[int, Block], runs: Iterable[Runs]) -> list[Trace]:
    """Stretches that hold each block of `runs` once. Counts of the blocks in one may differ by a little, so `runs` of a
    trace is the mean, weighted by instructions."""
    counts: Counter[int] = Counter()
    edges: Counter[tuple[int, int]] = Counter()
    for r in runs:
        counts[r.to] += r.count
        if r.origin is not None:
            edges[r.origin, r.to] += r.count
    found = []
    for chain in _chains(counts, _firm(edges)):
        words = tuple(word for block in chain for word in blocks[block].words)
        executed = sum(counts[block] * len(blocks[block].words) for block in chain)
        found.append(Trace(words, executed / len(words)))
    return found


def _firm(edges: Mapping[tuple[int, int], int]) -> dict[int, int]:
    """The edges that nearly always are taken, forwards and backwards, as block -> next block."""
    left: Counter[int] = Counter()
    entered: Counter[int] = Counter()
    for (a, b), n in edges.items():
        left[a] += n
        entered[b] += n
    return {a: b for (a, b), n in edges.items() if n >= FIRM * max(left[a], entered[b])}


def _chains(blocks: Iterable[int], following: Mapping[int, int]) -> list[list[int]]:
    """Paths along `following`; each block stands in one. A ring starts at its first block."""
    preceded = set(following.values())
    seen: set[int] = set()
    chains = []
    for start in sorted(blocks, key=lambda block: (block in preceded, block)):
        chain = []
        block: int | None = start
        while block is not None and block not in seen:
            seen.add(block)
            chain.append(block)
            block = following.get(block)
        if chain:
            chains.append(chain)
    return chains
