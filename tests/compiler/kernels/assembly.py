"""What kernels are compiled to."""

import numpy as np

from edgec.counting.llvm import disassemble


def assembly(code: bytes) -> list[str]:
    """The instructions of an arm64 object, in order; some words of it are instructions by chance."""
    words = [int(word) for word in np.frombuffer(code[: len(code) // 4 * 4], "<u4")]
    texts = disassemble(words)
    return [texts[word] for word in words]
