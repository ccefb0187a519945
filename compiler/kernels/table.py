"""`map` of one 8-bit input: a 256-byte table. Entry i is the result for the code i - 128."""

from collections.abc import Sequence
from dataclasses import dataclass

from .elementwise import Cursor, Rows, Stream, elementwise, params, suffix
from .emit.builder import Builder, Value, define, i64, shuffle
from .emit.isa import Isa

OPERANDS = ("x", "w", "y")

VECTORS = 8
"""Of the target's lanes, in the vector that rows are walked by: that is some lookups at a time, for each is a chain of
instructions."""

ENTRIES = 256

NARROW = 16
"""Bytes in the vector that shorter rows of whole such vectors are walked by."""

_X, _Y = Stream("x", "int8"), Stream("y", "int8")


@dataclass(frozen=True)
class TableSpec:
    """The table `w` says what it computes. `narrow`: rows are whole vectors of `NARROW` bytes."""

    rows: Rows = "any"
    narrow: bool = False

    @property
    def symbol(self) -> str:
        """The kernel's name in plans, symbols and profiles."""
        return "x8_lut" + "_narrow" * self.narrow + suffix(self.rows)

    @property
    def params(self) -> tuple[str, ...]:
        """Names of the kernel's parameters, in order."""
        return params([_X, _Y])


def row_params(count: int, x_row: int, y_row: int) -> dict[str, int]:
    """The parameters, but for strides that are not used, where tiles are rows of `count` codes, so many bytes apart."""
    return {"extent_1": 1, "extent_2": 1, "count": count, "chunk": count, "chunks": 1, "x_0": x_row, "y_0": y_row}


def build(spec: TableSpec, isa: Isa) -> object:
    """The TIR function of `spec` on `isa`."""
    return define(spec.symbol, OPERANDS, spec.params, lambda b: _body(b, spec, isa))


def _body(b: Builder, spec: TableSpec, isa: Isa) -> None:
    table = isa.load_table(b.pointer("w"), i64(0))
    width, step = (NARROW if spec.narrow else VECTORS // 2 * isa.columns), 4 * isa.lanes
    size = min(width, step)

    def found(codes: Value) -> Value:
        whole = codes if size == step else b.let(shuffle([codes] * (step // size), range(step)))
        result = b.let(isa.lookup(table, whole))
        return result if size == step else b.let(shuffle([result], range(size)))

    def body(inputs: Sequence[Cursor], output: Cursor) -> None:
        results = [found(b.let(inputs[0].load(i, size))) for i in range(0, width, size)]
        for i, codes in enumerate(results):
            output.store(i * size, codes, size)

    elementwise(b, width, [_X], _Y, spec.rows, body)
