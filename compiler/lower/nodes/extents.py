"""extents -> steps that write numbers of the run into memory."""

from ...ir.attributes import ints_attr
from ...ir.graph import Node
from ...kernels import extents
from ..context import Context, lowering


@lowering("extents")
def lower_extents(c: Context, node: Node) -> None:
    """A few elements a step."""
    y, values = c.output(node), ints_attr(node, "values")
    for first in range(0, len(values), extents.MOST):
        part = values[first : first + extents.MOST]
        spec = extents.ExtentsSpec(y.type.dtype, len(part))
        params = dict(zip(spec.params, part, strict=True))
        c.emit(extents, spec, {"y": y.at().plus(first * y.element)}, params, 1, barrier=first == 0)
