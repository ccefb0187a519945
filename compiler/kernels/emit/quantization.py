"""q and r of the arithmetic contract as vector code, and constants that kernels share."""

from collections.abc import Sequence
from typing import Literal

from .builder import Builder, Value, bitcast, cast, const, shuffle, splat
from .floating import fenced, lanes_of, llvm_float
from .isa import Isa
from .tir import tirx


def splat16(b: Builder, isa: Isa, name: str) -> Value:
    """The parameter `name` in every lane: int16 x columns."""
    return b.let(splat(tirx.Cast("int16", b.param(name)), isa.columns))


def splat_float(b: Builder, isa: Isa, name: str) -> Value:
    """The float parameter `name` in every lane: float32 x lanes."""
    return b.let(splat(b.param_float(name), isa.lanes))


def quantize(b: Builder, isa: Isa, name: str, values: tuple[Value, Value], *, multiplied: bool = False) -> Value:
    """saturate(rne(x / scale) + zero_point): two float32 vectors -> int8 x columns; NaN gives the zero point.

    `multiplied`: without divisions, by the parameters of `lower/nodes/reciprocal.py`.
    """
    low, high = (isa.round_real(b.let(v)) for v in _quotients(b, isa, name, values, multiplied=multiplied))
    return isa.narrow8(isa.add16(isa.narrow16(low, high), splat16(b, isa, f"{name}_zero_point")))


def quantization_names(name: str, *, multiplied: bool) -> tuple[str, ...]:
    """The parameters of `quantize`."""
    divisors = ("reciprocal", "rest") if multiplied else ("scale",)
    return tuple(f"{name}_{part}" for part in (*divisors, "zero_point"))


def _quotients(b: Builder, isa: Isa, name: str, values: Sequence[Value], *, multiplied: bool) -> list[Value]:
    if not multiplied:
        scale = splat_float(b, isa, f"{name}_scale")
        return [value / scale for value in values]
    reciprocal, rest = (splat_float(b, isa, f"{name}_{part}") for part in ("reciprocal", "rest"))
    return [llvm_float("fma", isa.lanes, v, reciprocal, v * rest) for v in map(b.let, values)]


def dequantize(b: Builder, isa: Isa, name: str, codes: Value) -> tuple[Value, Value]:
    """float32(q - zero_point) * scale: int8 x columns -> two float32 vectors, fenced off from fusing."""
    scale = splat_float(b, isa, f"{name}_scale")
    differences = isa.widen32(b.let(isa.widen16(codes) - splat16(b, isa, f"{name}_zero_point")))
    low, high = (b.let(fenced(isa.lanes, cast(d, "float32", isa.lanes) * scale)) for d in differences)
    return low, high


def requantize(isa: Isa, sums: Sequence[Value], multipliers: Sequence[Value], zero_point: Value) -> Value:
    """A block's int32 -> int16 x columns: rne(float32(acc) * m) + zero_point, saturated to int16 on the way."""
    rounded = [isa.round_to_int(cast(acc, "float32", isa.lanes) * m) for acc, m in zip(sums, multipliers, strict=True)]
    return isa.add16(isa.narrow16(*rounded), zero_point)


def requantize_within(
    isa: Isa, sums: Sequence[Value], multipliers: Sequence[Value], low: Value, high: Value
) -> list[Value]:
    """A block's int32 -> int32: rne(float32(acc) * m), clamped to [low, high], which are float32 integers."""
    products = [cast(acc, "float32", isa.lanes) * m for acc, m in zip(sums, multipliers, strict=True)]
    return [isa.round_within(product, low, high) for product in products]


OFFSET = 0x4B400000
"""The bits of 1.5 * 2^23 as float32. An integer i with |i| < 2^22, added to these bits, gives those of 1.5 * 2^23 + i:
no conversion is needed between the two, and adding 1.5 * 2^23 to a float rounds it half to even."""


def requantize_product(isa: Isa, products: Sequence[Value], multiplier: Value, zero_point: Value) -> Value:
    """`requantize` of integers that float32 holds, where |product * m| < 2^15 - 1."""
    scaled = [fenced(isa.lanes, cast(product, "float32", isa.lanes) * multiplier) for product in products]
    offset = bitcast(const(OFFSET, "int32", isa.lanes), "float32", isa.lanes)
    return isa.add16(last_halves(isa, [value + offset for value in scaled]), zero_point)


def last_halves(isa: Isa, values: Sequence[Value]) -> Value:
    """The last 16 bits of each element of a block's vectors: int16 x columns."""
    return shuffle([bitcast(v, "int16", 2 * isa.lanes) for v in values], range(0, 2 * isa.columns, 2))


def offset_value(b: Builder, isa: Isa, name: str) -> Value:
    """1.5 * 2^23 + the parameter `name` in every lane: float32 x lanes."""
    bits = b.param32(name) + tirx.const(OFFSET, "int32")
    return b.let(bitcast(splat(bits, isa.lanes), "float32", isa.lanes))


SumForm = Literal["any", "small", "shifted"]
"""How the sums of products of `map add` in the contract become codes: as the contract says, with the parameters
RESIDUAL_EPILOGUE; or

    small: sums are less than 2^15 - 1 steps, and `step` stands for the float32 1.5 * 2^23 steps, whose last bit is a
        step: adding it rounds the sum to steps, half to even
    shifted: with the parameters SHIFTED_EPILOGUE, sums modulo 2^32 are shifted; they are small"""


def unshifted(form: SumForm) -> SumForm:
    """Whose code takes the same sums, and more."""
    return "small" if form == "shifted" else form


def fixed_point_sum(b: Builder, isa: Isa, totals: Sequence[Value], form: SumForm) -> Value:
    """int32 sums of products -> int16 x columns, without bounds."""
    if form == "shifted":
        shift = splat(b.param32("shift"), isa.lanes)
        return last_halves(isa, [tirx.shift_right(bitcast(t, "int32", isa.lanes), shift) for t in totals])
    step, zero_point = splat_float(b, isa, "step"), splat16(b, isa, "sum_zero_point")
    if form == "small":
        return isa.add16(last_halves(isa, [cast(t, "float32", isa.lanes) + step for t in totals]), zero_point)
    return requantize(isa, totals, [step] * isa.vectors, zero_point)


def wrapping(value: Value) -> Value:
    """int32 as numbers modulo 2^32: LLVM may take signed sums and products for such that do not overflow."""
    return bitcast(value, "uint32", lanes_of(value))


def within_sum_bounds(b: Builder, isa: Isa, codes: Value) -> Value:
    """int16 x columns between the parameters `sum_low` and `sum_high`."""
    return tirx.max(tirx.min(codes, splat16(b, isa, "sum_high")), splat16(b, isa, "sum_low"))
