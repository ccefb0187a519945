"""What happens to a row of sums before it is stored: the arithmetic contract's requantization and residual add."""

import math
from collections.abc import Callable, Sequence

from ...ir.expr import Expr
from ...ir.types import LARGEST_HALF
from ...ir.vectors import Vectors
from ..emit import halves
from ..emit.builder import Builder, Pointer, Register, Value, bitcast, cast, const, shuffle, splat
from ..emit.floating import element_type, fenced, keep, lanes_of, llvm_float
from ..emit.isa import Isa
from ..emit.quantization import SumForm, fixed_point_sum, splat16, within_sum_bounds, wrapping
from ..emit.tir import tirx
from .activation import finished, is_simple, within
from .rescale import Scaling, rescaling

Store = Callable[[Pointer, Value], None]

INT8_EPILOGUE = ("zero_point", "low", "high")
"""Output zero point and clamp, of the convolution itself."""

RESIDUAL_EPILOGUE = ("multiplier_a", "multiplier_b", "zero_point_b", "step", "sum_zero_point", "sum_low", "sum_high")
"""The fixed-point add of convolution (a) and residual (b): see `map add` in ARCHITECTURE.md. `step` is a float."""

SHIFTED_EPILOGUE = (*RESIDUAL_EPILOGUE, "shifted_a", "shifted_b", "start", "shift")
"""Where a * shifted_a - (zero_point_b - b + start) * shifted_b, modulo 2^32, has the result's codes from bit `shift`
on: see `lower/nodes/sums.py`. The others are for code that serves all sums."""


class Int8Epilogue:
    """int32 sums -> int8: saturate(rne(acc * m) + zero_point), then, optionally, the residual add.

    `clamped`: the result is confined to [low, high], which is less than int8. A residual add needs these bounds in any
    case, for its first operand is an int8 code. `scaling`, `sum_form`: as in `ContractionSpec`.
    """

    def __init__(
        self, b: Builder, isa: Isa, *, clamped: bool, residual: bool, scaling: Scaling, sum_form: SumForm
    ) -> None:
        self._b, self._isa, self._residual, self._sum_form = b, isa, residual, sum_form
        self._rescaling = rescaling(b, isa, scaling)
        self._bounds = [splat16(b, isa, name) for name in ("low", "high")] if clamped else None

    def prepare(self, w: Pointer, *w_blocks: Value) -> None:
        """Load the multipliers of neighbouring blocks."""
        isa = self._isa
        places = [[block + (isa.columns + v * isa.lanes) * 4 for v in range(isa.vectors)] for block in w_blocks]
        dtype = self._rescaling.dtype
        self._multipliers = [[self._b.let(w.load(at, dtype, isa.lanes)) for at in block] for block in places]

    def finish(self, sums: Sequence[Value], residual: Pointer, r_offset: Value | None) -> Store:
        """The row's int8 channels, ready to be stored."""
        if self._residual:
            return self.add(self.differences(sums), self.others(residual, r_offset))
        return stored(self.codes(sums))

    def codes(self, sums: Sequence[Value]) -> Value:
        """The row's int8 channels without a residual."""
        return self._joined([self._saturated(*block) for block in self._blocks(sums)])

    def differences(self, sums: Sequence[Value]) -> list[Value]:
        """The row's codes, to which a residual is added, without their zero point: int32."""
        return [d for block in self._blocks(sums) for d in self._rescaling.differences(*block)]

    def others(self, residual: Pointer, r_offset: Value | None) -> list[Value]:
        """The row's residual, a block each."""
        return self._isa.load_codes(residual, r_offset, len(self._multipliers))

    def add(self, differences: Sequence[Value], others: Sequence[Value]) -> Store:
        """The row's `differences` and its residual, ready to be stored."""
        vectors = self._isa.vectors
        parts = [self._added(differences[vectors * i :][:vectors], other) for i, other in enumerate(others)]
        return stored(self._joined(parts))

    def _blocks(self, sums: Sequence[Value]) -> list[tuple[Sequence[Value], Sequence[Value]]]:
        """The sums and the multipliers of each block."""
        vectors = self._isa.vectors
        return [(sums[vectors * i :][:vectors], multipliers) for i, multipliers in enumerate(self._multipliers)]

    def _joined(self, blocks: Sequence[Value]) -> Value:
        return self._b.let(blocks[0] if len(blocks) == 1 else shuffle(blocks, range(len(blocks) * self._isa.columns)))

    def mixed(self, sums: Sequence[Value], residual: Pointer, r_offsets: Sequence[Value | None]) -> Value:
        """The int8 channels of two rows whose sums are mixed. Codes are mixed in pairs of bytes."""
        columns = self._isa.columns
        if self._residual:
            rows = [self._b.let(residual.load(offset, "int16", columns // 2)) for offset in r_offsets]
            pairs = [lane for i in range(columns // 2) for lane in (i, i + columns // 2)]
            codes = self._b.let(bitcast(shuffle(rows, pairs), "int8", 2 * columns))
            others = [shuffle([codes], range(i * columns, (i + 1) * columns)) for i in range(2)]
        halves = [[0, 1] * 2, [2, 3] * 2]
        multipliers = [[shuffle([m], half) for half in halves] for m in self._multipliers[0]]
        blocks = list(zip((sums[:2], sums[2:]), multipliers, strict=True))
        if self._residual:
            differences = [self._rescaling.differences(*block) for block in blocks]
            results = [self._added(*each) for each in zip(differences, others, strict=True)]
        else:
            results = [self._saturated(*block) for block in blocks]
        return self._joined(results)

    def _saturated(self, sums: Sequence[Value], multipliers: Sequence[Value]) -> Value:
        """int8 x columns of a block's sums."""
        if self._bounds is None:
            return self._rescaling.saturated(sums, multipliers)
        low, high = self._bounds
        return self._isa.narrow8(tirx.max(tirx.min(self._rescaling.codes(sums, multipliers), high), low))

    def _added(self, differences: Sequence[Value], other: Value) -> Value:
        """int8 x columns of a block's differences and the residual."""
        b, isa = self._b, self._isa
        shifted, others = self._sum_form == "shifted", isa.below(b.param32("zero_point_b"), other)
        names = ("shifted_a", "shifted_b") if shifted else ("multiplier_a", "multiplier_b")
        left, right = (splat(v, isa.lanes) for v in (b.param32(names[0]), -b.param32(names[1])))
        if shifted:
            start = wrapping(splat(b.param32("start"), isa.lanes))
            left, right, differences = wrapping(left), wrapping(right), [*map(wrapping, differences)]
            others = [start + wrapping(y) for y in others]
        totals = [x * left + y * right for x, y in zip(differences, others, strict=True)]
        total = fixed_point_sum(b, isa, totals, self._sum_form)
        return isa.narrow8(within_sum_bounds(b, isa, total) if self._sum_form == "any" else total)


def stored(codes: Value) -> Store:
    """Stores int8 vectors."""
    return lambda p, offset: p.store(offset, codes, "int8", lanes_of(codes))


def stored_rows(codes: Value) -> tuple[Store, Store]:
    """Store the two rows that are `mixed`."""
    columns = lanes_of(codes) // 2
    pairs = bitcast(codes, "int16", columns)

    def store(row: int) -> Store:
        return lambda p, offset: p.store(offset, shuffle([pairs], range(row, columns, 2)), "int16", columns // 2)

    return store(0), store(1)


class FloatEpilogue:
    """float32 sums (bias included) -> activation -> residual -> activation."""

    def __init__(self, b: Builder, isa: Isa, activation: Expr | None, residual_activation: Expr | None) -> None:
        self._b, self._isa, self._activation, self._residual_activation = b, isa, activation, residual_activation

    def prepare(self, w: Pointer, *w_blocks: Value) -> None:
        """Nothing: the bias is in the sums."""

    def biased(self, sums: Sequence[Value]) -> Sequence[Value]:
        """What the activation is of."""
        return sums

    def result(self, value: Value, residual: Value | None, vectors: Vectors | None = None) -> Value:
        """Of a vector of `biased` sums, and one of the residual; `vectors`: as in `emit`."""
        return finished(self._b, self._isa, (self._activation, self._residual_activation), value, residual, vectors)

    def finish(
        self, sums: Sequence[Value], residual: Pointer, r_offset: Value | None, vectors: Sequence[Vectors] = ()
    ) -> Store:
        """Float32 channels of a row, ready to be stored; sums are `biased`. `vectors`: for each sum, as in `emit`."""
        lanes = self._isa.lanes
        values = []
        for v, value in enumerate(sums):
            other = None if r_offset is None else residual.load(r_offset + v * lanes * 4, "float32", lanes)
            values.append(Register("float32", lanes, self.result(value, other, vectors[v] if vectors else None)))

        def store(p: Pointer, offset: Value) -> None:
            for half, value in enumerate(values):
                p.store(offset + half * lanes * 4, value.get(), "float32", lanes)

        return store


class ScaledEpilogue(FloatEpilogue):
    """Sums of codes times the scale of the row, float32 -> times the scale of the column, bias, then as floats."""

    def prepare(self, w: Pointer, *w_blocks: Value) -> None:
        """Load bias and scales of neighbouring blocks."""
        isa = self._isa
        places = [block + v * isa.lanes * 4 for block in w_blocks for v in range(isa.vectors)]
        self._bias = [self._b.let(w.load(at, "float32", isa.lanes)) for at in places]
        self._scales = [self._b.let(w.load(at + isa.columns * 4, "float32", isa.lanes)) for at in places]

    def biased(self, sums: Sequence[Value]) -> Sequence[Value]:
        """Times the scales, and the bias added."""
        products = [fenced(self._isa.lanes, v * scale) for v, scale in zip(sums, self._scales, strict=True)]
        return [self._b.let(v + bias) for v, bias in zip(products, self._bias, strict=True)]


class HalfEpilogue:
    """Sums (bias included) -> activation -> residual -> activation -> float16.

    Sums of float32 come in vectors of `lanes`, those of float16 in vectors twice as long; these stay float16 where
    the activations take few operations.
    """

    def __init__(self, b: Builder, isa: Isa, activation: Expr | None, residual_activation: Expr | None) -> None:
        self._b, self._isa, self._activations = b, isa, (activation, residual_activation)

    def prepare(self, w: Pointer, *w_blocks: Value) -> None:
        """Nothing: the bias is in the sums."""

    def finish(
        self, sums: Sequence[Value], residual: Pointer, r_offset: Value | None, vectors: Sequence[Vectors] = ()
    ) -> Store:
        """The row's float16 channels, ready to be stored. `vectors`: for each of the sums, as in `emit`."""
        dtype, width = element_type(sums[0]), self._isa.lanes
        if dtype == "float16" and all(a is None or is_simple(a) for a in self._activations):
            width *= 2
        elif dtype == "float16":
            parts = [shuffle([total], range(h * width, (h + 1) * width)) for total in sums for h in range(2)]
            sums, dtype = [cast(part, "float32", width) for part in parts], "float32"
        values = []
        for number, total in enumerate(sums):
            at = None if r_offset is None else r_offset + number * width * 2
            own = vectors[number] if vectors and dtype == "float16" else None
            values.append(Register("float16", width, self._finished(total, dtype, width, residual, at, own)))

        def store(p: Pointer, offset: Value) -> None:
            for number, value in enumerate(values):
                p.store(offset + number * width * 2, value.get(), "float16", width)

        return store

    def _finished(
        self, value: Value, dtype: str, width: int, residual: Pointer, r_offset: Value | None, vectors: Vectors | None
    ) -> Value:
        activation, after = self._activations
        other = None if r_offset is None else halves.load(residual, r_offset, "float16", width, dtype)
        value = finished(self._b, self._isa, self._activations, value, other, vectors)
        low, high = within(activation if r_offset is None else after)
        low = -math.inf if low >= -LARGEST_HALF else -LARGEST_HALF
        high = math.inf if high <= LARGEST_HALF else LARGEST_HALF
        if dtype == "float32":
            return cast(keep(self._isa.clamp(keep(value), low, high)), "float16", width)
        for name, bound in (("maximum", low), ("minimum", high)):
            if math.isfinite(bound):
                value = llvm_float(name, width, value, const(bound, "float16", width))
        return value


class SumsEpilogue:
    """int32 sums as they are."""

    def __init__(self, isa: Isa) -> None:
        self._lanes = isa.lanes

    def prepare(self, w: Pointer, *w_blocks: Value) -> None:
        """Nothing: the bias is in the sums."""

    def finish(self, sums: Sequence[Value], residual: Pointer, r_offset: Value | None) -> Store:
        """The row's int32 channels, ready to be stored."""
        lanes = self._lanes
        values = [Register("int32", lanes, value) for value in sums]

        def store(p: Pointer, offset: Value) -> None:
            for half, value in enumerate(values):
                p.store(offset + half * lanes * 4, value.get(), "int32", lanes)

        return store


Epilogue = Int8Epilogue | FloatEpilogue | HalfEpilogue | SumsEpilogue
"""What `ContractionSpec.epilogue` gives."""
