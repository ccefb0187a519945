"""The figures of an inference, step by step."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from ..compiler.bundle.reader import Bundle
from .cores import Core
from .costs import Cost, price
from .count import count
from .counts import OUTSIDE, Counts
from .llvm import find_llvm
from .models import Demand


@dataclass(frozen=True)
class Figures:
    """Of a step, of several, or of what the runtime does before the first; what it does between steps belongs to the
    step before. `instructions` are counted. Cycles are modelled: `cycles` in all, `misses` those for misses of caches,
    `demand` those that resources need of the others at the least, `bounds` those that each resource bounds."""

    macs: int
    instructions: int
    cycles: float
    misses: float
    demand: Demand
    bounds: dict[str, float]

    @property
    def bound(self) -> str:
        """What bounds most of the cycles."""
        return max(self.bounds, key=lambda name: self.bounds[name], default="")


@dataclass(frozen=True)
class Step:
    """One step of the plan."""

    name: str
    kernel: str
    figures: Figures


@dataclass(frozen=True)
class Report:
    """One inference on one core: `total` is the sum of `outside` and the steps. `peak`: multiply-accumulates a cycle
    that the core can do in this precision; `llvm`: the release whose models were used."""

    core: str
    variant: str
    precision: str
    peak: int
    llvm: str
    memory: dict[str, int]
    total: Figures
    outside: Figures
    steps: tuple[Step, ...]


def report(bundle: Bundle, core: Core) -> Report:
    """Counts one inference of a bundle for arm64, and models its cycles. EdgeError where a tool is missing."""
    manifest, llvm = bundle.manifest, find_llvm()
    counts, run = count(bundle, core)
    costs = price(counts, core, len(manifest.steps))
    outside = _figures(counts, OUTSIDE, 0, costs[OUTSIDE], counts.edges)
    steps = tuple(
        Step(step.name, step.kernel, _figures(counts, number, step.macs, costs[number]))
        for number, step in enumerate(manifest.steps)
    )
    return Report(
        core=core.name,
        variant=run.variant,
        precision=manifest.precision,
        peak=core.peak[manifest.precision],
        llvm=llvm.version,
        memory=run.memory,
        total=added([outside, *(step.figures for step in steps)]),
        outside=outside,
        steps=steps,
    )


def _figures(counts: Counts, step: int, macs: int, cost: Cost, beside: int = 0) -> Figures:
    instructions = counts.instructions_of(counts.in_step(step)) + beside
    return Figures(macs, instructions, cost.cycles, cost.misses, cost.demand, {cost.bound: cost.cycles})


def added(parts: Iterable[Figures]) -> Figures:
    """The sum."""
    rows, bounds = list(parts), Counter[str]()
    for row in rows:
        bounds.update(row.bounds)
    return Figures(
        macs=sum(row.macs for row in rows),
        instructions=sum(row.instructions for row in rows),
        cycles=sum(row.cycles for row in rows),
        misses=sum(row.misses for row in rows),
        demand=Demand.total((row.demand, 1) for row in rows),
        bounds=dict(bounds),
    )
