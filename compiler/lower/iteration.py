"""Iteration spaces: the strides of tensors over a common index space, with as few dimensions as possible."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod

from ..ir.extent import largest, less
from .buffers import View


def each(count: int) -> Iterator[tuple[int, int]]:
    """The numbers below the largest `count`, and for each whether it is below `count` in a run: 1 or 0. A step that is
    there for each of so many things has its tiles times that, so that those beyond `count` have none."""
    return ((i, less(i, count)) for i in range(largest(count)))


def dense_strides(shape: Sequence[int], element: int) -> tuple[int, ...]:
    """Bytes between neighbours along each dimension of a row-major tensor without gaps."""
    return tuple(element * prod(shape[i + 1 :]) for i in range(len(shape)))


def strides(view: View) -> tuple[int, ...]:
    """Bytes between neighbours along each dimension of the tensor's shape."""
    shape = view.type.shape
    if len(shape) == 4:
        return (*view.strides, view.element)
    return (*dense_strides(shape[:-1], view.pixel), view.element) if shape else ()


def broadcast_strides(view: View, shape: Sequence[int]) -> tuple[int, ...]:
    """Strides of `view` walked over the larger `shape` (numpy rules): 0 where it is repeated."""
    own = view.type.shape
    return (0,) * (len(shape) - len(own)) + tuple(
        0 if extent == 1 else stride for extent, stride in zip(own, strides(view), strict=True)
    )


@dataclass(frozen=True)
class IterationSpace:
    """`extents`, and for each operand its strides over them, in bytes."""

    extents: tuple[int, ...]
    strides: tuple[tuple[int, ...], ...]

    def extended(self, rank: int, inner: int = 1) -> "IterationSpace":
        """With dimensions of extent 1 before the `inner` ones: the outermost ones are what tiles are made of."""
        missing, at = rank - len(self.extents), len(self.extents) - inner
        ones, zeros = (1,) * missing, (0,) * missing
        return IterationSpace(
            self.extents[:at] + ones + self.extents[at:], tuple(s[:at] + zeros + s[at:] for s in self.strides)
        )


def collapse(extents: Sequence[int], operands: Sequence[Sequence[int]]) -> IterationSpace:
    """Merge neighbouring dimensions that all operands walk as one, and drop those of extent 1."""
    kept: list[int] = []
    steps: list[list[int]] = [[] for _ in operands]
    for axis, extent in enumerate(extents):
        if extent == 1:
            continue
        mine = [o[axis] for o in operands]
        if kept and all(s[-1] == m * extent for s, m in zip(steps, mine, strict=True)):
            kept[-1] *= extent
            for s, m in zip(steps, mine, strict=True):
                s[-1] = m
            continue
        kept.append(extent)
        for s, m in zip(steps, mine, strict=True):
            s.append(m)
    return IterationSpace(tuple(kept), tuple(tuple(s) for s in steps))
