"""`reduce` over neighbouring axes: [outer, rows, columns, inner] -> [outer, inner].

With `inner` the lanes of a vector are the elements that stay (a global pool); a tile is a chunk of the inner elements
of one outer index: tiles = outer * chunks. Without, `columns` are dense and become one number; a tile is one outer
index. Sums of floats are taken in an order that depends neither on the tiling nor on the target.

With `inner`, up to 31 bytes behind the input may be read where there are fewer inner elements than lanes.
"""

import operator
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from ..ir.reduction import Kind, identity
from ..ir.types import FLOATS
from ..ops.float_sums import SUM_BYTES
from .emit import integer
from .emit.blocks import channel_blocks, store_channels
from .emit.builder import BITS, Builder, Register, Value, cast, const, define, i64, shuffle, splat
from .emit.floating import fma, llvm_float
from .emit.halves import computed, load, store
from .emit.isa import Isa
from .emit.naming import SHORT
from .emit.quantization import requantize, splat16
from .emit.tir import tirx
from .emit.window import Window, fold_in_runs, int8_sums

OPERANDS = ("x", "y")

_INNER = ("rows", "x_row", "columns", "x_column", "x_outer", "y_outer", "inner", "chunk", "chunks")
_ROW = ("rows", "x_row", "columns", "x_outer", "y_outer")
_QUANTIZED_MEAN = ("count", "x_scale", "y_scale", "x_zero_point", "zero_point")


@dataclass(frozen=True)
class ReduceSpec:
    """Which member of the family: any kind of floats; of integers, modulo their range, all but mean and l2. The mean
    of int8 is that of quantized elements. float16 is reduced in float32.

    Parameters of a mean: `count`, the number of elements, and for int8 the scales (float32) and zero points.
    """

    kind: Kind
    dtype: str
    inner: bool

    @property
    def symbol(self) -> str:
        """The kernel's name in plans, symbols and profiles."""
        prefix = "qs8" if _is_quantized_mean(self) else SHORT[self.dtype]
        return f"{prefix}_r{self.kind}" + ("" if self.inner else "_row")

    @property
    def computed(self) -> str:
        """The dtype of sums and other results before they are stored."""
        return computed(self.dtype)

    @property
    def params(self) -> tuple[str, ...]:
        """Names of the kernel's parameters, in order."""
        mean = (_QUANTIZED_MEAN if _is_quantized_mean(self) else ("count",)) if self.kind == "mean" else ()
        return (_INNER if self.inner else _ROW) + mean


def build(spec: ReduceSpec, isa: Isa) -> object:
    """The TIR function of `spec` on `isa`. ValueError for a kind that integers do not have."""
    if spec.computed not in FLOATS and spec.kind in ("mean", "l2") and not _is_quantized_mean(spec):
        raise ValueError(f"{spec.dtype} has no kernel for {spec.kind}")
    return define(spec.symbol, OPERANDS, spec.params, lambda b: (_inner if spec.inner else _row)(b, spec, isa))


_Combine = Callable[[Value, Value], Value]


def _combine(spec: ReduceSpec, lanes: int) -> tuple[float, _Combine]:
    """(initial value, how an element joins)."""
    add, multiply = partial(integer.wrapping(operator.add), lanes), partial(integer.wrapping(operator.mul), lanes)
    initial, join = identity(spec.kind, spec.computed), _join(spec, lanes)

    def add_square(s: Value, x: Value) -> Value:
        return fma(lanes, x, x, s) if spec.computed in FLOATS else add(s, multiply(x, x))

    members: dict[str, _Combine] = {
        "l1": lambda s, x: add(s, _absolute(spec.computed, lanes, x)),
        "l2": add_square,
        "sum_square": add_square,
    }
    return initial, members.get(spec.kind, join)


def _is_quantized_mean(spec: ReduceSpec) -> bool:
    return spec.dtype == "int8" and spec.kind == "mean"


def _join(spec: ReduceSpec, lanes: int) -> _Combine:
    """How two partial results become one."""
    if spec.kind in ("max", "min"):
        if spec.computed in FLOATS:
            return lambda a, b: llvm_float(f"{spec.kind}imum", lanes, a, b)
        return lambda a, b: tirx.max(a, b) if spec.kind == "max" else tirx.min(a, b)
    fn = integer.wrapping(operator.mul if spec.kind == "prod" else operator.add)
    return lambda a, b: fn(lanes, a, b)


def _absolute(dtype: str, lanes: int, x: Value) -> Value:
    return llvm_float("fabs", lanes, x) if dtype in FLOATS else integer.magnitude(lanes, x)


def _finish(b: Builder, spec: ReduceSpec, lanes: int, value: Value) -> Value:
    """What happens to a result at last."""
    if spec.kind == "mean":
        return value / splat(cast(b.param("count"), spec.computed, 1), lanes)
    return llvm_float("sqrt", lanes, value) if spec.kind == "l2" else value


def _inner(b: Builder, spec: ReduceSpec, isa: Isa) -> None:
    size, inner = BITS[spec.dtype] // 8, b.param("inner")
    lanes = 2 * isa.lanes if _is_quantized_mean(spec) else 4 * isa.lanes // size
    with b.tiles() as t:
        outer = b.let(tirx.truncdiv(t, b.param("chunks")))
        begin = b.let(tirx.truncmod(t, b.param("chunks")) * b.param("chunk"))
        source, target = b.let(outer * b.param("x_outer")), b.let(outer * b.param("y_outer"))

        def block(channel: Value, vectors: int) -> None:
            window = Window(
                b.pointer("x"), b.let(source + channel * size),
                *(b.param(name) for name in ("rows", "columns", "x_row", "x_column")),
            )  # fmt: skip
            if _is_quantized_mean(spec):
                results = [_requantized(b, isa, pair) for pair in int8_sums(b, isa, window, vectors)]
            else:
                combine = (*_combine(spec, lanes), _join(spec, lanes))
                results = fold_in_runs(b, window, spec.dtype, lanes, vectors, *combine)
            if not _is_quantized_mean(spec):
                results = [_finish(b, spec, lanes, r) for r in results]
            for v, value in enumerate(results):
                offset = b.let(target + (channel + v * lanes) * size)
                if vectors == 1:
                    store_channels(b, isa, b.pointer("y"), offset, value, spec.dtype, lanes, inner)
                else:
                    store(isa, b.pointer("y"), offset, value, spec.dtype, lanes)

        channel_blocks(b, begin, b.let(tirx.min(begin + b.param("chunk"), inner)), inner, lanes, block)


def _requantized(b: Builder, isa: Isa, sums: tuple[Value, Value]) -> Value:
    """The codes of means: multiplier = float32(sx / (sy * count)), computed in float64."""
    x_scale, y_scale = (cast(b.param_float(f"{name}_scale"), "float64", 1) for name in "xy")
    multiplier = b.let(cast(x_scale / (y_scale * cast(b.param("count"), "float64", 1)), "float32", 1))
    offset = b.let(splat(cast(b.param("x_zero_point") * b.param("count"), "int32", 1), isa.lanes))
    low, high = (s - offset for s in sums)
    return isa.narrow8(requantize(isa, (low, high), [splat(multiplier, isa.lanes)] * 2, splat16(b, isa, "zero_point")))


def _row(b: Builder, spec: ReduceSpec, isa: Isa) -> None:
    y = b.pointer("y")
    total_of = _sum_of_codes if _is_quantized_mean(spec) else _folded
    with b.tiles() as t:
        total = total_of(b, spec, isa, b.let(t * b.param("x_outer")))
        target = b.let(t * b.param("y_outer"))
        if _is_quantized_mean(spec):
            # one number through the vector path: all lanes the same
            sums, scratch = b.let(splat(total, isa.lanes)), b.stack(2 * isa.lanes)
            scratch.store(i64(0), _requantized(b, isa, (sums, sums)), "int8", 2 * isa.lanes)
            total = scratch.load(i64(0), "int8")
        store(isa, y, target, total if _is_quantized_mean(spec) else _finish(b, spec, 1, total), spec.dtype)


def _folded(b: Builder, spec: ReduceSpec, isa: Isa, start: Value) -> Value:
    """What the kind makes of all elements from byte `start` on."""
    size, dtype = BITS[spec.dtype] // 8, spec.computed
    lanes = (SUM_BYTES if dtype in FLOATS else 4 * isa.lanes) * 8 // BITS[dtype]
    x, (initial, combine), combine_one = b.pointer("x"), _combine(spec, lanes), _combine(spec, 1)[1]
    total = Register(dtype, lanes, const(initial, dtype, lanes))
    rest = Register(dtype, 1, const(initial, dtype))
    whole = b.let(tirx.truncdiv(b.param("columns"), i64(lanes)))
    with b.range(0, b.param("rows")) as i:
        row = b.let(start + i * b.param("x_row"))
        with b.range(0, whole) as j:
            total.set(combine(total.get(), load(x, row + j * (lanes * size), spec.dtype, lanes)))
        with b.range(whole * lanes, b.param("columns")) as j:
            rest.set(combine_one(rest.get(), load(x, row + j * size, spec.dtype)))
    return horizontal(b, partial(_join, spec), total.get(), lanes, rest.get())


def _sum_of_codes(b: Builder, spec: ReduceSpec, isa: Isa, start: Value) -> Value:
    """The int32 sum of all int8 elements from byte `start` on."""
    x, lanes = b.pointer("x"), 2 * isa.lanes
    total = Register("int32", isa.lanes, const(0, "int32", isa.lanes))
    rest = Register("int32", 1, const(0, "int32"))
    whole = b.let(tirx.truncdiv(b.param("columns"), i64(lanes)))
    with b.range(0, b.param("rows")) as i:
        row = b.let(start + i * b.param("x_row"))
        with b.range(0, whole) as j:
            low, high = isa.widen32(b.let(isa.widen16(x.load(row + j * lanes, "int8", lanes))))
            total.set(total.get() + low + high)
        with b.range(whole * lanes, b.param("columns")) as j:
            rest.set(rest.get() + cast(x.load(row + j, "int8"), "int32", 1))
    return horizontal(b, lambda _: operator.add, total.get(), isa.lanes, rest.get())


def horizontal(
    b: Builder, join_of: Callable[[int], _Combine], vector: Value, lanes: int, start: Value
) -> Value:  # fmt: skip
    """`start` and all lanes of `vector`: its halves are joined, theirs then, and so on. `join_of`: of so many lanes."""
    while lanes > 1:
        lanes //= 2
        halves = (shuffle([vector], range(first, first + lanes)) for first in (0, lanes))
        vector = b.let(join_of(lanes)(*halves))
    return b.let(join_of(1)(start, vector))
