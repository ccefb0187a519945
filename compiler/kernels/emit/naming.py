"""Short stable names for generated code."""

import hashlib


def digest(text: str) -> str:
    """Eight hex digits that stand for `text` in a symbol."""
    return hashlib.sha256(text.encode()).hexdigest()[:8]


SHORT = {
    "float32": "f32", "float16": "f16", "float64": "f64", "int8": "s8", "uint8": "u8", "int16": "s16", "uint16": "u16",
    "int32": "s32", "uint32": "u32", "int64": "s64", "uint64": "u64", "bool": "b8",
}  # fmt: skip
"""Element types in the names of kernels."""
