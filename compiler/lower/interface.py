"""What a run takes and leaves: the user's inputs and outputs, and the states that a session keeps."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ...errors import EdgeError
from ..ir.extent import is_symbolic
from ..ir.graph import Graph, Value
from .buffers import View, allocate
from .plan import Port, Space, State


@dataclass(frozen=True)
class Interface:
    """`inputs`: where each input of the graph lies before a run. `outputs`: where each output must be after it, in
    order. `states`: the pairs (input, output) that share a place in the arena; all others are in the user's memory."""

    inputs: Mapping[Value, View]
    outputs: Sequence[tuple[Value, View]]
    states: Sequence[tuple[Value, Value]]

    def ports(self) -> tuple[list[Port], list[Port]]:
        """The inputs and outputs that the user sees."""
        inputs, outputs = (
            [(view, Port(v.name, v.type)) for v, view in places if view.storage.space != Space.ARENA]
            for places in (self.inputs.items(), self.outputs)
        )
        return [port for _, port in inputs], [port for _, port in outputs]

    def kept(self) -> list[State]:
        """The states, once storages have their place."""
        return [State(old.name, new.name, old.type, self._place(old)) for old, new in self.states]

    def _place(self, old: Value) -> int:
        return self.inputs[old].at().operand().offset


def plan_interface(graph: Graph, states: Mapping[str, str]) -> Interface:
    """Give inputs and outputs of `graph` their places; `states` as in `find_states`."""
    pairs = find_states(graph, states)
    memory = {old: allocate(old.type) for old, _ in pairs}
    taken = {new: memory[old] for old, new in pairs}
    users = [v for v in graph.inputs if v not in memory], [v for v in graph.outputs if v not in taken]
    inputs = {v: allocate(v.type, space=Space.INPUT, index=i) for i, v in enumerate(users[0])}
    outputs = [(v, allocate(v.type, space=Space.OUTPUT, index=i)) for i, v in enumerate(users[1])]
    return Interface(inputs | memory, [*outputs, *taken.items()], pairs)


def find_states(graph: Graph, states: Mapping[str, str]) -> list[tuple[Value, Value]]:
    """The input and the output of each state; `states` maps their names. EdgeError where they do not go together."""
    sides = {"input": graph.inputs, "output": graph.outputs}
    pairs = []
    for names in states.items():
        values = []
        for (what, candidates), name in zip(sides.items(), names, strict=True):
            found = [v for v in candidates if v.name == name]
            if not found:
                listed = ", ".join(v.name for v in candidates)
                raise EdgeError(f"a state is to be kept in the {what} {name!r}, but the model's {what}s are: {listed}")
            values.append(found[0])
        old, new = values
        if old.type != new.type or any(is_symbolic(d) for d in old.type.shape):
            shown = [f"{v.type.dtype}{list(v.type.shape)}" for v in values]
            raise EdgeError(
                f"the state {old.name!r} is {shown[0]} before a run and {new.name!r} is {shown[1]} after it; "
                "both must have one type, of fixed shape"
            )
        pairs.append((old, new))
    if len({new for _, new in pairs}) != len(pairs):
        raise EdgeError("two states are to take the same output; name one output for each state")
    return pairs
