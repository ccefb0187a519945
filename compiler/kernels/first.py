"""`top_k` of one: the first largest (smallest) element along the middle of dense [outer, count, inner], and its index.

With `inner` the lanes of a vector are neighbours that stay, and a tile is a `chunk` of them: tiles = outer * chunks.
Without, the lanes are parts of a row, and a tile is a row: tiles = outer.
"""

from dataclasses import dataclass

from .emit.builder import BITS, Builder, Pointer, Register, Value, cast, const, define, i64, splat
from .emit.isa import Isa
from .emit.order import key_type, order_key, precedes
from .emit.tir import tirx

OPERANDS = ("x", "y", "indices")


@dataclass(frozen=True)
class FirstSpec:
    """Which member of the family. `flip`: 0 for the largest element, -1 for the smallest."""

    dtype: str
    inner: bool

    @property
    def symbol(self) -> str:
        """The kernel's name in plans, symbols and profiles."""
        return f"{self.dtype}_first" + ("" if self.inner else "_row")

    @property
    def params(self) -> tuple[str, ...]:
        """Names of the kernel's parameters, in order."""
        return ("count", "flip", *(("inner", "chunk", "chunks") if self.inner else ()))


def build(spec: FirstSpec, isa: Isa) -> object:
    """The TIR function of `spec` on `isa`."""
    return define(spec.symbol, OPERANDS, spec.params, lambda b: _First(b, spec, isa).body())


@dataclass(frozen=True)
class _Best:
    """What is best so far in each of `lanes`: its key, the step it was found in, the element."""

    key: Register
    step: Register
    element: Register


class _First:
    def __init__(self, b: Builder, spec: FirstSpec, isa: Isa) -> None:
        self.b, self.spec, self.isa = b, spec, isa
        self.key, self.size = key_type(spec.dtype), BITS[spec.dtype] // 8
        self.x, self.y, self.indices = (b.pointer(name) for name in OPERANDS)

    def body(self) -> None:
        b = self.b
        with b.tiles() as t:
            if not self.spec.inner:
                self._row(t)
                return
            inner, chunk = b.param("inner"), b.param("chunk")
            outer = b.let(tirx.truncdiv(t, b.param("chunks")))
            begin = b.let(tirx.truncmod(t, b.param("chunks")) * chunk)
            end = b.let(tirx.min(begin + chunk, inner))
            source, target = b.let(outer * b.param("count") * inner), b.let(outer * inner)
            lanes = self.isa.lanes
            with b.when(inner >= lanes), b.range(0, tirx.truncdiv(end - begin + (lanes - 1), i64(lanes))) as v:
                at = b.let(tirx.min(begin + v * lanes, inner - lanes))  # the last vector overlaps the one before
                self._column(b.let(source + at), b.let(target + at), lanes)
            with b.when(inner < lanes), b.range(begin, end) as i:
                self._column(b.let(source + i), b.let(target + i), 1)

    def _keys(self, x: Value, lanes: int) -> Value:
        flip = splat(tirx.Cast(self.key, self.b.param("flip")), lanes)
        return self.b.let(order_key(self.b, x, self.spec.dtype, lanes) ^ flip)

    def _scan(self, start: Value, stride: Value, count: Value, lanes: int) -> _Best:
        """The best of `count` vectors of `lanes` elements from element `start` on, `stride` apart."""
        b, dtype = self.b, self.spec.dtype
        first = b.let(self.x.load(start * self.size, dtype, lanes))
        steps = Register(self.key, lanes, const(0, self.key, lanes))
        best = _Best(Register(self.key, lanes, self._keys(first, lanes)), steps, Register(dtype, lanes, first))
        with b.range(1, count) as i:
            element = b.let(self.x.load((start + i * stride) * self.size, dtype, lanes))
            key = self._keys(element, lanes)
            better = key > best.key.get()
            best.step.set(tirx.Select(better, splat(tirx.Cast(self.key, i), lanes), best.step.get()))
            best.element.set(tirx.Select(better, element, best.element.get()))
            best.key.set(tirx.max(key, best.key.get()))
        return best

    def _column(self, source: Value, target: Value, lanes: int) -> None:
        best = self._scan(source, self.b.param("inner"), self.b.param("count"), lanes)
        self.y.store(target * self.size, best.element.get(), self.spec.dtype, lanes)
        self.indices.store(target * 8, self.b.let(cast(best.step.get(), "int64", lanes)), "int64", lanes)

    def _row(self, row: Value) -> None:
        """The best of every lane, then the best of these and of what is left behind the last whole vector."""
        b, lanes, count = self.b, 2 * self.isa.lanes, self.b.param("count")
        start, whole = b.let(row * count), b.let(tirx.truncdiv(count, i64(lanes)))
        first = b.let(self.x.load(start * self.size, self.spec.dtype))
        key, index = Register("int64", 1, i64(self._keys(first, 1))), Register("int64", 1, i64(0))
        keys, steps = (b.stack(lanes * BITS[self.key] // 8) for _ in range(2))
        with b.when(whole > 0):
            best = self._scan(start, i64(lanes), whole, lanes)
            keys.store(i64(0), best.key.get(), self.key, lanes)
            steps.store(i64(0), best.step.get(), self.key, lanes)
            with b.range(0, lanes) as lane:
                place = b.let(self._at(steps, lane) * lanes + lane)
                self._take(key, index, self._at(keys, lane), place)
        with b.range(whole * lanes, count) as i:
            element = b.let(self.x.load((start + i) * self.size, self.spec.dtype))
            self._take(key, index, b.let(i64(self._keys(element, 1))), i)
        chosen = b.let(self.x.load((start + index.get()) * self.size, self.spec.dtype))
        self.y.store(row * self.size, chosen, self.spec.dtype)
        self.indices.store(row * 8, b.let(index.get()), "int64")

    def _at(self, memory: Pointer, lane: Value) -> Value:
        return self.b.let(i64(memory.load(lane * (BITS[self.key] // 8), self.key)))

    def _take(self, key: Register, index: Register, other: Value, place: Value) -> None:
        with self.b.when(precedes(other, place, key.get(), index.get())):
            key.set(other)
            index.set(place)
