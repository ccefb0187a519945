"""Literals in memory, loaded where they are used: what a polynomial begins with is overwritten by its sums, so that
registers of literals would be copied for each, by the units that multiply."""

import struct
from dataclasses import dataclass

from ...ir.vectors import Vectors
from .builder import BITS, Builder, Register, Value
from .lanes import Loaded, vectors_of
from .naming import digest
from .tir import tirx

_NAMES = {"float32": "float", "float16": "half"}


@dataclass(frozen=True)
class Literals:
    """float32 or float16 `values`, each in all lanes of a vector of 128 bits."""

    values: tuple[float, ...]
    dtype: str = "float32"

    @property
    def lanes(self) -> int:
        """Elements of a vector."""
        return 128 // BITS[self.dtype]

    @property
    def instructions(self) -> str:
        """In LLVM's language: the function that loads the vector at a byte of a table."""
        element = _NAMES[self.dtype]
        vector = f"<{self.lanes} x {element}>"
        of_all = (", ".join([f"{element} {_literal(value, self.dtype)}"] * self.lanes) for value in self.values)
        table = ", ".join(f"{vector} <{lanes}>" for lanes in of_all)
        return f"""
@{self._function}_table = private unnamed_addr constant [{len(self.values)} x {vector}] [{table}]
define {vector} @{self._function}(i64 %at) {{
  %p = getelementptr i8, ptr @{self._function}_table, i64 %at
  %v = load {vector}, ptr %p
  ret {vector} %v
}}
"""

    @property
    def _function(self) -> str:
        return f"edge_literal_{digest(repr((self.dtype, self.values)))}"

    def vectors(self, b: Builder, zero: Register, count: int) -> list[Vectors]:
        """Operations for each of `count` vectors that are computed side by side in a turn of a loop. `zero`: a 64-bit
        integer, 0 before the loop. Each turn loads literals, and for each vector those that sums begin with: LLVM,
        which does not know the addresses, can neither keep nor copy them."""
        tables: list[dict[float, Value]] = []
        for _ in range(count):
            zero.set(b.opaque(zero.get()))
            first = b.let(zero.get())
            tables.append({value: self._loaded(first + 16 * i) for i, value in enumerate(self.values)})
        return [vectors_of(self.lanes, Loaded(tables[0], table, self.dtype)) for table in tables]

    def _loaded(self, at: Value) -> Value:
        return tirx.call_extern(f"{self.dtype}x{self.lanes}", self._function, at)


def _literal(value: float, dtype: str) -> str:
    """The float next to `value` as LLVM writes it: of float32 the bits of the float64 that it is."""
    if dtype == "float16":
        return f"0xH{struct.pack('>e', value).hex()}"
    (rounded,) = struct.unpack("f", struct.pack("f", value))
    return f"0x{struct.pack('>d', rounded).hex()}"
