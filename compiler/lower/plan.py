"""The plan: what lowering produces, code generation compiles and the native runtime executes.

A plan is data. It lists the steps of one inference in order; each step calls one kernel over a flat
tile space. Everything that a step touches is an `Operand`: an offset into one of four memory spaces.
"""

from dataclasses import dataclass, field
from enum import IntEnum

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


@dataclass(frozen=True)
class Step:
    """One kernel call over tiles [0, tiles).

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


@dataclass(frozen=True)
class Port:
    """An input or output of the model, as the user sees it (dense, row-major, in `type`'s layout)."""

    name: str
    type: TensorType


@dataclass
class Plan:
    """A whole inference: ports, steps, the arena's size in bytes, and the packed weights."""

    name: str
    inputs: list[Port]
    outputs: list[Port]
    steps: list[Step] = field(default_factory=list)
    arena_size: int = 0
    weights: bytes = b""
