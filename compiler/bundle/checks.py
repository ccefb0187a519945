"""What the runtime trusts in a plan is checked here: faults of lowering are ValueErrors.

Extents that runs decide are checked in `extents.py`, where they are evaluated.
"""

from collections.abc import Sequence

from ...errors import EdgeError
from ..ir.extent import is_symbolic
from ..lower.plan import MAX_OPERANDS, Control, Operand, Plan, Port, Space


def check_plan(plan: Plan) -> None:
    """Raises ValueError where a step could touch memory that is not its own: a fault of lowering, not of the model."""
    for name in (*(port.name for port in (*plan.inputs, *plan.outputs)), *(s.input for s in plan.states)):
        if "\0" in name:
            raise EdgeError(f"the name {name!r} of an input or output contains a NUL character; rename it")
    _check_states(plan)
    for index, step in enumerate(plan.steps):
        where = f"step {step.name!r} ({step.action})"
        if len(step.operands) > MAX_OPERANDS:
            raise ValueError(f"{where} has {len(step.operands)} operands, a kernel takes {MAX_OPERANDS}")
        for operand in step.operands:
            _check_operand(plan, operand, where)
        if step.control:
            _check_control(plan, index, where)
        elif not 0 < int(step.tiles) < 2**31:
            raise ValueError(f"{where} has {step.tiles} tiles")
        if any(not -(2**31) <= value < 2**31 for value in step.params if not is_symbolic(value)):
            raise ValueError(f"{where} has a parameter beyond int32: {step.params}")


def _check_states(plan: Plan) -> None:
    end = 0
    for state in sorted(plan.states, key=lambda state: state.offset):
        if state.offset < end or state.offset + state.type.nbytes > plan.arena_size:
            raise ValueError(f"state {state.input!r} overlaps another one or the arena's end: {state}")
        end = state.offset + state.type.nbytes


_CONTROL_READS = {Control.BRANCH: 1, Control.JUMP: 0, Control.MEASURE: 8, Control.REQUIRE: 1}
"""Bytes at operand 0 of each control step."""


def _check_control(plan: Plan, index: int, where: str) -> None:
    step = plan.steps[index]
    nbytes = _CONTROL_READS[step.control]
    room = [space_size(plan, operand) - int(operand.offset) for operand in step.operands if operand.space]
    if len(room) != min(nbytes, 1) or any(left < nbytes for left in room):
        raise ValueError(f"{where} reads {nbytes} bytes, but its operands are {step.operands}")
    if step.control == Control.MEASURE:
        if not 0 <= step.target < len(plan.symbols):
            raise ValueError(f"{where} sets symbol {step.target} of {len(plan.symbols)}")
    elif not 0 <= step.target <= len(plan.steps) or (step.control == Control.JUMP and step.target == index):
        raise ValueError(f"{where} goes to step {step.target} of {len(plan.steps)}")


def _check_operand(plan: Plan, operand: Operand, where: str) -> None:
    indices = len(_ports_in(plan, operand.space)) if operand.space in (Space.INPUT, Space.OUTPUT) else 1
    known = 0 <= operand.index < min(indices, 2**12)
    if not known or not (is_symbolic(operand.offset) or 0 <= operand.offset <= space_size(plan, operand) < 2**48):
        raise ValueError(f"{where} has an operand outside of its space: {operand}")


def _ports_in(plan: Plan, space: Space) -> Sequence[Port]:
    return plan.inputs if space == Space.INPUT else plan.outputs


def space_size(plan: Plan, operand: Operand) -> int:
    """Bytes of the memory that the operand lies in, of ports the largest."""
    sizes = {Space.NONE: 0, Space.ARENA: plan.arena_size, Space.WEIGHTS: len(plan.weights)}
    sizes[Space.SCRATCH] = plan.arena_size  # where the first thread has it
    if operand.space in sizes:
        return sizes[operand.space]
    return int(_ports_in(plan, operand.space)[operand.index].type.nbytes)
