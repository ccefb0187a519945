"""`nonzero`: flat positions of the elements that are not zero, in order, then zeros; and their number. One tile."""

from dataclasses import dataclass

from .emit.builder import BITS, Builder, Register, bitcast, const, define, i64
from .emit.isa import Isa
from .emit.tir import tirx

OPERANDS = ("x", "y", "total")


@dataclass(frozen=True)
class NonzeroSpec:
    """Which member of the family. The sign of a zero (floats) does not count."""

    dtype: str
    params: tuple[str, ...] = ("count",)

    @property
    def symbol(self) -> str:
        """The kernel's name in plans, symbols and profiles."""
        return f"{'float' if self.dtype.startswith('float') else 'x'}{BITS[self.dtype]}_nonzero"


def build(spec: NonzeroSpec, isa: Isa) -> object:
    """The TIR function of `spec` on `isa`."""
    return define(spec.symbol, OPERANDS, spec.params, lambda b: _body(b, spec))


def _body(b: Builder, spec: NonzeroSpec) -> None:
    x, y, total = (b.pointer(name) for name in OPERANDS)
    bits = BITS[spec.dtype]
    counted = 2 ** (bits - 1) - 1 if spec.dtype.startswith("float") else -1
    with b.tiles():
        found = Register("int64", 1, i64(0))
        with b.range(0, b.param("count")) as i:
            element = bitcast(x.load(i * (bits // 8), f"int{bits}"), f"int{bits}", 1) & const(counted, f"int{bits}")
            y.store(found.get() * 8, i, "int64")  # where the next one goes: never behind i
            found.set(found.get() + tirx.Select(tirx.NE(element, const(0, f"int{bits}")), i64(1), i64(0)))
        zero = b.let(i64(0))
        with b.range(b.let(found.get()), b.param("count")) as i:
            y.store(i * 8, zero, "int64")
        total.store(i64(0), b.let(found.get()), "int64")
