"""Literals in memory, loaded where they are used: what a polynomial begins with is overwritten by its sums, so that
registers of literals would be copied for each, by the units that multiply."""

import struct
from dataclasses import dataclass

from ...ir.vectors import Vectors
from .builder import Builder, Register, Value
from .lanes import Loaded, vectors_of
from .naming import digest
from .tir import tirx

LANES = 4


@dataclass(frozen=True)
class Literals:
    """float32 `values`, each in all lanes of a vector of `LANES`."""

    values: tuple[float, ...]

    @property
    def instructions(self) -> str:
        """In LLVM's language: the function that loads the vector at a byte of a table."""
        vectors = (f"<4 x float> <{', '.join([f'float {_literal(value)}'] * LANES)}>" for value in self.values)
        return f"""
@{self._function}_table = private unnamed_addr constant [{len(self.values)} x <4 x float>] [{", ".join(vectors)}]
define <4 x float> @{self._function}(i64 %at) {{
  %p = getelementptr i8, ptr @{self._function}_table, i64 %at
  %v = load <4 x float>, ptr %p
  ret <4 x float> %v
}}
"""

    @property
    def _function(self) -> str:
        return f"edge_literal_{digest(repr(self.values))}"

    def vectors(self, b: Builder, zero: Register, count: int) -> list[Vectors]:
        """Operations for each of `count` vectors that are computed side by side in a turn of a loop. `zero`: a 64-bit
        integer, 0 before the loop. Each turn loads literals, and for each vector those that sums begin with: LLVM,
        which does not know the addresses, can neither keep nor copy them."""
        tables: list[dict[float, Value]] = []
        for _ in range(count):
            zero.set(b.opaque(zero.get()))
            first = b.let(zero.get())
            tables.append({value: self._loaded(first + 16 * i) for i, value in enumerate(self.values)})
        return [vectors_of(LANES, Loaded(tables[0], table)) for table in tables]

    def _loaded(self, at: Value) -> Value:
        return tirx.call_extern(f"float32x{LANES}", self._function, at)


def _literal(value: float) -> str:
    """The float32 next to `value` as LLVM writes it: the bits of the float64 that it is."""
    (rounded,) = struct.unpack("f", struct.pack("f", value))
    return f"0x{struct.pack('>d', rounded).hex()}"
