"""Steps that alone hand a tensor to each other: what can be computed together, band by band (`bands.py`)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import prod

from .buffers import View
from .context import Context
from .members import Member, find_members, look_up_apart
from .plan import Space


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
        self._in_memory, self._uses = find_members(c)
        """As the steps are; what a chain ends with is one of these."""
        self._members = look_up_apart(self._in_memory, self._uses)

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

    def _handed(self, a: Member, b: Member) -> Handed | None:
        """What a computes for b, if nobody else has to do with it. It has the padding above that b wants."""
        y, x = a.rows.y, b.rows.x
        storage, padding = y.storage, -b.rows.window.origin[0]
        if storage is not x.storage or (y.offset, y.dims, y.strides) != (x.offset, x.dims, x.strides):
            return None
        if storage.space != Space.ARENA or not self._uses.only_are(storage, [a.number, b.number]):
            return None
        fills, left = self._uses.fills.get(storage, {}), self._uses.left.get(storage, [])
        first = min(self._steps[number].phase for number in (*fills, *left, a.number))
        if storage.first < first or storage.last > b.step.phase or padding != y.offset // y.row:
            return None
        values = {value & 0xFF for value in fills.values()}
        same = all(value & 0xFFFFFFFF == (value & 0xFF) * 0x01010101 for value in fills.values())
        return Handed(y, tuple(fills), max(values, default=None)) if same and len(values) <= 1 else None


def _overwrites(chain: Sequence[Member]) -> bool:
    """Whether the last member may write where others still read."""
    *others, last = chain
    return any(ref and ref.storage is last.rows.y.storage for member in others for ref in member.step.operands)
