"""The state of a lowering: views of values, steps emitted so far, constants, and the registry of node lowerings."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from types import ModuleType

from ...errors import EdgeError
from ...targets.target import Target
from ..ir.extent import Symbol, bounds_of, largest
from ..ir.graph import Node, Value
from ..ir.types import TensorType
from ..kernels import fill
from ..kernels.spec import Kernel, KernelSpec
from .buffers import Fill, Ref, Storage, View, allocate
from .halo import halo_step
from .layout import Layout
from .plan import MAX_OPERANDS, Control, Operand, Space, Step
from .room import Room
from .weights import WeightsBlob
from .windows import Rowwise

MAX_STEPS = 2**15
"""Steps of a plan: more stem from a malformed model (thousands of groups, images or phases)."""


@dataclass(eq=False)
class Label:
    """A place in the order of steps: before the step of this number, once that is known."""

    step: int = -1


@dataclass(frozen=True)
class PendingStep:
    """A step whose storages have no offsets yet; of a control step `target` says where it leads. `rows`: how it
    computes some rows only, if it can. `scratch`: its own scratch memory, if its tiles need any."""

    kernel: str
    operands: tuple[Ref | None, ...]
    params: tuple[int, ...]
    tiles: int
    barrier: bool
    name: str
    macs: int = 0
    control: Control = Control.NONE
    target: Label = field(default_factory=Label)
    phase: int = 0
    rows: Rowwise | None = None
    scratch: Storage | None = None

    def resolve(self) -> Step:
        """The plan's step."""
        operands = tuple(Operand(Space.NONE) if r is None else r.operand() for r in self.operands)
        padding = (Operand(Space.NONE),) * (MAX_OPERANDS - len(operands))
        return Step(
            self.kernel, operands + padding, self.params, self.tiles, self.barrier, self.name, self.macs, self.control,
            max(self.target.step, 0), self.scratch.size if self.scratch else 0,
        )  # fmt: skip


@dataclass(frozen=True)
class Refusal:
    """A node, its op, and why it cannot be lowered."""

    node: str
    op: str
    reason: str


@dataclass
class Context:
    """Everything that lowerings of nodes share. `name` is what steps are called: the node's name, and what a helping
    step does after a slash. `refused` gets the nodes that cannot be lowered; without it, the first ends it all. `room`:
    for scratch memory of the node under way, or beside the nodes of a graph to come."""

    target: Target
    layout: Layout
    weights: WeightsBlob = field(default_factory=WeightsBlob)
    steps: list[PendingStep] = field(default_factory=list)
    kernels: dict[str, Kernel] = field(default_factory=dict)
    storages: dict[Storage, None] = field(default_factory=dict)
    symbols: list[Symbol] = field(default_factory=list)
    """Those of the inputs' shapes, then those that are measured."""
    tables: Mapping[Node, Node] = field(default_factory=dict)
    """Convolutions that look up their results -> the maps that say where (`tables.py`)."""
    row_codes: dict[Value, tuple[View, View]] = field(default_factory=dict)
    """Values whose rows have int8 codes, and where these and their scales are (`row_codes.py`)."""
    phase: int = 0
    name: str = ""
    refused: list[Refusal] | None = None
    room: Room = field(default_factory=lambda: Room(0, 0))
    _joined: bool = False
    """Whether the next step is reached on several ways, or after a control step: it waits for all before it."""

    def emit(
        self,
        family: ModuleType,
        spec: KernelSpec,
        operands: Mapping[str, Ref],
        params: Mapping[str, int],
        tiles: int,
        *,
        barrier: bool = True,
        macs: int = 0,
        rows: Rowwise | None = None,
        scratch: int = 0,
    ) -> None:
        """Append a step: `family`'s kernel `spec` over `tiles` tiles.

        Operands by the family's names for them, params by name, exactly those of the spec. Without `barrier` the step
        may overlap with the one before. `scratch`: bytes that each thread has for itself while it computes tiles, the
        family's last operand. A halo is filled before its buffer's first use. EdgeError where a number does not fit.
        """
        if set(params) != set(spec.params) or not set(operands) <= set(family.OPERANDS):
            raise AssertionError(
                f"{spec.symbol} takes {family.OPERANDS} and {spec.params}, not {operands} and {params}"
            )
        fresh = dict.fromkeys(r.storage for r in operands.values() if r.storage in self.layout.fills)
        for storage in fresh:
            self.fill(self.layout.fills.pop(storage))
            barrier = False  # the filling has waited, and what follows writes elsewhere
        own = Storage(scratch, Space.SCRATCH) if scratch else None
        if own is not None:
            operands = {**operands, family.OPERANDS[-1]: Ref(own, 0)}
        self._append(family, spec, operands, params, tiles, barrier, macs, rows, own)

    def fill(self, what: Fill) -> None:
        """A step that fills a halo; the step after it may overlap with it."""
        spec, where, params, tiles = halo_step(what)
        with self.part("halo"):
            self._append(fill, spec, {"y": where}, params, tiles, True, 0)

    def _append(
        self, family: ModuleType, spec: KernelSpec, operands: Mapping[str, Ref], params: Mapping[str, int], tiles: int,
        barrier: bool, macs: int, rows: Rowwise | None = None, scratch: Storage | None = None,
    ) -> None:  # fmt: skip
        for name, value in (*params.items(), ("number of tiles", tiles)):
            low, high = bounds_of(value)
            if not -(2**31) <= low <= high < 2**31:
                raise EdgeError(
                    f"node {self.name!r} is too large: its {name}, {high}, exceeds 32 bits; use a smaller input"
                )
        barrier = barrier or self._joined
        self._joined = False
        self.phase += barrier
        for ref in operands.values():
            self._touch(ref.storage)
        self.kernels.setdefault(spec.symbol, Kernel(family.__name__, spec))
        placed = tuple(operands.get(name) for name in family.OPERANDS)
        values = tuple(params[name] for name in spec.params)
        self._add(
            PendingStep(
                spec.symbol, placed, values, tiles, barrier, self.name, largest(macs), phase=self.phase, rows=rows,
                scratch=scratch,
            )
        )  # fmt: skip

    def control(self, what: Control, target: Label, flag: Ref | None = None) -> None:
        """Append a control step; BRANCH and REQUIRE read the byte at `flag`."""
        self.phase += 1
        if flag is not None:
            self._touch(flag.storage)
        self._add(PendingStep("", (flag,), (), 0, True, self.name, control=what, target=target))
        self._joined = True

    def measure(self, symbol: Symbol, count: Ref) -> None:
        """Append a control step: later ones are computed with the int64 at `count` as the value of a new symbol."""
        self.symbols.append(symbol)
        self.control(Control.MEASURE, Label(len(self.symbols) - 1), count)

    def place(self, label: Label) -> None:
        """The next step is the one that `label` leads to."""
        label.step, self._joined = len(self.steps), True

    def hold(self, since: int) -> None:
        """Steps after phase `since` run again from there on: what was written before and is used in them stays."""
        for storage in self.storages:
            if storage.first <= since < storage.last:
                storage.touch(self.phase)

    def keep(self, views: Iterable[View]) -> None:
        """Memory of the arena that is in use now, whatever steps do."""
        for view in views:
            self._touch(view.storage)

    def _touch(self, storage: Storage) -> None:
        if storage.space in (Space.ARENA, Space.SCRATCH):
            storage.touch(self.phase)
            self.storages[storage] = None

    def _add(self, step: PendingStep) -> None:
        if len(self.steps) == MAX_STEPS:
            raise EdgeError(
                f"node {self.name!r} makes the model longer than {MAX_STEPS} steps; use fewer groups, strides or images"
            )
        self.steps.append(step)

    @contextmanager
    def part(self, what: str) -> Iterator[None]:
        """Steps emitted inside are called <name>/<what>."""
        whole, self.name = self.name, f"{self.name}/{what}"
        yield
        self.name = whole

    def scratch(self, type_: TensorType) -> View:
        """A dense temporary."""
        return allocate(type_)

    def input(self, node: Node, index: int) -> View:
        """What a node reads as its input: the value, or a copy with the halo that the node needs around it."""
        return self.layout.copies.get((node, index)) or self.view(node.inputs[index])

    def output(self, node: Node) -> View:
        """Where a node writes its output."""
        return self.layout.views[node.output]

    def view(self, value: Value) -> View:
        """Where a value lives. Constants that kernels read as they are move into the weights on first use."""
        if value.data is None:
            return self.layout.views[value]
        return self.constant(value)

    def constant(self, value: Value, by_rows: bool = False) -> View:
        """Where a constant lies in the weights, of which a run reads all, or some rows here and there."""
        assert value.data is not None
        where = self.weights.add(value.data.tobytes(), by_rows)
        return replace(allocate(value.type), storage=where.storage, offset=where.offset)


Lowering = Callable[[Context, Node], None]
LOWERINGS: dict[str, Lowering] = {}
"""IR op -> how its nodes become steps. Filled by the modules of this package."""


def lowering(op: str) -> Callable[[Lowering], Lowering]:
    """Register the lowering of an op."""

    def add(function: Lowering) -> Lowering:
        LOWERINGS[op] = function
        return function

    return add


def require(node: Node, *dtypes: str) -> None:
    """EdgeError unless the node's first input is of one of `dtypes`."""
    found = node.inputs[0].type.dtype
    if found not in dtypes:
        raise EdgeError(
            f"node {node.name!r} ({node.op}) computes with {found}; it has kernels for {', '.join(dtypes)}: "
            "cast its input"
        )
