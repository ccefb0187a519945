"""Integer arithmetic as vector code, defined for every operand: no division traps, no shift is out of range."""

import operator
from collections.abc import Callable

from .builder import BITS, Value, cast
from .floating import element_type, keep, like
from .tir import tirx

EXPONENT_BITS = 16
"""Of an integer power; larger exponents count as 2^16 - 1."""


def _unsigned(x: Value) -> bool:
    return element_type(x).startswith("u")


def wrapping(fn: Callable[[Value, Value], Value]) -> Callable[[int, Value, Value], Value]:
    """`fn`, a sum, difference or product, modulo the type's range.

    TVM tells LLVM that integers of 32 bits and more do not overflow, so they are computed in twice the width, where
    none does; LLVM takes only the half that is kept.
    """

    def compute(lanes: int, a: Value, b: Value) -> Value:
        dtype = element_type(a)
        if "int" not in dtype or BITS[dtype] < 32:
            return fn(a, b)
        kind = "uint" if fn is operator.mul and _unsigned(a) else "int"
        wide = f"{kind}{2 * BITS[dtype]}"
        return cast(fn(cast(a, wide, lanes), cast(b, wide, lanes)), dtype, lanes)

    return compute


_multiply = wrapping(operator.mul)
_add = wrapping(operator.add)


def negative(lanes: int, x: Value) -> Value:
    """-x; the smallest number is its own."""
    return _add(lanes, ~x, like(x, 1, lanes))


def magnitude(lanes: int, x: Value) -> Value:
    """|x|; the smallest number is its own."""
    return x if _unsigned(x) else tirx.Select(x < like(x, 0, lanes), negative(lanes, x), x)


def sign(lanes: int, x: Value) -> Value:
    """-1, 0 or 1."""
    one, zero = like(x, 1, lanes), like(x, 0, lanes)
    positive = tirx.Select(x > zero, one, zero)
    return positive if _unsigned(x) else tirx.Select(x < zero, like(x, -1, lanes), positive)


def divide(lanes: int, a: Value, b: Value) -> Value:
    """The quotient towards zero; 0 where b is 0, and the smallest number is its own negative."""
    zero = like(a, 0, lanes)
    quotient = tirx.truncdiv(a, _divisor(lanes, b))
    if not _unsigned(a):
        quotient = tirx.Select(tirx.EQ(b, like(b, -1, lanes)), negative(lanes, a), quotient)
    return tirx.Select(tirx.EQ(b, zero), zero, quotient)


def remainder(lanes: int, a: Value, b: Value) -> Value:
    """The remainder with the sign of a; 0 where b is 0."""
    return tirx.truncmod(a, _divisor(lanes, b))


def _divisor(lanes: int, b: Value) -> Value:
    """b, or 1 where a division by it traps; the remainders by 1 and by -1 are the same."""
    traps = tirx.EQ(b, like(b, 0, lanes))
    if not _unsigned(b):
        traps = tirx.Or(traps, tirx.EQ(b, like(b, -1, lanes)))
    return keep(tirx.Select(traps, like(b, 1, lanes), b))


def power(lanes: int, a: Value, b: Value) -> Value:
    """a^b modulo the type's range by squaring; with a negative exponent 1 / a^|b| rounded to zero (0 where a is 0)."""
    zero, one = like(a, 0, lanes), like(a, 1, lanes)
    exponent, square, result = keep(magnitude(lanes, b)), keep(a), one
    bits = min(EXPONENT_BITS, BITS[element_type(b)] - (not _unsigned(b)))
    largest = like(b, 2**bits - 1, lanes)
    exponent = keep(tirx.Select(tirx.Or(exponent > largest, exponent < zero), largest, exponent))
    for k in range(bits):
        odd = tirx.NE((exponent >> like(b, k, lanes)) & one, zero)
        result = keep(tirx.Select(odd, _multiply(lanes, result, square), result))
        square = keep(_multiply(lanes, square, square))
    if _unsigned(b):
        return result
    unit = tirx.Or(tirx.EQ(a, one), tirx.EQ(a, like(a, -1, lanes)))
    return tirx.Select(tirx.Or(b >= zero, unit), result, zero)


def shift_left(lanes: int, x: Value, by: Value) -> Value:
    """x * 2^by modulo the type's range; 0 where `by` is not one of its bits."""
    return tirx.Select(_in_range(lanes, by), x << _shift(lanes, by), like(x, 0, lanes))


def shift_right(lanes: int, x: Value, by: Value) -> Value:
    """x / 2^by towards minus infinity; all sign where `by` is not one of its bits."""
    gone = like(x, 0, lanes) if _unsigned(x) else x >> like(x, BITS[element_type(x)] - 1, lanes)
    return tirx.Select(_in_range(lanes, by), x >> _shift(lanes, by), gone)


def _in_range(lanes: int, by: Value) -> Value:
    below = by < like(by, BITS[element_type(by)], lanes)
    return below if _unsigned(by) else tirx.And(by >= like(by, 0, lanes), below)


def _shift(lanes: int, by: Value) -> Value:
    return by & like(by, BITS[element_type(by)] - 1, lanes)
