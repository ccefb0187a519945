"""A cycle model of in-order cores with two issue slots and two 64-bit vector units, Cortex-A53 and A55.

Instructions issue in order, at most two a cycle, each when the registers that it reads are ready and its unit is free:

- a 128-bit vector instruction takes both vector units for a cycle,
- the memory port moves 64 bits a cycle; a vector load of more issues alone, and what stands behind it waits until it is
  done: two cycles for a 128-bit register, four for a pair,
- there are two integer units, one multiplier, one divider of each kind that is busy until it is done, and one
  branch a cycle.

LLVM's models of these cores price a 128-bit multiply-accumulate at half a cycle and a pair of loads at six, so loops
of both come out wrong in both directions; hence this one. Latencies are general knowledge of these cores, rounded.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from .operation import FLAGS, Latency, Operation, Unit

SLOTS = 2
VECTOR_UNITS = 2
FORWARDED = 4
"""Cycles after which a sum is ready for the next multiply-accumulate that adds to it."""

LONG_TRACE = 400
DIVIDE_BUSY, FLOAT_DIVIDE_BUSY = 6, 10
"""Cycles that the dividers take for an integer, and for two floats."""
FOUR_FLOATS_MORE, STRUCTURED_MORE = 11, 2
"""Cycles on top of the latency for a division of four floats, and for a load that deinterleaves."""

_SAME = {
    Latency.INTEGER: 1,
    Latency.SHIFTED: 2,
    Latency.DIVIDE: 8,
    Latency.LOAD: 3,
    Latency.VECTOR_LONG: 4,
    Latency.TABLE: 2,
    Latency.FLOAT_DIVIDE: 13,
}
A53: Mapping[Latency, int] = _SAME | {
    Latency.MULTIPLY: 4,
    Latency.VECTOR_LOAD: 4,
    Latency.VECTOR: 3,
    Latency.FLOAT_MAC: 8,
    Latency.MOVE: 4,
}
A55: Mapping[Latency, int] = _SAME | {
    Latency.MULTIPLY: 3,
    Latency.VECTOR_LOAD: 3,
    Latency.VECTOR: 2,
    Latency.FLOAT_MAC: 4,
    Latency.MOVE: 3,
}
"""Cycles until a result can be read."""


def steady_cycles(trace: Sequence[Operation], latencies: Mapping[Latency, int]) -> float:
    """Cycles that a pass over a trace takes when it is repeated for ever."""
    passes = 6 if len(trace) < LONG_TRACE else 3
    pipeline, ends = Pipeline(latencies), []
    for _ in range(passes):
        for operation in trace:
            pipeline.issue(operation)
        ends.append(pipeline.end)
    warm = passes // 2 - 1
    return (ends[-1] - ends[warm]) / (passes - 1 - warm)


def issues_alone(operation: Operation) -> bool:
    """Whether nothing issues beside it, nor while it is in the memory port."""
    return operation.unit is Unit.LOAD and operation.vector and operation.width > 1


@dataclass(frozen=True)
class _Cycle:
    """What is taken of the cycle in which instructions issue."""

    slots: int = 0
    multiply: int = 0
    vector: int = 0
    branch: int = 0

    def with_(self, operation: Operation) -> "_Cycle | None":
        """After an instruction has issued; None if there is no room for it."""
        unit = operation.unit
        after = _Cycle(
            self.slots + (SLOTS if issues_alone(operation) else 1),
            self.multiply + (unit is Unit.MULTIPLY),
            self.vector + (operation.width if unit in (Unit.VECTOR, Unit.VECTOR_DIVIDE) else 0),
            self.branch + (unit is Unit.BRANCH),
        )
        room = after.slots <= SLOTS and after.multiply <= 1 and after.vector <= VECTOR_UNITS and after.branch <= 1
        return after if room else None


@dataclass
class Pipeline:
    """The state of a core: `now` is the cycle in which instructions issue."""

    latencies: Mapping[Latency, int]
    now: int = 0
    cycle: _Cycle = field(default_factory=_Cycle)
    ready: dict[str, int] = field(default_factory=dict)
    sum_ready: dict[str, int] = field(default_factory=dict)
    free: dict[Unit, int] = field(default_factory=dict)

    @property
    def end(self) -> int:
        """The first cycle in which nothing has issued."""
        return self.now + (self.cycle.slots > 0)

    def issue(self, operation: Operation) -> None:
        """Issues the next instruction, as early as can be."""
        unit = _shared(operation.unit)
        self._wait(max(self._operands_ready(operation), self.free.get(unit, 0)))
        while (after := self.cycle.with_(operation)) is None:
            self._wait(self.now + 1)
        self.cycle = after
        self._write(operation)
        busy = busy_cycles(operation)
        if busy > 1 or unit is Unit.LOAD:
            self.free[unit] = self.now + busy
        if issues_alone(operation):
            self._wait(self.now + busy)

    def _operands_ready(self, operation: Operation) -> int:
        """When all registers are ready."""
        times = [self.ready.get(register, 0) for register in operation.reads]
        if operation.sums is not None:
            times.append(self.sum_ready.get(operation.sums, self.ready.get(operation.sums, 0)))
        return max(times, default=0)

    def _wait(self, until: int) -> None:
        if until > self.now:
            self.now, self.cycle = until, _Cycle()

    def _write(self, operation: Operation) -> None:
        latency = self.latencies[operation.latency] + operation.more
        if operation.unit is Unit.LOAD:
            latency += operation.width - 1 + (STRUCTURED_MORE if operation.structured else 0)
        if operation.latency is Latency.FLOAT_DIVIDE and operation.registers == 4:
            latency += FOUR_FLOATS_MORE
        for register in operation.writes:
            self.ready[register] = self.now + (1 if register == FLAGS else latency)
            self.sum_ready.pop(register, None)
        if operation.sums is not None and operation.unit is Unit.VECTOR:
            self.sum_ready[operation.sums] = self.now + min(latency, FORWARDED)
        if operation.base is not None:
            self.ready[operation.base] = self.now + 1


def _shared(unit: Unit) -> Unit:
    """The unit that is busy: loads and stores share the port."""
    return Unit.LOAD if unit is Unit.STORE else unit


def busy_cycles(operation: Operation) -> int:
    """Cycles after which the unit takes the next instruction."""
    match operation.unit:
        case Unit.LOAD | Unit.STORE:
            return _port_cycles(operation)
        case Unit.DIVIDE:
            return DIVIDE_BUSY
        case Unit.VECTOR_DIVIDE:
            return FLOAT_DIVIDE_BUSY * max(1, operation.registers // 2)
        case Unit.VECTOR if operation.latency is Latency.TABLE:
            return operation.registers
        case _:
            return 1


def _port_cycles(operation: Operation) -> int:
    if operation.unit is Unit.STORE:
        return max(1, (operation.width + 1) // 2) if operation.vector and not operation.structured else operation.width
    return operation.width + (operation.registers // 2 if operation.structured else 0)
