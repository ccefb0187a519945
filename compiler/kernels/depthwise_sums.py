"""The sums of one output pixel of a depthwise convolution: a block of channels."""

from collections.abc import Sequence

from .builder import Register, Value, const, intrinsic
from .isa import Isa


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

    def result(self) -> tuple[Value, Value]:
        """The sums, bias included."""
        low, high = self._halves
        return low.get(), high.get()


class FloatSums:
    """float32 sums of one pixel; the bias is added last, for a large one would cost the sums their low bits."""

    def __init__(self, isa: Isa, bias: Sequence[Value]) -> None:
        self._name, self._lanes = f"llvm.fma.v{isa.lanes}f32", isa.lanes
        self._bias = bias
        self._halves = [Register("float32", isa.lanes, const(0.0, "float32", isa.lanes)) for _ in bias]

    def add(self, taps: Sequence[tuple[list[Value], list[Value]]]) -> None:
        """Add the taps' products."""
        for x, w in taps:
            for half, a, f in zip(self._halves, x, w, strict=True):
                half.set(intrinsic(self._name, "float32", self._lanes, a, f, half.get()))

    def result(self) -> tuple[Value, Value]:
        """The sums, bias included."""
        low, high = (half.get() + bias for half, bias in zip(self._halves, self._bias, strict=True))
        return low, high
