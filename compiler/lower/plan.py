"""The plan: what lowering produces, code generation compiles and the native runtime executes.

A plan is data. It lists the steps of one inference in order; each step calls one kernel over a flat
tile space. Everything that a step touches is an `Operand`: an offset into one of four memory spaces.

Integers of a step (operand offsets, params, tiles) may be `ir.extent.Extent`s: the runtime computes them from the
values that the plan's symbols have in a run, and skips a step that has no tiles then.
"""

from dataclasses import dataclass, field
from enum import IntEnum

from ..ir.extent import Symbol
from ..ir.types import TensorType

MAX_OPERANDS = 5
"""Pointers a kernel receives. With the parameter block and the tile range they fill the eight
argument registers of AArch64, so a call needs no stack."""


class Space(IntEnum):
    """Where an operand lives. The values are part of the runtime's plan format (`program.h`)."""

    NONE = 0
    ARENA = 1
    WEIGHTS = 2
    INPUT = 3
    OUTPUT = 4


@dataclass(frozen=True)
class Operand:
    """One pointer of a step: `offset` bytes into `space`; `index` is the input's or output's number."""

    space: Space
    offset: int = 0
    index: int = 0


class Control(IntEnum):
    """What a step does instead of calling a kernel. A control step is a phase of its own: all earlier steps have
    finished, later ones wait. The values are part of the runtime's plan format."""

    NONE = 0
    BRANCH = 1
    """Go on at step `target` if the byte at operand 0 is 0."""
    JUMP = 2
    """Go on at step `target`."""
    MEASURE = 3
    """Symbol number `target` takes the int64 at operand 0; later steps are computed with it."""
    REQUIRE = 4
    """The run ends here with an error if the byte at operand 0 is 0."""


@dataclass(frozen=True)
class Step:
    """One kernel call over tiles [0, tiles), or what `control` says.

    `params` are the kernel's int32 parameters (extents, strides, clamps ...), in the order its
    template defines. `barrier` means: start only when all earlier steps have finished.
    """

    kernel: str
    operands: tuple[Operand, ...]
    params: tuple[int, ...]
    tiles: int
    barrier: bool = True
    name: str = ""
    macs: int = 0
    control: Control = Control.NONE
    target: int = 0

    @property
    def action(self) -> str:
        """What the step is in profiles and manifests: its kernel, or what it does to the order of steps."""
        return self.control.name.lower() if self.control else self.kernel


@dataclass(frozen=True)
class Port:
    """An input or output of the model, as the user sees it (dense, row-major, in `type`'s layout). Extents of its shape
    that are `Extent`s differ from run to run, and `type` is the largest."""

    name: str
    type: TensorType


@dataclass(frozen=True)
class State:
    """A tensor that stays in the session from run to run: `type` at `offset` of the arena, in bytes that are its own.
    It starts as zeros; `input` and `output` are what the model calls it before and after a run."""

    input: str
    output: str
    type: TensorType
    offset: int


@dataclass
class Plan:
    """A whole inference: ports, steps, the arena's size in bytes, the packed weights, the symbols that its extents are
    made of (those of input shapes first), and what a session keeps between runs."""

    name: str
    inputs: list[Port]
    outputs: list[Port]
    steps: list[Step] = field(default_factory=list)
    arena_size: int = 0
    weights: bytes = b""
    symbols: list[Symbol] = field(default_factory=list)
    states: list[State] = field(default_factory=list)

    def shares(self) -> dict[str, float]:
        """Kernel -> its share of all multiply-accumulates."""
        total = sum(int(step.macs) for step in self.steps) or 1
        shares: dict[str, float] = {}
        for step in self.steps:
            if not step.control:
                shares[step.kernel] = shares.get(step.kernel, 0.0) + int(step.macs) / total
        return shares
