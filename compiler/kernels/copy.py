"""Strided copies: transpose, slice, concat, pad, broadcast_to.

The iteration space is [extent_0, extent_1, extent_2, extent_3, count]; every dimension has a byte stride in x and in y
(negative and zero ones too, in x). A tile is one (i0, i1), or a `chunk` of the elements of its rows: tiles =
extent_0 * extent_1 * chunks.

Forms, by the two innermost dimensions:

    dense         rows of bytes, dense in x and y
    strided       rows of elements at any stride
    transpose     [extent_3, count]: x[a][b] -> y[b][a] with b dense in x and a dense in y; both at least 8
    interleave    planes x[p][n] -> y[n][p] for a few planes; n dense in x, y dense
    deinterleave  x[n][p] -> planes y[p][n]; x dense, n dense in y
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from .emit.builder import Builder, Register, Value, define, i64, shuffle
from .emit.isa import Isa
from .emit.memory import copy_run
from .emit.tir import tirx
from .emit.transposition import transposed

OPERANDS = ("x", "y")

Form = Literal["dense", "strided", "transpose", "interleave", "deinterleave"]

_SPACE = ("extent_1", "extent_2", "extent_3", "count", "chunk", "chunks")
_STRIDES: Mapping[Form, tuple[str, str]] = {
    "dense": ("0123", "0123"),
    "strided": ("01234", "01234"),
    "transpose": ("0123", "0124"),
    "interleave": ("0123", "012"),
    "deinterleave": ("012", "0123"),
}
"""The dimensions of x and y that have a stride parameter."""

_INTEGER = {1: "int8", 2: "int16", 4: "int32", 8: "int64"}

BLOCK = 8
"""Rows and columns of the blocks of a transpose."""


@dataclass(frozen=True)
class CopySpec:
    """Which member of the family. `element`: bytes (1 for `dense`, whose `count` is in bytes; 1, 2 or 4 for
    `transpose`); `planes`: 2 to 4, for `interleave` and `deinterleave`.

    Stride parameters: `x_0` ... and `y_0` ... of the dimensions that the form does not say to be dense.
    """

    form: Form
    element: int = 1
    planes: int = 0

    @property
    def symbol(self) -> str:
        """The kernel's name in plans, symbols and profiles."""
        return f"x{self.element * 8}_{self.form}" + (str(self.planes) if self.planes else "") + "_copy"

    @property
    def params(self) -> tuple[str, ...]:
        """Names of the kernel's parameters, in order."""
        strides = zip("xy", _STRIDES[self.form], strict=True)
        return _SPACE + tuple(f"{operand}_{dimension}" for operand, digits in strides for dimension in digits)


def build(spec: CopySpec, isa: Isa) -> object:
    """The TIR function of `spec` on `isa`."""
    return define(spec.symbol, OPERANDS, spec.params, lambda b: _Copy(b, spec).body())


class _Copy:
    def __init__(self, b: Builder, spec: CopySpec) -> None:
        self.b, self.spec, self.size = b, spec, spec.element
        self.dtype = _INTEGER[spec.element]
        self.x, self.y = b.pointer("x"), b.pointer("y")

    def body(self) -> None:
        b = self.b
        runs: Mapping[Form, Callable[[Value, Value, Value, Value], None]] = {
            "dense": self._dense,
            "strided": self._strided,
            "transpose": self._transpose,
            "interleave": self._interleave,
            "deinterleave": self._deinterleave,
        }
        run = runs[self.spec.form]
        planar = self.spec.form not in ("dense", "strided")
        with b.tiles() as t:
            begin = b.let(tirx.truncmod(t, b.param("chunks")) * b.param("chunk"))
            end = b.let(tirx.min(begin + b.param("chunk"), b.param("count")))
            row = b.let(tirx.truncdiv(t, b.param("chunks")))
            x, y = self._advance((i64(0), i64(0)), 0, tirx.truncdiv(row, b.param("extent_1")))
            x, y = self._advance((x, y), 1, tirx.truncmod(row, b.param("extent_1")))
            with b.range(0, b.param("extent_2")) as i2:
                x2, y2 = self._advance((x, y), 2, i2)
                if planar:
                    run(x2, y2, begin, end)
                else:
                    with b.range(0, b.param("extent_3")) as i3:
                        run(*self._advance((x2, y2), 3, i3), begin, end)

    def _advance(self, at: tuple[Value, Value], dimension: int, index: Value) -> tuple[Value, Value]:
        """Offsets in x and y, `index` steps further along a dimension."""
        b, index = self.b, self.b.let(index)
        return b.let(at[0] + index * b.param(f"x_{dimension}")), b.let(at[1] + index * b.param(f"y_{dimension}"))

    def _dense(self, x: Value, y: Value, begin: Value, end: Value) -> None:
        copy_run(self.b, self.y, self.b.let(y + begin), self.x, self.b.let(x + begin), self.b.let(end - begin))

    def _strided(self, x: Value, y: Value, begin: Value, end: Value) -> None:
        b = self.b
        with b.range(begin, end) as i:
            self.y.store(y + i * b.param("y_4"), self.x.load(x + i * b.param("x_4"), self.dtype), self.dtype)

    def _transpose(self, x: Value, y: Value, begin: Value, end: Value) -> None:
        """Blocks; the last ones overlap those before them."""
        b = self.b
        rows, count = b.param("extent_3"), b.param("count")
        with b.range(0, tirx.truncdiv(end - begin + (BLOCK - 1), i64(BLOCK))) as j:
            column = b.let(tirx.min(begin + j * BLOCK, count - BLOCK))
            with b.range(0, tirx.truncdiv(rows + (BLOCK - 1), i64(BLOCK))) as i:
                row = b.let(tirx.min(i * BLOCK, rows - BLOCK))
                x_block = b.let(x + row * b.param("x_3") + column * self.size)
                y_block = b.let(y + column * b.param("y_4") + row * self.size)
                self._block(x_block, y_block)

    def _block(self, x: Value, y: Value) -> None:
        lines = [
            Register(self.dtype, BLOCK, self.x.load(x + self.b.param("x_3") * r, self.dtype, BLOCK)).get()
            for r in range(BLOCK)
        ]
        for r, line in enumerate(transposed(self.dtype, lines)):
            self.y.store(y + self.b.param("y_4") * r, line, self.dtype, BLOCK)

    def _interleave(self, x: Value, y: Value, begin: Value, end: Value) -> None:
        planes, width = self.spec.planes, 16 // self.size
        merged = [p * width + i for i in range(width) for p in range(planes)]

        def vector(at: Value) -> None:
            lines = [
                self.x.load(x + self.b.param("x_3") * p + at * self.size, self.dtype, width) for p in range(planes)
            ]
            self.y.store(y + at * (self.size * planes), shuffle(lines, merged), self.dtype, planes * width)

        def single(at: Value) -> None:
            for p in range(planes):
                element = self.x.load(x + self.b.param("x_3") * p + at * self.size, self.dtype)
                self.y.store(y + at * (self.size * planes) + p * self.size, element, self.dtype)

        self._pixels(width, begin, end, vector, single)

    def _deinterleave(self, x: Value, y: Value, begin: Value, end: Value) -> None:
        planes, width = self.spec.planes, 16 // self.size

        def vector(at: Value) -> None:
            pixels = self.b.let(self.x.load(x + at * (self.size * planes), self.dtype, planes * width))
            for p in range(planes):
                plane = shuffle([pixels], range(p, planes * width, planes))
                self.y.store(y + self.b.param("y_3") * p + at * self.size, plane, self.dtype, width)

        def single(at: Value) -> None:
            for p in range(planes):
                element = self.x.load(x + at * (self.size * planes) + p * self.size, self.dtype)
                self.y.store(y + self.b.param("y_3") * p + at * self.size, element, self.dtype)

        self._pixels(width, begin, end, vector, single)

    def _pixels(
        self, width: int, begin: Value, end: Value, vector: Callable[[Value], None], single: Callable[[Value], None]
    ) -> None:
        """Vectors, the last one overlapping; one by one where there is no whole vector."""
        b = self.b
        length = b.let(end - begin)
        with b.when(length >= width), b.range(0, tirx.truncdiv(length + (width - 1), i64(width))) as i:
            vector(b.let(begin + tirx.min(i * width, length - width)))
        with b.when(length < width), b.range(begin, end) as i:
            single(i)
