"""Pieces of C source. Every text that stems from the ONNX file is escaped, reduced to an identifier or defused here."""

import re
from collections.abc import Sequence


def c_identifier(name: str) -> str:
    """The model's name in C and in files: `name` with everything that C does not allow in an identifier made `_`.

    Names that begin like those of `edge.h` are the runtime's.
    """
    text = re.sub(r"[^A-Za-z0-9_]+", "_", name).strip("_") or "model"
    return f"model_{text}" if re.match(r"\d|edge(_|$)", text, re.IGNORECASE) else text


def c_string(text: str) -> str:
    """A C string literal of any text: bytes outside plain ASCII become octal escapes of full length."""
    plain = set(range(0x20, 0x7F)) - set(b'"\\?')
    return '"' + "".join(chr(byte) if byte in plain else f"\\{byte:03o}" for byte in utf8(text)) + '"'


def comment(text: str) -> str:
    """Text that cannot end a comment, start one or continue a line."""
    return re.sub(r"[^\x20-\x7e]|[*/\\?]", "_", text)


def utf8(text: str) -> bytes:
    """What a C string of `text` holds."""
    return text.encode("utf-8", "backslashreplace")


def int32(value: int) -> str:
    """A constant of type int32_t."""
    return str(int(value)) if value != -(2**31) else "(-2147483647 - 1)"


def array(kind: str, name: str, entries: Sequence[str]) -> str:
    """A constant table; C has no empty arrays, so an empty one is a null pointer."""
    if not entries:
        return f"#define {name} 0"
    lines = "".join(f"\n    {entry}," for entry in entries)
    return f"static const {kind} {name}[] = {{{lines}\n}};"


def distances(name: str, symbols: Sequence[str]) -> str:
    """A constant table of int32_t: how far from each entry its symbol lies. C has no such constants; pointers would
    need relocations, of 24 bytes each."""
    if not symbols:
        return f"#define {name} 0"
    lines = "".join(f'\n    ".long {symbol} - .\\n"' for symbol in symbols)
    head = f'".pushsection .rodata.{name}, \\"a\\", %progbits\\n.p2align 2\\n{name}:\\n"'
    return f'extern const int32_t {name}[];\n__asm__({head}{lines}\n    ".popsection\\n");'
