"""What one inference executed: blocks of instructions, how often each ran, in which step, after which other."""

from collections.abc import Iterable
from dataclasses import dataclass

from ..errors import EdgeError

OUTSIDE = -1
"""The step of what runs before the first step begins."""


@dataclass(frozen=True)
class Block:
    """Instruction words that run one after the other, from `address` on."""

    id: int
    address: int
    words: tuple[int, ...]


@dataclass(frozen=True)
class Runs:
    """`count` runs of the block `to` right after the block `origin` (None: the first of the region), in one step; `l1`
    and `l2` are the accesses in them that missed that cache."""

    step: int
    origin: int | None
    to: int
    count: int
    l1: int
    l2: int


@dataclass(frozen=True)
class Counts:
    """A region's blocks by id, and their runs. `edges`: instructions that the region has beside those of whole blocks
    (negative: fewer), because it begins and ends inside of blocks."""

    blocks: dict[int, Block]
    runs: tuple[Runs, ...]
    edges: int

    @property
    def instructions(self) -> int:
        """All that were executed in the region."""
        return self.edges + self.instructions_of(self.runs)

    def instructions_of(self, runs: Iterable[Runs]) -> int:
        """Those of some runs, in whole blocks."""
        return sum(r.count * len(self.blocks[r.to].words) for r in runs)

    def in_step(self, step: int) -> tuple[Runs, ...]:
        """The runs of one step, or of what is `OUTSIDE`."""
        return tuple(r for r in self.runs if r.step == step)


def parse(text: str) -> Counts:
    """What the plugin wrote (`plugin.c`); EdgeError unless there was exactly one region."""
    rows: dict[str, list[list[int]]] = {"region": [], "block": [], "runs": []}
    for line in text.splitlines():
        kind, *numbers = line.split()
        rows[kind].append([int(n) for n in numbers])
    [[regions, edges]] = rows["region"]
    if regions != 1:
        raise EdgeError(f"the program marked {regions} regions where one is counted")
    runs = sorted(rows["runs"])
    used = {row[2] for row in runs}
    blocks = {i: Block(i, address, tuple(words)) for i, address, *words in rows["block"] if i in used}
    return Counts(blocks, tuple(Runs(s, None if o < 0 else o, *rest) for s, o, *rest in runs), edges)
