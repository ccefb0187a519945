"""`map` of one 8-bit input: a 256-byte table. Entry i is the result for the code i - 128."""

from collections.abc import Sequence
from dataclasses import dataclass

from .builder import Builder, define, i64
from .elementwise import Cursor, Rows, Stream, elementwise, params, suffix
from .isa import Isa

OPERANDS = ("x", "w", "y")

VECTORS = 8
"""Of the ISA, in the vector that rows are walked by: two lookups at a time, for each is a chain of instructions."""

_X, _Y = Stream("x", "int8"), Stream("y", "int8")


@dataclass(frozen=True)
class TableSpec:
    """The table `w` says what it computes."""

    rows: Rows = "any"

    @property
    def symbol(self) -> str:
        """The kernel's name in plans, symbols and profiles."""
        return "x8_lut" + suffix(self.rows)

    @property
    def params(self) -> tuple[str, ...]:
        """Names of the kernel's parameters, in order."""
        return params([_X, _Y])


def build(spec: TableSpec, isa: Isa) -> object:
    """The TIR function of `spec` on `isa`."""
    return define(spec.symbol, OPERANDS, spec.params, lambda b: _body(b, spec, isa))


def _body(b: Builder, spec: TableSpec, isa: Isa) -> None:
    table = isa.load_table(b.pointer("w"), i64(0))
    width = VECTORS * isa.lanes

    def body(inputs: Sequence[Cursor], output: Cursor) -> None:
        found = [b.let(isa.lookup(table, b.let(inputs[0].load(i, width // 2)))) for i in (0, width // 2)]
        for i, codes in zip((0, width // 2), found, strict=True):
            output.store(i, codes, width // 2)

    elementwise(b, width, [_X], _Y, spec.rows, body)
