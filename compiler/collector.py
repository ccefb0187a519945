"""Python's garbage collector, while graphs are in memory."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

RARELY = 100


@contextmanager
def rare_collections() -> Iterator[None]:
    """Inside, Python looks for unreachable cycles `RARELY` times less often.

    The nodes and values of a graph are cycles that stay; to walk all of them again and again takes longer than the
    passes over a graph of ten thousand nodes do.
    """
    first, *others = gc.get_threshold()
    gc.set_threshold(RARELY * first, *others)
    try:
        yield
    finally:
        gc.set_threshold(first, *others)
