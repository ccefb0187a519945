"""Numbers stored as float16: floats as soon as they are loaded, and until they are stored.

That is what kernels do which do not compute in float16: on every core, for it is exact but for the rounding when a
number is stored.
"""

from ...ir.types import LARGEST_HALF
from .builder import Pointer, Value, cast, const
from .floating import element_type, keep, llvm_float
from .isa import Isa
from .tir import tirx

KEPT = 512
"""Elements of a short row: what is computed of them is kept as float32 on the stack for the next pass over the row, for
conversions take as long as several other instructions. Passes over longer rows convert, or compute, again."""


def computed(dtype: str) -> str:
    """The type that elements stored as `dtype` have in registers."""
    return "float32" if dtype == "float16" else dtype


def load(p: Pointer, offset: Value, dtype: str, lanes: int = 1, wanted: str = "") -> Value:
    """`lanes` elements stored as `dtype` at byte `offset`, in the type `wanted`, or that of other kernels."""
    value, wanted = p.load(offset, dtype, lanes), wanted or computed(dtype)
    return value if dtype == wanted else cast(value, wanted, lanes)


def store(isa: Isa, p: Pointer, offset: Value, value: Value, dtype: str, lanes: int = 1) -> None:
    """Write `lanes` elements as `dtype`."""
    p.store(offset, narrowed(isa, value, lanes) if dtype == "float16" else value, dtype, lanes)


def narrowed(isa: Isa, value: Value, lanes: int) -> Value:
    """float32 -> float16, half to even; what is beyond the largest is the largest, NaN stays. float16 as it is."""
    if element_type(value) == "float16":
        return value
    if isa.computes_halves:  # what became infinite is bounded: half as many vectors
        half = cast(value, "float16", lanes)
        for name, bound in (("minimum", LARGEST_HALF), ("maximum", -LARGEST_HALF)):
            half = llvm_float(name, lanes, half, const(bound, "float16", lanes))
        return half
    low, high = (const(bound, "float32", lanes) for bound in (-LARGEST_HALF, LARGEST_HALF))
    value = keep(value)
    value = keep(tirx.Select(high < value, high, value))  # which NaN passes
    return cast(keep(tirx.Select(low > value, low, value)), "float16", lanes)
