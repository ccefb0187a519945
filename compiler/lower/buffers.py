"""Where tensors live: storages (one allocation each) and views into them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod

import numpy as np

from ..ir.extent import largest, least, most
from ..ir.types import TensorType
from .plan import Operand, Space

Halo = tuple[int, int, int, int]
"""Padding around an image that is part of its buffer: (top, left, bottom, right) pixels."""

NO_HALO: Halo = (0, 0, 0, 0)

ALIGNMENT = 64
"""Bytes; of every storage in the arena and every constant in the weights."""


@dataclass(eq=False)
class Storage:
    """One allocation of `size` bytes, the most that any run needs. In the arena, `offset` is assigned by `memory.py`
    from the phases in which it is in use.

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
class Ref:
    """An address: `offset` bytes into a storage."""

    storage: Storage
    offset: int

    def plus(self, nbytes: int) -> "Ref":
        """The address `nbytes` further."""
        return Ref(self.storage, self.offset + nbytes)

    def operand(self) -> Operand:
        """The operand of a step, once the storage has its place."""
        s = self.storage
        return Operand(s.space, s.offset + self.offset, s.index)


@dataclass(frozen=True)
class View:
    """A tensor [n, h, w, c] in memory, channels contiguous; `strides` are the bytes between images, rows and pixels.

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
        return element_size(self.type)

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
        n, h, w, _ = self.dims
        return all(s == t or d == 1 for s, t, d in zip(self.strides, _dense_strides(self), (n, h, w), strict=True))

    def at(self, image: int = 0, row: int = 0, column: int = 0) -> Ref:
        """The address of a pixel; indices may point into the halo."""
        return Ref(self.storage, self.offset + image * self.image + row * self.row + column * self.pixel)

    def channels(self, first: int, count: int) -> "View":
        """The channels [first, first + count)."""
        shape = (*self.type.shape[:-1], count)
        dims = (*self.dims[:3], count)
        return replace(self, type=self.type.with_shape(shape), dims=dims, offset=self.offset + first * self.element)

    def pixels(self, first: tuple[int, int], steps: tuple[int, int], extents: tuple[int, int]) -> "View":
        """`extents` rows and columns, every `steps`-th, from `first` on."""
        n, _, _, c = self.dims
        strides = self.image, self.row * steps[0], self.pixel * steps[1]
        return replace(self, dims=(n, *extents, c), strides=strides, offset=self.at(0, *first).offset)

    def before(self, perm: Sequence[int]) -> "View":
        """The same memory seen as what a transpose by `perm`, which has four dimensions and leaves the channels where
        they are, makes this view of."""
        own = [perm.index(axis) for axis in range(len(perm))]
        n, h, w, c = (self.dims[i] for i in own)
        image, row, pixel = (self.strides[i] for i in own[:3])
        type_ = self.type.with_shape(tuple(self.type.shape[i] for i in own))
        return replace(self, type=type_, dims=(n, h, w, c), strides=(image, row, pixel))

    def typed(self, type_: TensorType) -> "View":
        """The same memory seen as `type_`, whose shape is that of the view."""
        return replace(self, type=type_)

    def reshaped(self, type_: TensorType) -> "View":
        """The same dense bytes in another shape."""
        template = allocate(type_)
        return replace(template, storage=self.storage, offset=self.offset)


@dataclass(frozen=True)
class Fill:
    """What the halo around `view` must hold before the view is read: the bytes of one element, repeated."""

    view: View
    halo: Halo
    element: bytes


def element_size(type_: TensorType) -> int:
    """Bytes of an element."""
    return int(np.dtype(type_.dtype).itemsize)


def zero_element(type_: TensorType) -> bytes:
    """The bytes of the element that stands for 0, which is what convolutions are padded with."""
    zero = type_.quant.zero_point[0] if type_.quant is not None else 0
    return np.array(zero, type_.dtype).tobytes()


def image_dims(shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    """[n, h, w, c] of a tensor's shape."""
    if len(shape) == 4:
        return shape[0], shape[1], shape[2], shape[3]
    return 1, 1, prod(shape[:-1]), shape[-1] if shape else 1


def allocate(type_: TensorType, halo: Halo = NO_HALO, space: Space = Space.ARENA, index: int = 0) -> View:
    """A new storage for a tensor with room for `halo` around its images, and the view of the tensor.

    What lies at the right of a row also lies at the left of the next.
    """
    dims = n, h, w, c = image_dims(type_.shape)
    top, left, bottom, right = halo
    pixel = c * element_size(type_)
    row = (w + most(left, right)) * pixel
    image = (top + h + bottom) * row
    storage = Storage(largest(n * image + least(left, right) * pixel), space, index)
    return View(storage, type_, dims, (image, row, pixel), top * row + left * pixel)


def _dense_strides(view: View) -> tuple[int, int, int]:
    _, h, w, c = view.dims
    pixel = c * view.element
    return h * w * pixel, w * pixel, pixel
