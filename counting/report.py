"""The figures of an inference, step by step."""

from dataclasses import dataclass

from ..compiler.bundle.reader import Bundle
from .cores import Core
from .count import count
from .counts import OUTSIDE, Counts


@dataclass(frozen=True)
class StepCount:
    """What one step executed, with what the runtime did between it and the next one."""

    name: str
    kernel: str
    macs: int
    instructions: int


@dataclass(frozen=True)
class Report:
    """One inference on one core. `outside`: instructions before the first step; `instructions`: all, the sum of those
    and of the steps'."""

    core: str
    variant: str
    precision: str
    macs: int
    instructions: int
    outside: int
    memory: dict[str, int]
    steps: tuple[StepCount, ...]


def report(bundle: Bundle, core: Core) -> Report:
    """Counts one inference of a bundle for arm64 (`count.count`)."""
    manifest = bundle.manifest
    counts, run = count(bundle, core)
    steps = tuple(
        StepCount(step.name, step.kernel, step.macs, _instructions(counts, number))
        for number, step in enumerate(manifest.steps)
    )
    return Report(
        core=core.name,
        variant=run.variant,
        precision=manifest.precision,
        macs=manifest.macs,
        instructions=counts.instructions,
        outside=_instructions(counts, OUTSIDE) + counts.edges,
        memory=run.memory,
        steps=steps,
    )


def _instructions(counts: Counts, step: int) -> int:
    return counts.instructions_of(counts.in_step(step))
