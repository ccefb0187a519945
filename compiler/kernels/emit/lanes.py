"""The operations of elementary functions (`compiler/ir/vectors.py`) as vector code."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ...ir.vectors import Vectors
from . import builder, floating
from .builder import Value
from .tir import tirx


@dataclass(frozen=True)
class Loaded:
    """Vectors of literals of `dtype` in memory, by their numbers: `addends` are for sums, which overwrite them,
    `factors` for all else."""

    factors: Mapping[float, Value] = field(default_factory=dict)
    addends: Mapping[float, Value] = field(default_factory=dict)
    dtype: str = "float32"


def vectors_of(lanes: int, loaded: Loaded = Loaded()) -> Vectors:
    """The operations on vectors of so many elements; of scalars if that is 1."""
    return _Lanes(lanes, loaded)


@dataclass(frozen=True)
class _Lanes(Vectors):
    count: int
    loaded: Loaded

    def dtype(self, x: Value) -> str:
        return floating.element_type(x)

    def const(self, value: float, dtype: str) -> Value:
        found = self.loaded.factors.get(value) if dtype == self.loaded.dtype else None
        return builder.const(value, dtype, self.count) if found is None else found

    def addend(self, x: Value, value: float) -> Value:
        found = self.loaded.addends.get(value) if self.dtype(x) == self.loaded.dtype else None
        return self.like(x, value) if found is None else found

    def keep(self, x: Value) -> Value:
        return floating.keep(x)

    def rounded(self, x: Value) -> Value:
        return floating.fenced(self.count, x)

    def fma(self, a: Value, b: Value, c: Value) -> Value:
        return self.call("fma", a, b, c)

    def cast(self, x: Value, dtype: str) -> Value:
        return builder.cast(x, dtype, self.count)

    def bitcast(self, x: Value, dtype: str) -> Value:
        return builder.bitcast(x, dtype, self.count)

    def where(self, condition: Value, a: Value, b: Value) -> Value:
        return tirx.Select(condition, a, b)

    def both(self, a: Value, b: Value) -> Value:
        return tirx.And(a, b)

    def either(self, a: Value, b: Value) -> Value:
        return tirx.Or(a, b)

    def negated(self, a: Value) -> Value:
        return tirx.Not(a)

    def equal(self, a: Value, b: Value) -> Value:
        return tirx.EQ(a, b)

    def different(self, a: Value, b: Value) -> Value:
        return tirx.NE(a, b)

    def at_least(self, x: Value, bound: float) -> Value:
        """One instruction where it need not tell zeros apart."""
        return self.call("maximum", x, self.like(x, bound)) if bound else super().at_least(x, bound)

    def at_most(self, x: Value, bound: float) -> Value:
        """Likewise."""
        return self.call("minimum", x, self.like(x, bound)) if bound else super().at_most(x, bound)

    def call(self, name: str, *args: Value) -> Value:
        return floating.llvm_float(name, self.count, *args)
