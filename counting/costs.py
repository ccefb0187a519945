"""Cycles of what was counted."""

from collections.abc import Mapping
from dataclasses import dataclass

from .cores import Core
from .counts import OUTSIDE, Counts
from .llvm import disassemble
from .models import Demand
from .operation import decode
from .traces import Trace, traces


@dataclass(frozen=True)
class Cost:
    """Of one step, or of what is outside steps: `cycles` in all, those for `misses` of caches among them; `demand` is
    what the rest needs at the least, `bound` what bounds the whole."""

    cycles: float
    misses: float
    demand: Demand
    bound: str


def price(counts: Counts, core: Core, steps: int) -> Mapping[int, Cost]:
    """The cost of each step on a core, and of what is `OUTSIDE`."""
    text = disassemble(word for block in counts.blocks.values() for word in block.words)
    by_step = {step: traces(counts.blocks, counts.in_step(step)) for step in (OUTSIDE, *range(steps))}
    lines = {t.words: tuple(text[word] for word in t.words) for found in by_step.values() for t in found}
    cycles = core.model.cycles(list(lines.values()))
    demands = {
        code: Demand.total((core.model.demand(decode(line)), 1) for line in code) for code in set(lines.values())
    }

    def cost(step: int, found: list[Trace]) -> Cost:
        compute = sum(t.runs * cycles[lines[t.words]] for t in found)
        misses = sum(r.l1 * core.l1.miss + r.l2 * core.l2.miss for r in counts.in_step(step))
        demand = Demand.total((demands[lines[t.words]], t.runs) for t in found)
        bound = "cache misses" if misses > compute else demand.bound(compute)
        return Cost(compute + misses, misses, demand, bound)

    return {step: cost(step, found) for step, found in by_step.items()}
