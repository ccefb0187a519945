"""Numbers and texts in few bytes, as the runtime's `unpack.c` reads them."""

from collections.abc import Iterable
from itertools import takewhile

from .c_text import utf8

_MOST_COMMON = 255


def unsigned(value: int) -> bytes:
    """Seven bits a byte, the lowest first; the top bit says that more follow. `value` is at least 0."""
    data = bytearray()
    while value >= 0x80:
        data.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*data, value])


def signed(value: int) -> bytes:
    """As `unsigned`, with the sign in the lowest bit."""
    return unsigned(value << 1 if value >= 0 else ~value << 1 | 1)


def front_coded(texts: Iterable[str]) -> bytes:
    """Each as a byte, the number of bytes that it has in common with the one before, and the others with a NUL."""
    data, before = bytearray(), b""
    for text in map(utf8, texts):
        pairs = zip(before, text, strict=False)
        common = min(sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs)), _MOST_COMMON)
        data += bytes([common]) + text[common:] + b"\0"
        before = text
    return bytes(data)
