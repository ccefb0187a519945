"""`trim`: the part that counts of a result whose size depends on data.

An op that finds things gives them padded to the largest size, and how many there are. `trim` ties a new symbol to that
number: from there on the extent of the result is known, as are the extents of a run's inputs from its beginning.
"""

from collections.abc import Sequence

from ..ir.attributes import int_attr
from ..ir.extent import Symbol, largest, symbol, symbols_of
from ..ir.graph import Array, Node, Value
from ..ir.registry import REQUIRED, OpDef, register
from ..ir.types import TensorType
from .builder import Builder
from .region_builder import RegionBuilder
from .slice import Span, emit_slice, whole


def _infer(node: Node) -> tuple[TensorType, ...]:
    x, count = (v.type for v in node.inputs)
    if (count.dtype, count.shape) != ("int64", (1,)) or x.rank == 0:
        raise ValueError(f"it takes a tensor with dimensions and an int64[1], not {count.dtype}{list(count.shape)}")
    return (x.with_shape((int_attr(node, "extent", least=0), *x.shape[1:])),)


def _reference(node: Node, inputs: Sequence[Array]) -> tuple[Array, ...]:
    return (inputs[0][: int(inputs[1][0])],)


register(OpDef("trim", (2, 2), {"extent": REQUIRED}, _infer, _reference))


def measured(node: Node) -> Symbol:
    """The symbol that a `trim` ties to its count."""
    (found,) = symbols_of(int_attr(node, "extent"))
    return found


def trimmed(b: Builder, padded: Value, count: Value) -> Value:
    """The first `count` (int64 [1]) entries along the first dimension of `padded`."""
    if count.data is not None:
        return emit_slice(b, padded, [Span(0, int(count.data[0])), *map(whole, padded.type.shape[1:])])
    if isinstance(b, RegionBuilder):
        raise ValueError(
            "the size of its output depends on data; that is supported outside of branches and loops only: move it out"
        )
    extent = symbol(padded.name, 0, largest(padded.type.shape[0]))
    return b.emit("trim", padded, count, extent=extent)
