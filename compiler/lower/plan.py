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
    SCRATCH = 5
    """Memory of each thread for itself: of `Bands`, from their place on; of other steps, of which it is the last
    operand, the offset is that in the arena, where the first thread has it. The other threads have theirs behind."""


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
    template defines. `barrier` means: start only when all earlier steps have finished. `scratch`: bytes that each
    thread has for itself while it computes tiles.
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
    scratch: int = 0

    @property
    def action(self) -> str:
        """What the step is in profiles and manifests: its kernel, or what it does to the order of steps."""
        return self.control.name.lower() if self.control else self.kernel


@dataclass(frozen=True)
class Scratch:
    """The rows of a tensor that a band needs, in scratch memory from byte `offset` on: `row` bytes each, padding
    included, and `tail` bytes more, which the last row's padding takes. Rows and columns of padding hold bytes `fill`,
    if there are any (None: not)."""

    offset: int
    row: int
    tail: int
    fill: int | None


@dataclass(frozen=True)
class Stage:
    """What a step computes for band number b of its `Bands`: the rows [b * advance - before, b * advance - before +
    rows) of its output, of which [0, height) exist, the others are padding. The kernel takes the range of pixels, of
    which a row has `width`, as its first two parameters, in tiles of `tile` pixels. Width 0: its tiles are of
    `tile` rows, which divide a band's. `scratch`: where the rows are while the band is computed; None: the tensor is in
    memory as a whole. `writes`: the operand that it writes."""

    advance: int
    before: int
    rows: int
    height: int
    width: int = 0
    tile: int = 1
    scratch: Scratch | None = None
    writes: int = 3


@dataclass(frozen=True)
class Bands:
    """Steps from number `first` on, each of which reads (operand 0) what the one before writes, computed together, band
    by band of the last one's rows: `count` bands, which are the tiles of the first step. The scratch memory of a
    session's first thread is at offset `arena` of the arena."""

    first: int
    count: int
    stages: tuple[Stage, ...]
    arena: int = 0


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
    made of (those of input shapes first), what a session keeps between runs, the bytes of scratch memory that each
    thread but the first has besides, the steps that are computed band by band (by `first`), and of how many of the last
    bytes of the weights a run reads some rows only."""

    name: str
    inputs: list[Port]
    outputs: list[Port]
    steps: list[Step] = field(default_factory=list)
    arena_size: int = 0
    weights: bytes = b""
    symbols: list[Symbol] = field(default_factory=list)
    states: list[State] = field(default_factory=list)
    scratch_size: int = 0
    bands: list[Bands] = field(default_factory=list)
    rows_size: int = 0

    def shares(self) -> dict[str, float]:
        """Kernel -> its share of all multiply-accumulates."""
        total = sum(int(step.macs) for step in self.steps) or 1
        shares: dict[str, float] = {}
        for step in self.steps:
            if not step.control:
                shares[step.kernel] = shares.get(step.kernel, 0.0) + int(step.macs) / total
        return shares
