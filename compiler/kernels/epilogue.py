"""What happens to a row of sums before it is stored: the arithmetic contract's requantization and residual add."""

from collections.abc import Callable

from ..ir.expr import Expr
from .builder import Builder, Pointer, Register, Value
from .isa import Isa
from .quantization import fixed_point_add, requantize, requantize_small, splat16
from .scalar import emit
from .tir import tirx

Store = Callable[[Pointer, Value], None]

INT8_EPILOGUE = ("zero_point", "low", "high")
"""Output zero point and clamp, of the convolution itself."""

RESIDUAL_EPILOGUE = ("multiplier_a", "multiplier_b", "offset", "step", "sum_zero_point", "sum_low", "sum_high")
"""The fixed-point add of convolution (a) and residual (b): see `map add` in ARCHITECTURE.md. `offset` is
-za * multiplier_a - zb * multiplier_b; `step` is a float."""


class Int8Epilogue:
    """int32 sums -> int8: saturate(rne(float32(acc) * m) + zero_point), then, optionally, the residual add.

    `clamped`: the result is confined to [low, high], which is less than int8. A residual add needs these bounds in any
    case, for its first operand is an int8 code. `small`: the sums come with `OFFSET`.
    """

    def __init__(self, b: Builder, isa: Isa, *, clamped: bool, residual: bool, small: bool) -> None:
        self._b, self._isa, self._residual = b, isa, residual
        self._requantize = requantize_small if small else requantize
        self._columns = 2 * isa.lanes
        self._zero_point = splat16(b, isa, "zero_point")
        self._bounds = [splat16(b, isa, name) for name in ("low", "high")] if clamped or residual else None

    def prepare(self, w: Pointer, w_block: Value) -> None:
        """Load the block's multipliers."""
        lanes = self._isa.lanes
        first = w_block + self._columns * 4
        self._multipliers = [self._b.let(w.load(first + h * lanes * 4, "float32", lanes)) for h in range(2)]

    def finish(self, sums: tuple[Value, Value], residual: Pointer, r_offset: Value | None) -> Store:
        """The row's int8 channels, ready to be stored."""
        quantized = self._requantize(self._isa, sums, self._multipliers, self._zero_point)
        if self._bounds is not None:
            low, high = self._bounds
            quantized = tirx.max(tirx.min(quantized, high), low)
        if self._residual:
            other = self._isa.widen16(residual.load(r_offset, "int8", self._columns))
            quantized = fixed_point_add(self._b, self._isa, quantized, other)
        value = self._b.let(self._isa.narrow8(quantized))
        return lambda p, offset: p.store(offset, value, "int8", self._columns)


class FloatEpilogue:
    """float32 sums (bias included) -> activation -> residual -> activation."""

    def __init__(self, isa: Isa, activation: Expr | None, residual_activation: Expr | None) -> None:
        self._isa, self._activation, self._residual_activation = isa, activation, residual_activation

    def prepare(self, w: Pointer, w_block: Value) -> None:
        """Nothing: the bias is in the sums."""

    def finish(self, sums: tuple[Value, Value], residual: Pointer, r_offset: Value | None) -> Store:
        """The row's float32 channels, ready to be stored."""
        lanes = self._isa.lanes
        values = []
        for half, total in enumerate(sums):
            value = total if self._activation is None else emit(self._activation, [total], "float32", lanes)
            if r_offset is not None:
                value = value + residual.load(r_offset + half * lanes * 4, "float32", lanes)
            if self._residual_activation is not None:
                value = emit(self._residual_activation, [value], "float32", lanes)
            values.append(Register("float32", lanes, value))

        def store(p: Pointer, offset: Value) -> None:
            for half, value in enumerate(values):
                p.store(offset + half * lanes * 4, value.get(), "float32", lanes)

        return store


class SumsEpilogue:
    """int32 sums as they are."""

    def __init__(self, isa: Isa) -> None:
        self._lanes = isa.lanes

    def prepare(self, w: Pointer, w_block: Value) -> None:
        """Nothing: the bias is in the sums."""

    def finish(self, sums: tuple[Value, Value], residual: Pointer, r_offset: Value | None) -> Store:
        """The row's int32 channels, ready to be stored."""
        lanes = self._lanes
        values = [Register("int32", lanes, value) for value in sums]

        def store(p: Pointer, offset: Value) -> None:
            for half, value in enumerate(values):
                p.store(offset + half * lanes * 4, value.get(), "int32", lanes)

        return store
