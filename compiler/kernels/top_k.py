"""`top_k` over the middle of dense [outer, count, inner] -> [outer, k, inner]: values, and their indices in order.

The k best so far are a heap of indices with the worst on top, which is sorted in place at the end. A tile is one row of
`count` elements: tiles = outer * inner.
"""

from dataclasses import dataclass

from .emit.builder import BITS, Builder, Register, Value, define, i64
from .emit.isa import Isa
from .emit.order import Heap, follows, order_key
from .emit.tir import tirx

OPERANDS = ("x", "y", "indices")


@dataclass(frozen=True)
class TopKSpec:
    """Which member of the family. `flip`: 0 for the largest elements, -1 for the smallest."""

    dtype: str
    params: tuple[str, ...] = ("count", "k", "inner", "flip")

    @property
    def symbol(self) -> str:
        """The kernel's name in plans, symbols and profiles."""
        return f"{self.dtype}_top_k"


def build(spec: TopKSpec, isa: Isa) -> object:
    """The TIR function of `spec` on `isa`."""
    return define(spec.symbol, OPERANDS, spec.params, lambda b: _body(b, spec))


def _body(b: Builder, spec: TopKSpec) -> None:
    x, y, indices = (b.pointer(name) for name in OPERANDS)
    count, k, inner, size = b.param("count"), b.param("k"), b.param("inner"), BITS[spec.dtype] // 8
    with b.tiles() as t:
        outer, column = b.let(tirx.truncdiv(t, inner)), b.let(tirx.truncmod(t, inner))
        source, target = b.let(outer * count * inner + column), b.let(outer * k * inner + column)

        def element(index: Value) -> Value:
            return b.let(x.load((source + index * inner) * size, spec.dtype))

        def key(index: Value) -> Value:
            return i64(order_key(b, element(index), spec.dtype)) ^ b.param("flip")

        heap = Heap(b, indices, b.let(target * 8), b.let(inner * 8), key, follows)
        with b.range(0, k) as slot:
            heap.put(slot, slot)
        _select(b, heap, count, k)
        with b.range(0, k) as slot:
            y.store((target + slot * inner) * size, element(heap.get(slot)), spec.dtype)


def _select(b: Builder, heap: Heap, count: Value, k: Value) -> None:
    """One loop, so that the code for sifting exists once: make a heap of the first k, let every other element that
    precedes the worst take its place, then move the worst of those left to their end."""
    parents, others = b.let(tirx.truncdiv(k, i64(2))), b.let(count - k)
    with b.range(0, parents + others + k - 1) as step:
        hole, size, index = (Register("int64", 1, v) for v in (i64(0), k, i64(-1)))
        with b.when(step < parents):
            hole.set(parents - 1 - step)
            index.set(heap.get(hole.get()))
        with b.when(tirx.And(step >= parents, step < parents + others)):
            candidate = b.let(k + step - parents)
            with b.when(b.let(heap.key_of(candidate)) > b.let(heap.key_of(heap.get(i64(0))))):
                index.set(candidate)
        with b.when(step >= parents + others):
            size.set(k - 1 - (step - parents - others))
            index.set(heap.get(size.get()))
            heap.put(size.get(), heap.get(i64(0)))
        with b.when(index.get() >= 0):
            heap.sift(b.let(hole.get()), b.let(size.get()), b.let(index.get()))
