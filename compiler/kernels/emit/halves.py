"""Numbers stored as float16: floats as soon as they are loaded, and until they are stored.

That is what kernels do which do not compute in float16: on every core, for it is exact but for the rounding when a
number is stored.
"""

from ...ir.types import LARGEST_HALF
from .builder import Pointer, Value, cast, const
from .floating import element_type, keep
from .tir import tirx


def computed(dtype: str) -> str:
    """The type that elements stored as `dtype` have in registers."""
    return "float32" if dtype == "float16" else dtype


def load(p: Pointer, offset: Value, dtype: str, lanes: int = 1, wanted: str = "") -> Value:
    """`lanes` elements stored as `dtype` at byte `offset`, in the type `wanted`, or that of other kernels."""
    value, wanted = p.load(offset, dtype, lanes), wanted or computed(dtype)
    return value if dtype == wanted else cast(value, wanted, lanes)


def store(p: Pointer, offset: Value, value: Value, dtype: str, lanes: int = 1) -> None:
    """Write `lanes` elements as `dtype`."""
    p.store(offset, narrowed(value, lanes) if dtype == "float16" else value, dtype, lanes)


def narrowed(value: Value, lanes: int) -> Value:
    """float32 -> float16, half to even; what is beyond the largest is the largest. float16 as it is."""
    if element_type(value) == "float16":
        return value
    low, high = (const(bound, "float32", lanes) for bound in (-LARGEST_HALF, LARGEST_HALF))
    value = keep(value)
    value = keep(tirx.Select(high < value, high, value))  # which NaN passes
    return cast(keep(tirx.Select(low > value, low, value)), "float16", lanes)
