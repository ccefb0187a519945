"""The sums of one output pixel of a depthwise convolution: a block of channels."""

from collections.abc import Sequence

from ..emit.builder import Register, Value, const
from ..emit.floating import fenced, fma
from ..emit.isa import Isa, added


class Int8Sums:
    """int32 sums of one pixel. Two products fit int16 while weights are in [-127, 127] (`paired`)."""

    def __init__(self, isa: Isa, bias: Sequence[Value], *, paired: bool) -> None:
        self._isa, self._paired = isa, paired
        self._halves = [Register("int32", isa.lanes, b) for b in bias]

    def add(self, taps: Sequence[tuple[list[Value], list[Value]]]) -> None:
        """Add up to two taps' products."""
        products = [self._isa.multiply8(x[0], w[0]) for x, w in taps]
        if self._paired and len(products) == 2:
            products = [products[0] + products[1]]
        for product in products:
            for half, wide in zip(self._halves, self._isa.widen32(product), strict=True):
                half.set(half.get() + wide)

    def dot(self, x: Sequence[Value], w: Sequence[Value]) -> None:
        """Add four taps' products at once; both sides interleaved."""
        for half, a, f in zip(self._halves, x, w, strict=True):
            half.set(self._isa.dot4(half.get(), a, f))

    def result(self) -> Sequence[Value]:
        """The sums, bias included."""
        return [half.get() for half in self._halves]


class FloatSums:
    """float32 sums of one pixel in vectors of `lanes`."""

    def __init__(self, lanes: int, bias: Sequence[Value]) -> None:
        self._lanes, self._sums = lanes, [Register("float32", lanes, b) for b in bias]

    def add(self, taps: Sequence[tuple[list[Value], list[Value]]]) -> None:
        """Add the taps' products."""
        for x, w in taps:
            for total, a, f in zip(self._sums, x, w, strict=True):
                total.set(fma(self._lanes, a, f, total.get()))

    def result(self) -> Sequence[Value]:
        """The sums, bias included."""
        return [total.get() for total in self._sums]


class HalfSums:
    """float16 sums of one pixel in a vector of `lanes`. The bias is added last: a large one would cost the sums their
    low bits. They begin with the first products, or with zeros where these are added in a loop. Taps join `chains` of
    sums in turn."""

    def __init__(self, lanes: int, bias: Value, *, looped: bool, chains: int) -> None:
        self._lanes, self._bias, self._looped, self._taps = lanes, bias, looped, 0
        zero = const(0.0, "float16", lanes) if looped else None
        self._chains = [Register("float16", lanes, zero) for _ in range(chains)]

    def add(self, taps: Sequence[tuple[list[Value], list[Value]]]) -> None:
        """Add the taps' products."""
        for (x,), (w,) in taps:
            begun = self._looped or self._taps >= len(self._chains)
            total = self._chains[self._taps % len(self._chains)]
            total.set(fma(self._lanes, x, w, total.get()) if begun else fenced(self._lanes, x * w))
            self._taps += 1

    def result(self) -> Sequence[Value]:
        """The sums, bias included."""
        return [added([total.get() for total in self._chains]) + self._bias]


Sums = Int8Sums | FloatSums | HalfSums
"""What `_Depthwise.accumulator` gives."""
