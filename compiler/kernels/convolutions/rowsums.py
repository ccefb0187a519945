"""Sums of the rows of int8 matrices, for products with weights that have a zero point w of their own:

    sum (x - xz) * (w - wz) = sum (x - xz) * w - wz * (sum x - K * xz)

y[row] := factor * (sum of the row - offset), int32. A tile is a row of a batch of [extent_1, rows] ones.
"""

from dataclasses import dataclass

from ..emit.builder import Builder, Register, cast, const, define, i64
from ..emit.isa import Isa
from ..emit.tir import tirx

OPERANDS = ("x", "y")


@dataclass(frozen=True)
class RowSumsSpec:
    """`length` elements a row; bytes between rows and between batches (outer, inner)."""

    symbol: str = "qs8_row_sums"
    params: tuple[str, ...] = ("length", "rows", "x_row", "batch_1", "x_0", "x_1", "factor", "offset")


def build(spec: RowSumsSpec, isa: Isa) -> object:
    """The TIR function of `spec` on `isa`."""
    return define(spec.symbol, OPERANDS, spec.params, lambda b: _body(b, isa))


def _body(b: Builder, isa: Isa) -> None:
    width, (x, y) = 2 * isa.lanes, (b.pointer(name) for name in OPERANDS)
    with b.tiles() as t:
        row, matrix = (b.let(f(t, b.param("rows"))) for f in (tirx.truncmod, tirx.truncdiv))
        outer, inner = (b.let(f(matrix, b.param("batch_1"))) for f in (tirx.truncdiv, tirx.truncmod))
        first = b.let(outer * b.param("x_0") + inner * b.param("x_1") + row * b.param("x_row"))
        wide, total = Register("int32", width, const(0, "int32", width)), Register("int32", 1, const(0, "int32"))
        whole = b.let(tirx.truncdiv(b.param("length"), i64(width)))
        with b.range(0, whole) as i:
            wide.set(wide.get() + cast(x.load(first + i * width, "int8", width), "int32", width))
        with b.range(whole * width, b.param("length")) as i:
            total.set(total.get() + cast(x.load(first + i, "int8"), "int32", 1))
        lanes = b.stack(width * 4)
        lanes.store(i64(0), wide.get(), "int32", width)
        with b.range(0, width) as i:
            total.set(total.get() + lanes.load(i * 4, "int32"))
        y.store(t * 4, b.param32("factor") * (total.get() - b.param32("offset")), "int32")
