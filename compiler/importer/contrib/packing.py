"""Codes of 2, 4 or 8 bits, several in a byte."""

from collections.abc import Iterable

from .text import ints, scalar

PACKED_BITS = (2, 4, 8)
"""Bits of codes that fill bytes."""


def unpacked(source: str, target: str, bits: int, shape: Iterable[int], shifts: Iterable[int] | None = None) -> str:
    """`target` uint8 of `shape` from the bytes `source`, whose codes start at the bits `shifts`: from the lowest on."""
    lines = ints(f"{target}_shape", *shape) + scalar(f"{target}_mask", 2**bits - 1, "uint8") + ints(f"{target}_end", -1)
    parts = []
    for shift in range(0, 8, bits) if shifts is None else shifts:
        part = f"{target}_{shift}"
        lines += scalar(f"{part}_by", shift, "uint8")
        lines += f'{part}_low = BitShift<direction = "RIGHT">({source}, {part}_by)\n'
        lines += f"{part}_code = BitwiseAnd({part}_low, {target}_mask)\n"
        lines += f"{part} = Unsqueeze({part}_code, {target}_end)\n"
        parts.append(part)
    lines += f"{target}_all = Concat<axis = -1>({', '.join(parts)})\n"
    return lines + f"{target} = Reshape({target}_all, {target}_shape)\n"


def first_columns(source: str, target: str, count: int) -> str:
    """`target`: the first `count` elements of the last dimension."""
    ends = ints(f"{target}_from", 0) + ints(f"{target}_to", count) + ints(f"{target}_along", -1)
    return ends + f"{target} = Slice({source}, {target}_from, {target}_to, {target}_along)\n"
