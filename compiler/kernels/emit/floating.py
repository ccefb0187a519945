"""Vectors of floats.

Comparisons of TIR are ordered (false for NaN), `!=` too, and TVM's simplifier takes x == x for granted: a test for NaN
looks at the bits.
"""

from .builder import BITS, Register, Value, bitcast, const, intrinsic
from .tir import tirx


def element_type(value: Value) -> str:
    """`float32` for a vector or scalar of float32."""
    return str(value.ty).partition("x")[0]


def lanes_of(value: Value) -> int:
    """4 for a vector of four."""
    return int(str(value.ty).partition("x")[2] or 1)


def keep(value: Value) -> Value:
    """Computed once, however often it is used (a TIR expression is a tree)."""
    dtype, _, lanes = str(value.ty).partition("x")
    return Register(dtype, int(lanes or 1), value).get()


def llvm_float(name: str, lanes: int, *args: Value) -> Value:
    """LLVM's intrinsic `name` of floating point operands; ValueError for another type. That of float16 is one
    instruction only where `Isa.computes_halves`."""
    dtype = element_type(args[0])
    if "float" not in dtype:
        raise ValueError(f"{name} has no code for {dtype}; only for floating point numbers")
    return _intrinsic(name, dtype, lanes, *args)


def fma(lanes: int, a: Value, b: Value, c: Value) -> Value:
    """a * b + c with one rounding, on every target."""
    return llvm_float("fma", lanes, a, b, c)


def fenced(lanes: int, x: Value) -> Value:
    """x, and what computes it is not fused with what uses it: a product that feeds a sum is rounded first."""
    return _intrinsic("arithmetic.fence", element_type(x), lanes, x)


def _intrinsic(name: str, dtype: str, lanes: int, *args: Value) -> Value:
    suffix = f"f{BITS[dtype]}" if lanes == 1 else f"v{lanes}f{BITS[dtype]}"
    return intrinsic(f"llvm.{name}.{suffix}", dtype, lanes, *args)


def like(x: Value, value: float, lanes: int) -> Value:
    """A literal of the type of `x`."""
    return const(value, element_type(x), lanes)


def magnitude(lanes: int, x: Value) -> Value:
    """|x|."""
    return llvm_float("fabs", lanes, x)


def bits_of(lanes: int, x: Value) -> Value:
    """The bits without the sign, as a signed integer: they order as the sizes do, infinity before NaN."""
    width = BITS[element_type(x)]
    return bitcast(x, f"int{width}", lanes) & const(2 ** (width - 1) - 1, f"int{width}", lanes)


def infinite_bits(x: Value) -> int:
    """`bits_of` infinity."""
    return 0x7F800000 if element_type(x) == "float32" else 0x7FF0000000000000


def is_nan(lanes: int, x: Value) -> Value:
    """Whether x is no number."""
    bits = bits_of(lanes, x)
    return bits > const(infinite_bits(x), element_type(bits), lanes)


def is_infinite(lanes: int, x: Value) -> Value:
    """Whether x is an infinity."""
    bits = bits_of(lanes, x)
    return tirx.EQ(bits, const(infinite_bits(x), element_type(bits), lanes))
