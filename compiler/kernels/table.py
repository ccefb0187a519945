"""`map` of one 8-bit input: a 256-byte table. Entry i is the result for the code i - 128."""

from collections.abc import Sequence
from dataclasses import dataclass

from .builder import Builder, define, i64
from .elementwise import Cursor, Stream, elementwise, params
from .isa import Isa

OPERANDS = ("x", "w", "y")

_X, _Y = Stream("x", "int8"), Stream("y", "int8")


@dataclass(frozen=True)
class TableSpec:
    """The only member: the table `w` says what it computes."""

    symbol: str = "x8_lut"
    params: tuple[str, ...] = params([_X, _Y])


def build(spec: TableSpec, isa: Isa) -> object:
    """The TIR function of `spec` on `isa`."""
    return define(spec.symbol, OPERANDS, spec.params, lambda b: _body(b, isa))


def _body(b: Builder, isa: Isa) -> None:
    table = isa.load_table(b.pointer("w"), i64(0))
    width = 4 * isa.lanes

    def body(inputs: Sequence[Cursor], output: Cursor) -> None:
        output.store(0, isa.lookup(table, b.let(inputs[0].load(0, width))), width)

    elementwise(b, width, [_X], _Y, body)
