"""Steps that alone hand a tensor to each other: what can be computed together, band by band (`bands.py`)."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import prod

from ..kernels import fill
from .buffers import Ref, Storage, View
from .context import Context, PendingStep
from .plan import Space
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
class Handed:
    """A tensor that a member hands to the next. `fills`: numbers of the steps that fill its halo, with bytes `value`
    (None: it has no halo)."""

    view: View
    fills: tuple[int, ...]
    value: int | None


@dataclass(frozen=True)
class Chain:
    """Members in order, of which each but the last hands something to the next. Between their steps there are only
    those that fill halos."""

    members: tuple[Member, ...]
    handed: tuple[Handed, ...]


class Chains:
    """Finds them in the steps of a whole model."""

    def __init__(self, c: Context) -> None:
        self._steps = c.steps
        self._users: dict[Storage, list[int]] = {}
        """Numbers of the steps with an operand in a storage, once for each."""
        self._fills: dict[Storage, dict[int, int]] = {}
        """Of those that fill its halo instead: number -> value."""
        self._left: dict[Storage, list[int]] = {}
        """Of those that have a storage of their own now (`_apart`)."""
        work = []
        for number, step in enumerate(c.steps):
            spec = c.kernels[step.kernel].spec
            storages = list(dict.fromkeys(ref.storage for ref in step.operands if ref is not None))
            if isinstance(spec, fill.FillSpec):
                self._fills.setdefault(storages[0], {})[number] = step.params[spec.params.index("value")]
                continue
            work.append(number)
            for storage in storages:
                self._users.setdefault(storage, []).append(number)
        self._in_phase = Counter(c.steps[number].phase for number in work)
        self._in_memory = [self._member(number) for number in work]
        """As the steps are; what a chain ends with is one of these."""
        self._members = list(self._in_memory)
        """Likewise, but what a table looks up in place is apart from its results (`_apart`)."""
        for i in range(len(work) - 1):
            a, b = self._members[i : i + 2]
            if a and b and self._in_place(a, b):
                self._members[i : i + 2] = self._apart(a, b)

    def find(self) -> Iterator[Chain]:
        """Each depthwise convolution with the step that computes its input and the 1 x 1 convolution that follows, as
        far as they can be computed together; before them what lays out a picture, and tables wherever results are
        looked up. No step is in two chains."""
        free = 0
        for number, member in enumerate(self._members):
            if member is None or member.rows.kind != "depthwise" or number < free:
                continue
            first, last = self._first(number, free), self._last(number)
            found = (*self._members[first:last], self._in_memory[last])  # what follows that is in no chain
            members = tuple(member for member in found if member)
            if len(members) > 1 and not _overwrites(members):
                handed = (self._handed(a, b) for a, b in pairwise(members))
                free = last + 1
                yield Chain(members, tuple(over for over in handed if over))

    def _first(self, number: int, free: int) -> int:
        """Where the chain of a depthwise convolution begins, not before `free`: with what computes its input, not with
        tables."""
        first = number
        while first > free and self._hands(first - 1):
            first -= 1
            if not self._is(first, "table"):
                break
        if self._is(first, "table"):
            return number
        laid_out = free < first < number and self._is(first - 1, "picture") and self._hands(first - 1)
        return first - 1 if laid_out else first

    def _last(self, number: int) -> int:
        """Where it ends: with a 1 x 1 convolution, if it can."""
        last = number
        while self._hands(last) and self._is(last + 1, "table"):
            last += 1
        after = self._members[last + 1] if self._hands(last) else None
        return last + 1 if after and after.is_pointwise and not self._leads(after, last + 1) else number

    def _leads(self, member: Member, number: int) -> bool:
        """Whether a 1 x 1 convolution is better computed with the depthwise one that it computes the input of: that is
        larger than what it reads."""
        last = number
        while self._hands(last):
            last += 1
            if not self._is(last, "table"):
                break
        (_, *x), (_, *y) = member.rows.x.dims, member.rows.y.dims
        return prod(y) > prod(x) and self._is(last, "depthwise")

    def _is(self, number: int, kind: str) -> bool:
        member = self._members[number]
        return member is not None and member.rows.kind == kind

    def _hands(self, number: int) -> bool:
        """Whether a member hands something to the next."""
        a, b = (self._members[i] if i < len(self._members) else None for i in (number, number + 1))
        return a is not None and b is not None and self._handed(a, b) is not None

    def _in_place(self, a: Member, b: Member) -> bool:
        """Whether b looks up in place what a computes."""
        y, x, storage = a.rows.y, b.rows.x, b.rows.y.storage
        same = y.storage is x.storage is storage and (y.offset, y.dims, y.strides) == (x.offset, x.dims, x.strides)
        first = [*self._left.get(storage, []), a.number, b.number]
        return b.rows.kind == "table" and same and self._users[storage][: len(first)] == first

    def _apart(self, a: Member, b: Member) -> tuple[Member, Member]:
        """The same with a storage of its own for what a hands to b: of a band's rows, b looks up only those that it has
        not looked up for the band before."""
        x = b.rows.x
        above = x.offset - x.offset % x.row
        own = Storage(x.dims[1] * x.row + x.storage.size % x.row, x.storage.space)
        own.touch(a.step.phase)
        own.touch(b.step.phase)
        self._users[own] = [a.number, b.number]
        self._left.setdefault(x.storage, []).append(a.number)
        x = replace(x, storage=own, offset=x.offset - above)
        y = replace(a.rows.y, storage=own, offset=x.offset)
        return (
            Member(a.number, _moved(a.step, a.writes, own, above), replace(a.rows, y=y)),
            Member(b.number, _moved(b.step, READS, own, above), replace(b.rows, x=x)),
        )

    def _member(self, number: int) -> Member | None:
        """One image, by one step that nothing else of the model's work overlaps with."""
        step = self._steps[number]
        rows = step.rows
        if rows is None or rows.x.dims[0] != 1 or rows.y.dims[0] != 1 or self._in_phase[step.phase] != 1:
            return None
        return Member(number, step, rows)

    def _handed(self, a: Member, b: Member) -> Handed | None:
        """What a computes for b, if nobody else has to do with it. It has the padding above that b wants."""
        y, x = a.rows.y, b.rows.x
        storage, padding = y.storage, -b.rows.window.origin[0]
        if storage is not x.storage or (y.offset, y.dims, y.strides) != (x.offset, x.dims, x.strides):
            return None
        left = self._left.get(storage, [])
        if storage.space != Space.ARENA or self._users[storage] != [*left, a.number, b.number]:
            return None
        fills = self._fills.get(storage, {})
        first = min(self._steps[number].phase for number in (*fills, *left, a.number))
        if storage.first < first or storage.last > b.step.phase or padding != y.offset // y.row:
            return None
        values = {value & 0xFF for value in fills.values()}
        same = all(value & 0xFFFFFFFF == (value & 0xFF) * 0x01010101 for value in fills.values())
        return Handed(y, tuple(fills), max(values, default=None)) if same and len(values) <= 1 else None


def _moved(step: PendingStep, operand: int, storage: Storage, nbytes: int) -> PendingStep:
    """The step with an operand in another storage, `nbytes` nearer to its start."""
    operands = list(step.operands)
    ref = operands[operand]
    assert ref is not None
    operands[operand] = Ref(storage, ref.offset - nbytes)
    return replace(step, operands=tuple(operands))


def _overwrites(chain: Sequence[Member]) -> bool:
    """Whether the last member may write where others still read."""
    *others, last = chain
    return any(ref and ref.storage is last.rows.y.storage for member in others for ref in member.step.operands)
