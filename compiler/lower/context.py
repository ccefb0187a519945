"""The state of a lowering: views of values, steps emitted so far, constants, and the registry of node lowerings."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import ModuleType

from ...errors import EdgeError
from ...targets.target import Target
from ..ir.graph import Node, Value
from ..kernels.spec import Kernel, KernelSpec
from .buffers import Fill, Ref, Storage, View, WeightsBlob, allocate
from .plan import MAX_OPERANDS, Operand, Space, Step


@dataclass(frozen=True)
class PendingStep:
    """A step whose storages have no offsets yet."""

    kernel: str
    operands: tuple[Ref | None, ...]
    params: tuple[int, ...]
    tiles: int
    barrier: bool
    name: str
    macs: int

    def resolve(self) -> Step:
        """The plan's step."""
        operands = tuple(Operand(Space.NONE) if r is None else r.operand() for r in self.operands)
        padding = (Operand(Space.NONE),) * (MAX_OPERANDS - len(operands))
        return Step(self.kernel, operands + padding, self.params, self.tiles, self.barrier, self.name, self.macs)


@dataclass
class Context:
    """Everything that lowerings of nodes share."""

    target: Target
    views: dict[Value, View]
    padded: dict[tuple[Node, int], View]
    fills: dict[Storage, Fill]
    weights: WeightsBlob = field(default_factory=WeightsBlob)
    steps: list[PendingStep] = field(default_factory=list)
    kernels: dict[str, Kernel] = field(default_factory=dict)
    storages: dict[Storage, None] = field(default_factory=dict)
    phase: int = 0
    node: Node | None = None

    def emit(
        self,
        family: ModuleType,
        spec: KernelSpec,
        operands: Sequence[Ref | None],
        params: Mapping[str, int],
        tiles: int,
        *,
        barrier: bool = True,
        macs: int = 0,
    ) -> None:
        """Append a step. `params` by name, exactly those of the spec. A halo is filled before its first use."""
        if set(params) != set(spec.params):
            raise AssertionError(f"{spec.symbol}: parameters {sorted(set(params) ^ set(spec.params))} do not match")
        fresh = [r.storage for r in operands if r is not None and r.storage in self.fills]
        for storage in dict.fromkeys(fresh):
            self._fill(self.fills.pop(storage))
            barrier = False
        if barrier:
            self.phase += 1
        for ref in operands:
            if ref is not None and ref.storage.space == Space.ARENA:
                ref.storage.touch(self.phase)
                self.storages[ref.storage] = None
        self.kernels.setdefault(spec.symbol, Kernel(family.__name__, spec))
        values = tuple(params[name] for name in spec.params)
        for name, value in zip(spec.params, values, strict=True):
            if not -(2**31) <= value < 2**31:
                raise EdgeError(f"node {self.label!r} is too large: its {name} of {value} exceeds 32 bits; use a smaller input")
        self.steps.append(PendingStep(spec.symbol, tuple(operands), values, tiles, barrier, self.label, macs))

    def _fill(self, fill: Fill) -> None:
        from .moves import fill_halo

        fill_halo(self, fill)

    @property
    def label(self) -> str:
        """Name of the node being lowered, for profiles and errors."""
        return (self.node.name or self.node.op) if self.node is not None else ""

    def scratch(self, like: Value) -> View:
        """A dense temporary with the type of `like`."""
        return allocate(like.type)

    def input(self, node: Node, index: int) -> View:
        """The view of a node's input: with the halo that the node needs around it."""
        return self.padded.get((node, index)) or self.view(node.inputs[index])

    def view(self, value: Value) -> View:
        """Where a value lives. Constants that kernels read as they are move into the weights on first use."""
        if value not in self.views:
            assert value.data is not None
            where = self.weights.add(value.data.tobytes())
            self.views[value] = replace(allocate(value.type), storage=where.storage, offset=where.offset)
        return self.views[value]


Lowering = Callable[[Context, Node], None]
LOWERINGS: dict[str, Lowering] = {}
"""IR op -> how its nodes become steps. Filled by the modules of this package."""


def lowering(op: str) -> Callable[[Lowering], Lowering]:
    """Register the lowering of an op."""

    def add(function: Lowering) -> Lowering:
        LOWERINGS[op] = function
        return function

    return add
