"""What the register tiles that take all runs of a window at once are told of them."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from .builder import Builder, Register, Value, i64
from .tir import tirx


@dataclass(frozen=True)
class Walk:
    """`count_y` times `count_x` runs, so many bytes apart; one if not `looped`. A run has `short` groups, or if that is
    0 `groups`, a multiple of `step`, which is a power of two. Its weights follow those of the run before, and if they
    are `marked` the block's marks those of the last. `fitting`: every step fits int16."""

    looped: bool
    count_y: Value
    apart_y: Value
    count_x: Value
    apart_x: Value
    groups: Value
    step: int
    short: int = 0
    marked: bool = False
    fitting: bool = False

    @contextmanager
    def runs(self, b: Builder) -> Iterator[Value]:
        """The loop over runs: where each begins."""
        with b.range(0, self.count_y) as y, b.range(0, self.count_x) as x:
            yield b.let(y * self.apart_y + x * self.apart_x)

    @contextmanager
    def short_runs(self, b: Builder) -> Iterator[tuple[Value, Value]]:
        """The loop over short runs, at least one: where each begins, and the next one; the last once more."""
        at, last = Register("int64", 1, i64(0)), b.let((self.count_y - 1) * self.apart_y)
        with b.range(0, tirx.max(self.count_y, 1)):
            following = b.let(tirx.min(at.get() + self.apart_y, last))
            yield at.get(), following
            at.set(following)

    @contextmanager
    def steps(self, b: Builder) -> Iterator[None]:
        """The loop over a run's steps, at least one."""
        with b.range(0, tirx.max(tirx.shift_right(self.groups, i64(self.step.bit_length() - 1)), i64(1))):
            yield
