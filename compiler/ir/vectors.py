"""What elementary functions (`elementary.py`) are written over: a few operations on vectors of floats and integers.

numpy computes them (`arrays.py`), kernels emit code for them (`kernels/emit/lanes.py`). Both give the same bits: each
is one IEEE operation, `fma` too. Values also have `+ - * / < > << >> & |`.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

Value = Any
"""A vector: a numpy array or a TIR expression."""


class Vectors(ABC):
    """The operations. A compiler may fuse a product with a sum that it feeds: such products are `rounded`."""

    @abstractmethod
    def dtype(self, x: Value) -> str:
        """`float32`, `int64` ..."""

    @abstractmethod
    def const(self, value: float, dtype: str) -> Value:
        """A literal."""

    @abstractmethod
    def keep(self, x: Value) -> Value:
        """x, computed once however often it is used."""

    @abstractmethod
    def rounded(self, x: Value) -> Value:
        """x, and no compiler fuses what computes it with what uses it."""

    @abstractmethod
    def fma(self, a: Value, b: Value, c: Value) -> Value:
        """a * b + c with one rounding."""

    @abstractmethod
    def cast(self, x: Value, dtype: str) -> Value:
        """x converted; floats to integers towards zero."""

    @abstractmethod
    def bitcast(self, x: Value, dtype: str) -> Value:
        """The bits of x as another type."""

    @abstractmethod
    def where(self, condition: Value, a: Value, b: Value) -> Value:
        """a where the condition holds, else b."""

    @abstractmethod
    def both(self, a: Value, b: Value) -> Value:
        """The conjunction."""

    @abstractmethod
    def either(self, a: Value, b: Value) -> Value:
        """The disjunction."""

    @abstractmethod
    def negated(self, a: Value) -> Value:
        """The negation."""

    @abstractmethod
    def equal(self, a: Value, b: Value) -> Value:
        """Whether a = b."""

    @abstractmethod
    def different(self, a: Value, b: Value) -> Value:
        """Whether a and b, which are no NaN, differ."""

    @abstractmethod
    def call(self, name: str, *args: Value) -> Value:
        """The float function that LLVM calls `name`."""

    def like(self, x: Value, value: float) -> Value:
        """A literal of the type of x."""
        return self.const(value, self.dtype(x))

    def addend(self, x: Value, value: float) -> Value:
        """The same, where a product is added to it."""
        return self.like(x, value)

    def floor(self, x: Value) -> Value:
        """The largest integer not above x."""
        return self.call("floor", x)

    def trunc(self, x: Value) -> Value:
        """The integer part."""
        return self.call("trunc", x)

    def roundeven(self, x: Value) -> Value:
        """The nearest integer; the even one of two."""
        return self.call("roundeven", x)

    def sqrt(self, x: Value) -> Value:
        """The square root."""
        return self.call("sqrt", x)

    def magnitude(self, x: Value) -> Value:
        """|x|."""
        return self.call("fabs", x)

    def with_sign(self, size: Value, sign: Value) -> Value:
        """|size| with the sign of `sign`."""
        return self.call("copysign", size, sign)

    def at_least(self, x: Value, bound: float) -> Value:
        """max(x, bound); NaN stays."""
        low = self.like(x, bound)
        return self.where(low > x, low, x)

    def at_most(self, x: Value, bound: float) -> Value:
        """min(x, bound); NaN stays."""
        high = self.like(x, bound)
        return self.where(high < x, high, x)

    def paired_polynomial(self, x: Value, coefficients: Sequence[float]) -> Value:
        """Horner's scheme in x^2 over c0 + c1 x, c2 + c3 x ...; lowest power first. Pairs do not wait for each other,
        and become sums where they are."""
        square = self.keep(x * x)
        pairs = [
            self.fma(x, self.like(x, coefficients[k + 1]), self.addend(x, coefficients[k]))
            if k + 1 < len(coefficients)
            else self.like(x, coefficients[k])
            for k in range(0, len(coefficients), 2)
        ]
        y = pairs[-1]
        for pair in reversed(pairs[:-1]):
            y = self.fma(y, square, pair)
        return y

    def polynomial(self, x: Value, coefficients: Sequence[float]) -> Value:
        """Horner's scheme, highest power first."""
        y = self.like(x, coefficients[0])
        for c in coefficients[1:]:
            y = self.fma(y, x, self.addend(x, c))
        return y
