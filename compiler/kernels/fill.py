"""The halo of a buffer: the border around the [height, width, channels] in the middle of larger allocations.

A tile is an image, whose allocation has `rows` = above + height + below: what is next to its rows is little, and
whoever gets no tile of it goes on with the step after. `behind` bytes follow the last row, which the next image's first
row begins with, if there is one.
"""

from dataclasses import dataclass

from .emit.builder import Builder, Value, define, i64, splat
from .emit.isa import Isa
from .emit.tir import tirx

OPERANDS = ("y",)

_VECTOR, _VECTORS = 16, 64
"""Bytes that are written at once; the last overlap with those before."""


@dataclass(frozen=True)
class FillSpec:
    """`element`: bytes, 1, 2 or 4. `value` holds the element's bits, as often as 32 bits hold them. `left`, `inner`,
    `right` and `behind` are bytes."""

    element: int
    params: tuple[str, ...] = (
        "rows", "above", "height", "y_image", "y_row", "left", "inner", "right", "behind", "value",
    )  # fmt: skip

    @property
    def symbol(self) -> str:
        """The kernel's name in plans, symbols and profiles."""
        return f"x{self.element * 8}_halo"


def build(spec: FillSpec, isa: Isa) -> object:
    """The TIR function of `spec` on `isa`."""
    return define(spec.symbol, OPERANDS, spec.params, lambda b: _body(b, spec))


def _body(b: Builder, spec: FillSpec) -> None:
    left, inner, right = (b.param(name) for name in ("left", "inner", "right"))
    above, rows = b.param("above"), b.param("rows")
    with b.tiles() as image, b.range(0, rows + 1) as row:
        start = b.let(image * b.param("y_image") + row * b.param("y_row"))
        outside = tirx.Select(row < rows, left + inner + right, b.param("behind"))
        inside = b.let(tirx.And(row >= above, row < above + b.param("height")).astype("int64"))
        _run(b, spec, start, b.let(tirx.Select(tirx.NE(inside, i64(0)), left, outside)))
        with b.when(tirx.NE(inside, i64(0))):
            _run(b, spec, b.let(start + left + inner), right)


def _run(b: Builder, spec: FillSpec, offset: Value, count: Value) -> None:
    y, value, dtype = b.pointer("y"), b.param32("value"), f"int{spec.element * 8}"
    many = spec.element == 4  # narrow halos are few bytes, and their libraries are to be small
    for size, above in ((_VECTORS, None), (_VECTOR, _VECTORS)) if many else ((_VECTOR, None),):
        few = [] if above is None else [count < above]
        with b.when(tirx.all(count >= size, *few)), b.range(0, tirx.truncdiv(count + (size - 1), i64(size))) as i:
            y.store(offset + tirx.min(i * size, count - size), splat(value, size // 4), "int32", size // 4)
    with b.when(count < _VECTOR), b.range(0, tirx.truncdiv(count, i64(spec.element))) as i:
        y.store(offset + i * spec.element, value if dtype == "int32" else tirx.Cast(dtype, value), dtype)
