"""Results whose size depends on data: computed at their largest size, together with how much of them counts."""

from ..ir.graph import Value
from .builder import Builder
from .slice import emit_slice


def trimmed(b: Builder, padded: Value, count: Value) -> Value:
    """The first `count` (int64 [1]) entries along the first dimension of `padded`."""
    if count.data is None:
        raise ValueError("the size of its output depends on data; that is supported where all of its inputs are known")
    return emit_slice(b, padded, [range(int(count.data[0])), *map(range, padded.type.shape[1:])])
