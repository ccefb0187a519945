"""Where tensors live: storages (one allocation each) and views into them."""

from dataclasses import dataclass, field, replace

import numpy as np

from ..ir.types import TensorType
from .plan import Operand, Space

Halo = tuple[int, int, int, int]
"""Padding around an image that is part of its buffer: (top, left, bottom, right) pixels."""

NO_HALO: Halo = (0, 0, 0, 0)
ALIGNMENT = 64


@dataclass(eq=False)
class Storage:
    """One allocation. In the arena, `offset` is assigned by `memory.py` from the phases in which it is in use.

    A phase is a stretch of steps without a barrier between them; steps of one phase may run at the same time.
    """

    size: int
    space: Space = Space.ARENA
    index: int = 0
    offset: int = 0
    first: int = -1
    last: int = -1

    def touch(self, phase: int) -> None:
        """A step of `phase` reads or writes this storage."""
        self.first = phase if self.first < 0 else min(self.first, phase)
        self.last = max(self.last, phase)


@dataclass(frozen=True)
class View:
    """A tensor [n, h, w, c] in memory, channels contiguous; strides in bytes.

    Tensors that are not images are one image of one row: h = 1, w = product of the leading extents.
    """

    storage: Storage
    type: TensorType
    dims: tuple[int, int, int, int]
    strides: tuple[int, int, int]
    offset: int = 0

    @property
    def element(self) -> int:
        """Bytes of an element."""
        return int(np.dtype(self.type.dtype).itemsize)

    @property
    def image(self) -> int:
        """Bytes from one image to the next."""
        return self.strides[0]

    @property
    def row(self) -> int:
        """Bytes from one row to the next."""
        return self.strides[1]

    @property
    def pixel(self) -> int:
        """Bytes from one pixel to the next."""
        return self.strides[2]

    @property
    def is_dense(self) -> bool:
        """Whether the elements follow each other without gaps (extents of 1 have no stride)."""
        n, h, w, c = self.dims
        wanted = (h * w * c * self.element, w * c * self.element, c * self.element)
        return all(s == t or d == 1 for s, t, d in zip(self.strides, wanted, (n, h, w), strict=True))

    def at(self, image: int = 0, row: int = 0, column: int = 0, channel: int = 0) -> "Ref":
        """The address of an element; indices may point into the halo."""
        steps = image * self.image + row * self.row + column * self.pixel + channel * self.element
        return Ref(self.storage, self.offset + steps)

    def channels(self, first: int, count: int) -> "View":
        """A range of the channels."""
        n, h, w, _ = self.dims
        return replace(
            self,
            type=self.type.with_shape((*self.type.shape[:-1], count)),
            dims=(n, h, w, count),
            offset=self.offset + first * self.element,
        )


@dataclass(frozen=True)
class Ref:
    """An address: `offset` bytes into a storage."""

    storage: Storage
    offset: int

    def operand(self) -> Operand:
        """The operand of a step, once the storage has its place."""
        s = self.storage
        return Operand(s.space, s.offset + self.offset, s.index)


@dataclass(frozen=True)
class Fill:
    """What the halo around `view` must hold before the view is read: the bytes of one element, repeated."""

    view: View
    halo: Halo
    element: bytes


def image_dims(shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    """[n, h, w, c] of a tensor's shape."""
    if len(shape) == 4:
        return shape[0], shape[1], shape[2], shape[3]
    rows = 1
    for d in shape[:-1]:
        rows *= d
    return 1, 1, rows, shape[-1] if shape else 1


def allocate(type_: TensorType, halo: Halo = NO_HALO, space: Space = Space.ARENA, index: int = 0) -> View:
    """A new storage for a tensor, and the view of it."""
    dims = n, h, w, c = image_dims(type_.shape)
    top, left, bottom, right = halo
    element = int(np.dtype(type_.dtype).itemsize)
    pixel = c * element
    row = (left + w + right) * pixel
    image = (top + h + bottom) * row
    return View(Storage(n * image, space, index), type_, dims, (image, row, pixel), top * row + left * pixel)


@dataclass
class WeightsBlob:
    """The bundle's constants: aligned, each stored once."""

    data: bytearray = field(default_factory=bytearray)
    storage: Storage = field(default_factory=lambda: Storage(0, Space.WEIGHTS))
    _known: dict[bytes, int] = field(default_factory=dict)

    def add(self, content: bytes) -> Ref:
        """The address of `content`."""
        if content not in self._known:
            self.data += bytes(-len(self.data) % ALIGNMENT)
            self._known[content] = len(self.data)
            self.data += content
        return Ref(self.storage, self._known[content])
