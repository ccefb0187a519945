"""Copies between any two strided views: the form of the kernel follows from the innermost strides."""

from collections.abc import Sequence
from typing import NamedTuple

from ..ir.extent import always_less, ceil_div, least, most
from ..ir.types import TensorType
from ..kernels import copy as kernels
from .buffers import Ref, View
from .context import Context
from .iteration import broadcast_strides, collapse, each, strides
from .windows import Rowwise

CHUNK = 16384
"""Bytes of a tile, more or less."""

PLANES = range(2, 5)
"""Planes that a kernel interleaves, or separates, in registers."""

_OUTER = 4
"""Dimensions that a kernel walks beside the innermost one."""


class _Dim(NamedTuple):
    extent: int
    x: int
    y: int


_ONE = _Dim(1, 0, 0)


class _Form(NamedTuple):
    """A kernel, the dimension it runs along, and all others, of which the last is the kernel's own if it has two."""

    spec: kernels.CopySpec
    outer: list[_Dim]
    inner: _Dim

    @property
    def is_planar(self) -> bool:
        """Whether the kernel takes two dimensions at once."""
        return self.spec.form not in ("dense", "strided")

    def walked(self) -> list[_Dim]:
        """The four dimensions of the kernel's loops."""
        free, own = (self.outer[:-1], self.outer[-1:]) if self.is_planar else (self.outer, [])
        return [*free, *[_ONE] * (_OUTER - len(self.outer)), *own]


def copy(c: Context, x: View, y: View) -> None:
    """y := x, broadcast to the shape of y (numpy rules)."""
    shape = y.type.shape
    strided_copy(c, x.at(), y.at(), shape, broadcast_strides(x, shape), strides(y), y.element)


def permuted(c: Context, x: View, perm: Sequence[int]) -> View:
    """A dense copy of `x` with its dimensions in the order `perm`."""
    own = strides(x)
    shape = tuple(x.type.shape[p] for p in perm)
    y = c.scratch(TensorType(shape, x.type.dtype))
    strided_copy(c, x.at(), y.at(), shape, [own[p] for p in perm], strides(y), y.element)
    return y


def dense(c: Context, x: View) -> View:
    """`x` itself, or a copy without gaps."""
    return x if x.is_dense else permuted(c, x, range(x.type.rank))


def strided_copy(
    c: Context, x: Ref, y: Ref, extents: Sequence[int], x_strides: Sequence[int], y_strides: Sequence[int],
    element: int, barrier: bool = True, present: int = 1, rows: Rowwise | None = None,
) -> None:  # fmt: skip
    """y[i] := x[i] over an index space; strides in bytes, `element` bytes each. Strides of x may be 0 or negative.
    Nothing is done in runs in which `present` is 0. `rows`: how rows are copied by themselves, if tiles are rows."""
    space = collapse(extents, [x_strides, y_strides])
    dims = [_Dim(*d) for d in zip(space.extents, *space.strides, strict=True)] or [_Dim(1, element, element)]
    form = _form(dims, element)
    if len(form.outer) > _OUTER:
        (extent, x_step, y_step), rest = dims[0], dims[1:]
        lengths, x_rest, y_rest = ([d[i] for d in rest] for i in range(3))
        for i, inside in each(extent):
            source, target = x.plus(i * x_step), y.plus(i * y_step)
            strided_copy(c, source, target, lengths, x_rest, y_rest, element, barrier and i == 0, present * inside)
        return
    walked, inner = form.walked(), form.inner
    lines = form.outer[-1].extent if form.is_planar else 1
    chunk = most(least(inner.extent, most(kernels.BLOCK, CHUNK // (lines * form.spec.element) // 64 * 64)), 1)
    chunks = ceil_div(inner.extent, chunk)
    params = {"chunk": chunk, "chunks": chunks, "count": inner.extent}
    params |= {f"extent_{i}": walked[i].extent for i in range(1, _OUTER)}
    for i, dim in enumerate([*walked, inner]):
        params |= {f"x_{i}": dim.x, f"y_{i}": dim.y}
    chosen = {name: params[name] for name in form.spec.params}
    tiles = walked[0].extent * walked[1].extent * chunks
    if rows is not None and (walked[0].extent, walked[0].y, tiles) != (rows.y.dims[1], rows.y.row, rows.y.dims[1]):
        rows = None
    c.emit(kernels, form.spec, {"x": x, "y": y}, chosen, tiles * present, barrier=barrier, rows=rows)


def _form(dims: list[_Dim], element: int) -> _Form:
    """The best kernel for these dimensions, none of which is 1."""
    *outer, a = dims
    if (a.x, a.y) == (element, element):
        return _Form(kernels.CopySpec("dense"), outer, _Dim(a.extent * element, 1, 1))
    if outer and a.y == outer[-1].x == element:
        b = outer.pop()
        if a.extent in PLANES and b.y == a.extent * element:
            return _Form(kernels.CopySpec("interleave", element, a.extent), [*outer, a], b)
        if b.extent in PLANES and a.x == b.extent * element:
            return _Form(kernels.CopySpec("deinterleave", element, b.extent), [*outer, b], a)
        if all(always_less(kernels.BLOCK - 1, d.extent) for d in (a, b)) and element in (1, 2, 4):
            return _Form(kernels.CopySpec("transpose", element), [*outer, a], b)
    return _Form(kernels.CopySpec("strided", element), dims[:-1], a)
