"""Steps that hand each other a wide tensor are computed together by bands of rows: the tensor never leaves the caches.

Each thread holds the rows that one band needs in scratch memory. Of the rows that two neighbouring bands need, those
that the first has computed are kept for the second. What is fused depends on sizes alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import gcd

from ...targets.target import Target
from ..ir.extent import ceil_div
from ..kernels import table
from ..kernels.convolutions.contraction import OPERANDS
from .buffers import ALIGNMENT, Storage
from .chains import Chain, Chains
from .context import Context, PendingStep
from .members import Member
from .plan import Bands, Scratch, Space, Stage

SHARE = 0.8
"""Of a second cache, for all that a band touches: what is used from band to band must not make room for the rest."""

AUX = OPERANDS.index("aux")

FEW_TILES = 2
"""Of a band that does not stay in the smallest cache: with fewer, too many are computed only in part."""

FEW_BANDS = 8
"""With fewer bands than that, they have as few rows as can be so that all threads have work."""


@dataclass(frozen=True)
class Fused:
    """What a plan says of fused steps. The first thread's scratch memory is in the arena: a storage for each chain, of
    which the offset is known in the end."""

    pending: list[tuple[Bands, Storage]] = field(default_factory=list)

    def bands(self) -> list[Bands]:
        """What the plan says, once storages have their places."""
        return [replace(bands, arena=storage.offset) for bands, storage in self.pending]

    @property
    def scratch_size(self) -> int:
        """Bytes of scratch memory that a thread needs for them."""
        return max((storage.size for _, storage in self.pending), default=0)


def fuse(c: Context) -> Fused:
    """Fuse what is worth it among the steps of a whole model. In `c` they are in their new order then, and what they
    hand each other is scratch memory. Models with control steps or ranges of shapes stay as they are."""
    if c.symbols or any(step.control for step in c.steps):
        return Fused()
    chains = [found for chain in Chains(c).find() if (found := _worth_it(chain, c.target))]
    chain_at = {
        n: which for which in chains for n in range(which[0].members[0].number, which[0].members[-1].number + 1)
    }
    unused = {n for chain, _ in chains for handed in chain.handed for n in handed.fills}
    fused, steps = Fused(), []
    for number, step in enumerate(c.steps):
        if number in unused:
            continue
        if number not in chain_at:
            steps.append(step)
            continue
        chain, height = chain_at[number]
        if number == chain.members[-1].number:
            halos = _halos(c, chain, unused)
            fused.pending.append((_bands(chain, height, len(steps) + len(halos)), _placed(c, chain, height, halos)))
            steps += [*halos, *_banded(c, chain, height, waits=not halos)]
    c.steps = steps
    used = {step.kernel for step in steps}
    c.kernels = {symbol: kernel for symbol, kernel in c.kernels.items() if symbol in used}
    return fused


def _worth_it(chain: Chain, target: Target) -> tuple[Chain, int] | None:
    """The chain with the height of its bands, or without the picture if they are too large with it."""
    height = band_height(chain, target)
    if height is None and chain.members[0].rows.kind == "picture" and len(chain.handed) > 1:
        return _worth_it(Chain(chain.members[1:], chain.handed[1:]), target)
    return None if height is None else (chain, height)


def band_height(chain: Chain, target: Target) -> int | None:
    """Rows of a band's output, or None where the steps are better computed one after the other: what they hand over
    stays in a core's second cache as it is (tables are looked up in place then), or not even a band of it does. Kernels
    take two rows at a time."""
    readers = zip(chain.handed, chain.members[1:], strict=True)
    wide = sum(handed.view.storage.size for handed, reader in readers if reader.rows.kind != "table")
    if wide <= target.cache:
        return None
    rows = chain.members[-1].rows.y.dims[1]
    heights = [n for n in range(2, rows, 2) if rows % n != 1]
    heights = [n for n in heights if n == heights[0] or ceil_div(rows, n) >= FEW_BANDS]
    fit = [n for n in heights if _touched(chain, n) <= SHARE * target.cache]
    if heights and not fit and wide > target.usual_cache and _serves_most(chain, heights[0], target.usual_cache):
        return heights[0]
    return max(fit, default=None)


def _serves_most(chain: Chain, height: int, cache: int) -> bool:
    """Whether the lowest bands are worth it where only the usual cache, of `cache` bytes, holds them. Cores with the
    smallest one miss it as often as without bands, so these must cost little: no tiles that are computed in part, and
    no rows of a picture to keep."""
    filled = any(stage.advance * stage.width >= FEW_TILES * stage.tile for stage in _stages(chain, height))
    return filled and chain.members[0].rows.kind != "picture" and _touched(chain, height) <= SHARE * cache


def _touched(chain: Chain, height: int) -> int:
    """Bytes that a band of `height` rows reads and writes: input, output, residual, weights and scratch memory."""
    first, last = chain.members[0].rows, chain.members[-1].rows
    inputs = (_stages(chain, height)[0].rows - 1) * first.window.strides[0] + first.reach
    others = [member.step.operands[AUX] for member in chain.members if member.is_convolution]
    residuals = sum(other is not None and other.storage.space is not Space.WEIGHTS for other in others)  # no tables
    weights = sum(member.rows.weights for member in chain.members)
    return inputs * first.x.row + (1 + residuals) * height * last.y.row + weights + scratch_size(chain, height)


def scratch_size(chain: Chain, height: int) -> int:
    """Bytes of scratch memory for bands of `height` rows."""
    return _scratch(chain, height)[1]


def _scratch(chain: Chain, height: int) -> tuple[list[Scratch], int]:
    """Where members leave what they hand over, and the bytes of all that."""
    places, size = [], 0
    for handed, stage in zip(chain.handed, _stages(chain, height), strict=False):
        row = handed.view.row
        places.append(Scratch(size, row, handed.view.storage.size % row, handed.value))
        nbytes = stage.rows * row + places[-1].tail
        size += nbytes + -nbytes % ALIGNMENT
    return places, size


def _stages(chain: Chain, height: int) -> list[Stage]:
    """What each step computes for bands of `height` rows of the last one's output; without places in memory."""
    advance, before, rows = height, 0, height
    found: list[Stage] = []
    for member in reversed(chain.members):
        _, extent, width, _ = member.rows.y.dims
        width = width if member.rows.kind == "dense" else 0
        tile = gcd(member.rows.tile, height) if member.rows.kind == "depthwise" else member.rows.tile
        found.append(Stage(advance, before, rows, extent, width, tile, writes=member.writes))
        stride = member.rows.window.strides[0]
        before = before * stride - member.rows.window.origin[0]
        advance, rows = advance * stride, (rows - 1) * stride + member.rows.reach
    return found[::-1]


def _bands(chain: Chain, height: int, first: int) -> Bands:
    """What the plan says of a chain whose first step is number `first`."""
    *stages, last = _stages(chain, height)
    placed = [replace(s, scratch=place) for s, place in zip(stages, _scratch(chain, height)[0], strict=True)]
    return Bands(first, ceil_div(last.height, height), (*placed, last))


def _halos(c: Context, chain: Chain, unused: set[int]) -> list[PendingStep]:
    """Steps that fill other halos, which stand between those of the chain."""
    first, *_, last = (member.number for member in chain.members)
    others = unused | {member.number for member in chain.members}
    return [c.steps[number] for number in range(first, last) if number not in others]


def _banded(c: Context, chain: Chain, height: int, *, waits: bool) -> list[PendingStep]:
    """The steps with parameters for bands, of which a tile has all channels; the first `waits` for all before it."""
    count = ceil_div(chain.members[-1].rows.y.dims[1], height)
    return [
        replace(
            member.step,
            params=_params(c, member, stage),
            tiles=count,
            barrier=waits and member is chain.members[0],
        )
        for member, stage in zip(chain.members, _stages(chain, height), strict=True)
    ]


def _params(c: Context, member: Member, stage: Stage) -> tuple[int, ...]:
    names = c.kernels[member.step.kernel].spec.params
    params = dict(zip(names, member.step.params, strict=True))
    match member.rows.kind:
        case "dense":
            params |= {"blocks_per_tile": params["blocks"]}
        case "depthwise":
            params |= {"tile_rows": stage.tile, "row_tiles": ceil_div(stage.height, stage.tile)}
            params |= {"tile_blocks": params["blocks"]}
        case "table":
            x, y = member.rows.x, member.rows.y
            params |= table.row_params(y.dims[2] * y.dims[3], x.row, y.row)
    return tuple(params.values())


def _placed(c: Context, chain: Chain, height: int, halos: Sequence[PendingStep]) -> Storage:
    """What members hand over lies in scratch memory from now on, with their own behind, that of the first thread in the
    storage that this returns. All else that they use is in use as long as the chain is."""
    places, size = _scratch(chain, height)
    for handed, place, stage in zip(chain.handed, places, _stages(chain, height), strict=False):
        view = handed.view
        above = stage.before - view.offset // view.row  # rows that a band needs beyond those that it needs as padding
        view.storage.space, view.storage.offset = Space.SCRATCH, place.offset + above * view.row
        c.storages.pop(view.storage, None)  # what a table reads has only now one of its own
    steps = [member.step for member in chain.members]
    for step in steps:
        if step.scratch is not None:  # behind that, one step's after the other's
            step.scratch.offset = size
            del c.storages[step.scratch]
    own = Storage(size + max(step.scratch.size if step.scratch else 0 for step in steps))
    c.storages[own] = None
    for storage in (own, *(ref.storage for step in (*halos, *steps) for ref in step.operands if ref is not None)):
        if storage.space == Space.ARENA:
            storage.touch(steps[0].phase)
            storage.touch(steps[-1].phase)
    return own
