"""Short stable names for generated code."""

import hashlib


def digest(text: str) -> str:
    """Eight hex digits that stand for `text` in a symbol."""
    return hashlib.sha256(text.encode()).hexdigest()[:8]
