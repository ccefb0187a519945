"""The sums of one output pixel of a depthwise convolution: a block of channels."""

from collections.abc import Sequence

from ..emit.builder import Register, Value, const
from ..emit.floating import element_type, fenced, fma
from ..emit.isa import Isa


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
    """Sums of one pixel in vectors of `lanes` floats of the type of `bias`, which is added last: a large one would cost
    the sums their low bits. They begin with the first products, or with zeros where these are added in a loop."""

    def __init__(self, lanes: int, bias: Sequence[Value], *, looped: bool) -> None:
        self._lanes, self._bias, dtype = lanes, bias, element_type(bias[0])
        self._begun = looped
        self._parts = [Register(dtype, lanes, const(0.0, dtype, lanes) if looped else None) for _ in bias]

    def add(self, taps: Sequence[tuple[list[Value], list[Value]]]) -> None:
        """Add the taps' products."""
        for x, w in taps:
            for part, a, f in zip(self._parts, x, w, strict=True):
                part.set(fma(self._lanes, a, f, part.get()) if self._begun else fenced(self._lanes, a * f))
            self._begun = True

    def result(self) -> Sequence[Value]:
        """The sums, bias included."""
        return [part.get() + bias for part, bias in zip(self._parts, self._bias, strict=True)]
