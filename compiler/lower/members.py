"""Steps that can be computed row by row, and who else uses what they read and write."""

from collections import Counter
from dataclasses import dataclass, field, replace

from ..kernels import fill
from .buffers import Ref, Storage
from .context import Context, PendingStep
from .windows import Rowwise

READS = 0
"""The operand in which all members read what the one before writes."""


@dataclass(frozen=True)
class Member:
    """A step that can be computed row by row: `number` among all steps, `rows` how."""

    number: int
    step: PendingStep
    rows: Rowwise

    @property
    def writes(self) -> int:
        """The number of the operand that it writes."""
        return next(i for i, ref in enumerate(self.step.operands) if ref and ref.storage is self.rows.y.storage)

    @property
    def is_pointwise(self) -> bool:
        """Whether it is a convolution of which a row needs the same row of its input, and no other."""
        window = self.rows.window
        return self.rows.kind == "dense" and self.rows.reach == window.strides[0] == 1 and window.origin[0] == 0

    @property
    def is_convolution(self) -> bool:
        """Whether it is one, dense or depthwise."""
        return self.rows.kind in ("dense", "depthwise")


@dataclass(frozen=True)
class Uses:
    """Numbers of the steps that have to do with a storage. `users`: those with an operand in it, once for each.
    `fills`: those that fill its halo instead, and the value. `left`: users that have a storage of their own now
    (`look_up_apart`)."""

    users: dict[Storage, list[int]] = field(default_factory=dict)
    fills: dict[Storage, dict[int, int]] = field(default_factory=dict)
    left: dict[Storage, list[int]] = field(default_factory=dict)

    def first_are(self, storage: Storage, numbers: list[int]) -> bool:
        """Whether its first users, but for those that left, have these numbers."""
        first = [*self.left.get(storage, []), *numbers]
        return self.users[storage][: len(first)] == first

    def only_are(self, storage: Storage, numbers: list[int]) -> bool:
        """Whether it has no others."""
        return self.users[storage] == [*self.left.get(storage, []), *numbers]


def find_members(c: Context) -> tuple[list[Member | None], Uses]:
    """The steps of a whole model, those that fill halos apart; None for one that is not computed row by row."""
    uses, work = Uses(), list[int]()
    for number, step in enumerate(c.steps):
        spec = c.kernels[step.kernel].spec
        storages = list(dict.fromkeys(ref.storage for ref in step.operands if ref is not None))
        if isinstance(spec, fill.FillSpec):
            uses.fills.setdefault(storages[0], {})[number] = step.params[spec.params.index("value")]
            continue
        work.append(number)
        for storage in storages:
            uses.users.setdefault(storage, []).append(number)
    in_phase = Counter(c.steps[number].phase for number in work)
    return [_member(number, c.steps[number], in_phase) for number in work], uses


def look_up_apart(members: list[Member | None], uses: Uses) -> list[Member | None]:
    """The same, but what a table looks up in place has a storage apart from its results: of a band's rows, it looks up
    only those that it has not looked up for the band before."""
    found = list(members)
    for i in range(len(found) - 1):
        a, b = found[i : i + 2]
        if a and b and _in_place(a, b, uses):
            found[i : i + 2] = _apart(a, b, uses)
    return found


def _member(number: int, step: PendingStep, in_phase: Counter[int]) -> Member | None:
    """One image, by one step that nothing else of the model's work overlaps with."""
    rows = step.rows
    if rows is None or rows.x.dims[0] != 1 or rows.y.dims[0] != 1 or in_phase[step.phase] != 1:
        return None
    return Member(number, step, rows)


def _in_place(a: Member, b: Member, uses: Uses) -> bool:
    """Whether b looks up in place what a computes."""
    y, x, storage = a.rows.y, b.rows.x, b.rows.y.storage
    same = y.storage is x.storage is storage and (y.offset, y.dims, y.strides) == (x.offset, x.dims, x.strides)
    return b.rows.kind == "table" and same and uses.first_are(storage, [a.number, b.number])


def _apart(a: Member, b: Member, uses: Uses) -> tuple[Member, Member]:
    """The same with a storage of its own for what a hands to b."""
    x = b.rows.x
    above = x.offset - x.offset % x.row
    own = Storage(x.dims[1] * x.row + x.storage.size % x.row, x.storage.space)
    own.touch(a.step.phase)
    own.touch(b.step.phase)
    uses.users[own] = [a.number, b.number]
    uses.left.setdefault(x.storage, []).append(a.number)
    x = replace(x, storage=own, offset=x.offset - above)
    y = replace(a.rows.y, storage=own, offset=x.offset)
    return (
        Member(a.number, _moved(a.step, a.writes, own, above), replace(a.rows, y=y)),
        Member(b.number, _moved(b.step, READS, own, above), replace(b.rows, x=x)),
    )


def _moved(step: PendingStep, operand: int, storage: Storage, nbytes: int) -> PendingStep:
    """The step with an operand in another storage, `nbytes` nearer to its start."""
    operands = list(step.operands)
    ref = operands[operand]
    assert ref is not None
    operands[operand] = Ref(storage, ref.offset - nbytes)
    return replace(step, operands=tuple(operands))
