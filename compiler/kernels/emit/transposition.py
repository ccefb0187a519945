"""Square blocks transposed in registers."""

from collections.abc import Sequence

from .builder import Register, Value, shuffle


def transposed(dtype: str, lines: Sequence[Value]) -> list[Value]:
    """Line i of the result holds element i of each of `lines`, which have as many elements as there are lines (a power
    of two)."""
    count = len(lines)
    result, distance = list(lines), count // 2
    while distance:
        result = _exchange(dtype, result, distance)
        distance //= 2
    return result


def _exchange(dtype: str, lines: Sequence[Value], distance: int) -> list[Value]:
    """One stage of a transpose by halving: line r swaps with line r + distance what is off the diagonal."""
    result, count = list(lines), len(lines)
    for r in range(count):
        if r & distance:
            continue
        low, high = lines[r], lines[r + distance]
        first = [c if not c & distance else count + c - distance for c in range(count)]
        second = [c + distance if not c & distance else count + c for c in range(count)]
        result[r] = Register(dtype, count, shuffle([low, high], first)).get()
        result[r + distance] = Register(dtype, count, shuffle([low, high], second)).get()
    return result
