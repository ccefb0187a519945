"""What a plan says of scratch memory and of steps that are computed band by band: its checks, and the table of the
latter for the runtime (`bands.c`)."""

from ..lower.plan import MAX_OPERANDS, Bands, Operand, Plan, Scratch, Space, Stage
from .c_text import array

MAX_PARAMS = 64
"""The runtime changes parameters in a copy of so many."""

X = 0
"""The operand of a step that it reads of the one before."""


def check_bands(plan: Plan) -> None:
    """ValueError where bands, or steps with scratch memory, would touch memory that is not theirs: a fault of
    lowering."""
    inside = {(number, MAX_OPERANDS - 1) for number, step in enumerate(plan.steps) if step.scratch}
    rooms = [(plan.arena_size, plan.scratch_size)] * len(plan.steps)
    end = 0
    for bands in plan.bands:
        where = f"the steps from {bands.first} on, computed by bands,"
        begin = bands.first
        if plan.symbols or not end <= begin < (end := begin + len(bands.stages)) <= len(plan.steps):
            raise ValueError(f"{where} are not steps of the plan, or others too")
        if plan.steps[bands.first].tiles != bands.count:
            raise ValueError(f"{where} have {bands.count} bands, but {plan.steps[bands.first].tiles} tiles")
        for i, stage in enumerate(bands.stages):
            _check_stage(plan, bands, i, stage, where)
            inside |= {(bands.first + i, stage.writes)} if stage.scratch else set()
            inside |= {(bands.first + i, X)} if i else set()
            rooms[bands.first + i] = (_room(plan, bands),) * 2
    operands = {(n, i) for n, step in enumerate(plan.steps) for i, o in enumerate(step.operands) if _is_scratch(o)}
    if operands != inside:
        raise ValueError(f"scratch memory is used that nobody has: operands {sorted(operands ^ inside)}")
    for step, (whole, own) in zip(plan.steps, rooms, strict=True):
        if step.scratch and not 0 < step.scratch <= min(own, whole - step.operands[-1].offset):
            raise ValueError(f"step {step.name!r} has {step.scratch} bytes of scratch memory, which are not there")


def _is_scratch(operand: Operand) -> bool:
    return operand.space == Space.SCRATCH


def _room(plan: Plan, bands: Bands) -> int:
    """Bytes of scratch memory for a chain."""
    return min(plan.scratch_size, plan.arena_size - bands.arena)


def _check_stage(plan: Plan, bands: Bands, number: int, stage: Stage, where: str) -> None:
    step, last = plan.steps[bands.first + number], number == len(bands.stages) - 1
    if step.control or len(step.params) > MAX_PARAMS or stage.tile < 1:
        raise ValueError(f"{where} cannot be: step {number} has {len(step.params)} parameters")
    if (stage.scratch is None) != last:
        raise ValueError(f"{where} hand over something that is not in scratch memory, or keep something there")
    if stage.scratch is not None:
        at, room = stage.scratch, _room(plan, bands)
        if min(at.offset, bands.arena) < 0 or at.row <= 0 or at.offset + stage.rows * at.row + at.tail > room:
            raise ValueError(f"{where} need more scratch memory than {room} bytes: {at}")
        above = step.operands[stage.writes].offset - at.offset
        if above // at.row != stage.before:
            raise ValueError(f"{where} have {above} bytes for the {stage.before} rows above those of step {number}")


def band_tables(plan: Plan) -> list[str]:
    """The tables as C, the last of which is `bands`."""
    entries = []
    for bands in plan.bands:
        for i, stage in enumerate(bands.stages):
            step, count = bands.first + i, 0 if i else len(bands.stages)
            at = stage.scratch or Scratch(0, 0, 0, None)
            numbers = [step, count, len(plan.steps[step].params), stage.writes]
            numbers += [stage.advance, stage.before, stage.rows]
            numbers += [stage.height, stage.width, stage.tile, bands.arena, at.offset, at.row, at.tail]
            numbers.append(-1 if at.fill is None else at.fill)
            entries.append(f"{{{', '.join(map(str, numbers))}}}")
    return [
        array("edge_stage", "stages", entries),
        "static const edge_band_table bands = {&edge_band_calls, stages};",
    ]
