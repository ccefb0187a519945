"""What instructions cost on a core: cycles of a trace, and what it takes of each resource at the least."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass
from typing import Protocol

from . import inorder, llvm
from .operation import Latency, Operation, Unit, decode

MEMORY = (Unit.LOAD, Unit.STORE)
VECTOR = (Unit.VECTOR, Unit.VECTOR_DIVIDE)
BUSY = 0.75
"""The share of the cycles that a resource must be taken for to be what bounds them."""


@dataclass(frozen=True)
class Demand:
    """Cycles that resources are taken for at the least: the vector units by multiply-accumulates (`mac`) and by other
    instructions (`vector`), the memory ports (`memory`), the whole core by loads that issue alone (`alone`), and the
    issue slots by the rest (`issue`)."""

    mac: float = 0.0
    vector: float = 0.0
    memory: float = 0.0
    alone: float = 0.0
    issue: float = 0.0

    @staticmethod
    def total(parts: Iterable[tuple["Demand", float]]) -> "Demand":
        """The sum of demands, each so many times."""
        rows = [[field * times for field in astuple(demand)] for demand, times in parts]
        return Demand(*map(sum, zip(*rows, strict=True))) if rows else Demand()

    @property
    def busiest(self) -> tuple[str, float]:
        """The resource that is taken longest, and its cycles: the vector units by the instructions that take most of
        them, with loads that nothing issues beside; the issue slots; or the memory ports."""
        parts = {"MACs": self.mac, "other vector": self.vector, "loads": self.alone}
        vector = max(parts, key=lambda part: parts[part]), self.mac + self.vector + self.alone
        return max(("load/store", self.memory), ("issue", self.issue + self.alone), vector, key=lambda pair: pair[1])

    def bound(self, cycles: float) -> str:
        """What bounds `cycles`, those for misses of caches not among them: the busiest resource, or the latency of
        results, where none is taken for most of the time."""
        name, busy = self.busiest
        return name if busy >= BUSY * cycles else "latency"


class Model(Protocol):
    """How a core executes code."""

    def cycles(self, traces: Sequence[tuple[str, ...]]) -> Mapping[tuple[str, ...], float]:
        """Cycles of a pass over each trace, lines of assembly, when it is repeated for ever."""
        ...

    def demand(self, operation: Operation) -> Demand:
        """Of one instruction."""
        ...


@dataclass(frozen=True)
class InOrder:
    """`inorder.py` with a core's latencies."""

    latencies: Mapping[Latency, int]

    def cycles(self, traces: Sequence[tuple[str, ...]]) -> Mapping[tuple[str, ...], float]:
        """See `Model.cycles`."""
        return {t: inorder.steady_cycles([decode(line) for line in t], self.latencies) for t in set(traces)}

    def demand(self, operation: Operation) -> Demand:
        """See `Model.demand`."""
        busy = inorder.busy_cycles(operation)
        if operation.unit in VECTOR:
            units = busy * operation.width / inorder.VECTOR_UNITS if operation.unit is Unit.VECTOR else busy
            return Demand(**{"mac" if operation.mac else "vector": units}, issue=1 / inorder.SLOTS)
        memory = busy if operation.unit in MEMORY else 0
        if inorder.issues_alone(operation):
            return Demand(memory=memory, alone=busy)
        return Demand(memory=memory, issue=1 / inorder.SLOTS)


@dataclass(frozen=True)
class OutOfOrder:
    """LLVM's scheduling model of `cpu`. A cycle takes `dispatch` instructions, `vectors` of them for the vector units,
    and `ports` accesses of up to 128 bits."""

    cpu: str
    dispatch: int
    vectors: int
    ports: int

    def cycles(self, traces: Sequence[tuple[str, ...]]) -> Mapping[tuple[str, ...], float]:
        """See `Model.cycles`."""
        return llvm.steady_cycles(traces, self.cpu, self.dispatch)

    def demand(self, operation: Operation) -> Demand:
        """See `Model.demand`."""
        issue = 1 / self.dispatch
        if operation.unit in VECTOR:
            return Demand(**{"mac" if operation.mac else "vector": 1 / self.vectors}, issue=issue)
        accesses = (operation.width + 1) // 2 if operation.unit in MEMORY else 0
        return Demand(memory=accesses / self.ports, issue=issue)
