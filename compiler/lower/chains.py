"""Steps that alone hand a tensor to each other: what can be computed together, band by band (`bands.py`)."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from ..kernels import fill
from .buffers import Storage, View
from .context import Context, PendingStep
from .plan import Space
from .windows import Rowwise


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
        return self.rows.reach == window.strides[0] == 1 and window.origin[0] == 0 and not self.rows.moves


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
        work = []
        for number, step in enumerate(c.steps):
            spec = c.kernels[step.kernel].spec
            storages = [ref.storage for ref in step.operands if ref is not None]
            if isinstance(spec, fill.FillSpec):
                self._fills.setdefault(storages[0], {})[number] = step.params[spec.params.index("value")]
                continue
            work.append(number)
            for storage in storages:
                self._users.setdefault(storage, []).append(number)
        self._in_phase = Counter(c.steps[number].phase for number in work)
        self._members = [self._member(number) for number in work]

    def find(self) -> Iterator[Chain]:
        """Each depthwise convolution with the step that computes its input and the 1 x 1 convolution that follows, as
        far as they can be computed together; before them what lays out a picture. No step is in two chains."""
        members, taken = [None, None, *self._members, None], -1
        for first, before, member, after in zip(members, members[1:], members[2:], members[3:], strict=False):
            if member is None or not member.rows.depthwise or member.number <= taken:
                continue
            chain, handed = [member], []
            if before and before.number > taken and (over := self._handed(before, member)):
                chain, handed = [before, member], [over]
                if first and first.rows.moves and (over := self._handed(first, before)):
                    chain, handed = [first, *chain], [over, *handed]
            if after and after.is_pointwise and (over := self._handed(member, after)):
                chain, handed = [*chain, after], [*handed, over]
            if handed and not _overwrites(chain):
                taken = chain[-1].number
                yield Chain(tuple(chain), tuple(handed))

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
        if storage.space != Space.ARENA or self._users[storage] != [a.number, b.number]:
            return None
        fills = self._fills.get(storage, {})
        first = self._steps[min(a.number, *fills)].phase if fills else a.step.phase
        if storage.first < first or storage.last > b.step.phase or padding != y.offset // y.row:
            return None
        values = {value & 0xFF for value in fills.values()}
        same = all(value & 0xFFFFFFFF == (value & 0xFF) * 0x01010101 for value in fills.values())
        return Handed(y, tuple(fills), max(values, default=None)) if same and len(values) <= 1 else None


def _overwrites(chain: list[Member]) -> bool:
    """Whether the last member may write where others still read."""
    *others, last = chain
    return any(ref and ref.storage is last.rows.y.storage for member in others for ref in member.step.operands)
