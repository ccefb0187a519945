"""Order among elements: keys that compare as integers, and binary heaps of indices."""

from collections.abc import Callable
from dataclasses import dataclass

from .builder import BITS, Builder, Pointer, Register, Value, bitcast, cast, const
from .tir import tirx


def key_type(dtype: str) -> str:
    """The integer type of `order_key`."""
    return "int64" if BITS[dtype] == 64 else "int32"


def order_key(b: Builder, value: Value, dtype: str, lanes: int = 1) -> Value:
    """Integers (`key_type`) in the order of the elements: `ops.top_k.order_keys`, in any scale."""
    key = key_type(dtype)
    bits = BITS[key]
    if dtype in ("uint32", "uint64"):
        return bitcast(value, key, lanes) ^ const(-(2 ** (bits - 1)), key, lanes)
    if not dtype.startswith("float"):
        return cast(value, key, lanes)
    mantissa = {32: 23, 64: 52}[bits]
    raw = b.let(bitcast(value, key, lanes))
    size = b.let(raw & const(2 ** (bits - 1) - 1, key, lanes))
    infinity = const((2 ** (bits - 1 - mantissa) - 1) << mantissa, key, lanes)
    zero = const(0, key, lanes)
    signed = tirx.Select(raw < zero, zero - size, size)
    return b.let(tirx.Select(size > infinity, const(2 ** (bits - 1) - 1, key, lanes), signed))


Above = Callable[[Value, Value, Value, Value], Value]
"""(key, index, other key, other index) -> whether the first belongs above the second."""


def precedes(key: Value, index: Value, other_key: Value, other_index: Value) -> Value:
    """Larger keys come first; of equal ones the lower index."""
    return tirx.Or(key > other_key, tirx.And(tirx.EQ(key, other_key), index < other_index))


def follows(key: Value, index: Value, other_key: Value, other_index: Value) -> Value:
    """The opposite of `precedes`, for two different indices."""
    return precedes(other_key, other_index, key, index)


@dataclass(frozen=True)
class Heap:
    """Indices (int64) in `memory` from byte `first` on, `step` bytes apart: children 2i + 1 and 2i + 2 of i are not
    `above` it. `key_of` is the int64 by which an index is ordered."""

    b: Builder
    memory: Pointer
    first: Value
    step: Value
    key_of: Callable[[Value], Value]
    above: Above

    def get(self, slot: Value) -> Value:
        """The index in a slot."""
        return self.b.let(self.memory.load(self.first + slot * self.step, "int64"))

    def put(self, slot: Value, index: Value) -> None:
        """Write a slot."""
        self.memory.store(self.first + slot * self.step, index, "int64")

    def sift(self, hole: Value, size: Value, index: Value) -> None:
        """Put `index` in the place of `hole` or below, among the first `size` slots; what is above it moves up."""
        b = self.b
        key = b.let(self.key_of(index))
        at, child = Register("int64", 1, hole), Register("int64", 1, 2 * hole + 1)
        with b.loop(child.get() < size):
            chosen = Register("int64", 1, child.get())
            chosen_index = Register("int64", 1, self.get(chosen.get()))
            chosen_key = Register("int64", 1, self.key_of(chosen_index.get()))
            with b.when(child.get() + 1 < size):
                sibling = self.get(child.get() + 1)
                sibling_key = b.let(self.key_of(sibling))
                with b.when(self.above(sibling_key, sibling, chosen_key.get(), chosen_index.get())):
                    chosen.set(child.get() + 1)
                    chosen_index.set(sibling)
                    chosen_key.set(sibling_key)
            child.set(size)
            with b.when(self.above(chosen_key.get(), chosen_index.get(), key, index)):
                self.put(at.get(), chosen_index.get())
                at.set(chosen.get())
                child.set(2 * chosen.get() + 1)
        self.put(at.get(), index)
