"""`lrn` of float32 across dense channels: x / (bias + alpha / size * sum of squares)^beta.

A tile is one row of pixels.
"""

from dataclasses import dataclass

from ..ir.elementary import exp, log
from .emit.builder import Builder, Register, Value, const, define, i64, splat
from .emit.floating import fenced, fma
from .emit.isa import Isa
from .emit.lanes import vectors_of
from .emit.tir import tirx

OPERANDS = ("x", "y")


@dataclass(frozen=True)
class LrnSpec:
    """The only member. `before` and `after`: channels that count at either side; `factor` = alpha / size (float32)."""

    symbol: str = "f32_lrn"
    params: tuple[str, ...] = (
        "width", "x_row", "x_pixel", "y_row", "y_pixel", "channels", "before", "after", "factor", "beta", "bias",
    )  # fmt: skip


def build(spec: LrnSpec, isa: Isa) -> object:
    """The TIR function of `spec` on `isa`."""
    return define(spec.symbol, OPERANDS, spec.params, lambda b: _body(b, isa))


def _body(b: Builder, isa: Isa) -> None:
    """Channels whose neighbours all exist go by vectors, those at the ends one by one."""
    channels, before, after, lanes = b.param("channels"), b.param("before"), b.param("after"), isa.lanes
    vectors = b.let(tirx.max(tirx.truncdiv(channels - before - after, i64(lanes)), i64(0)))
    vectors_begin = b.let(tirx.min(before, channels))
    vectors_end = b.let(vectors_begin + vectors * lanes)
    with b.tiles() as row, b.range(0, b.param("width")) as column:
        x = b.let(row * b.param("x_row") + column * b.param("x_pixel"))
        y = b.let(row * b.param("y_row") + column * b.param("y_pixel"))
        with b.range(0, vectors) as v:
            channel = b.let(vectors_begin + v * lanes)
            _normalize(b, lanes, x, y, channel, b.let(channel - before), b.let(channel + after + 1))
        for begin, end in ((i64(0), vectors_begin), (vectors_end, channels)):
            with b.range(begin, end) as channel:
                first = b.let(tirx.max(channel - before, i64(0)))
                _normalize(b, 1, x, y, channel, first, b.let(tirx.min(channel + after + 1, channels)))


def _normalize(b: Builder, lanes: int, x: Value, y: Value, channel: Value, first: Value, last: Value) -> None:
    """`lanes` channels; lane 0 sums the squares of the channels [first, last), each next lane one further."""
    source = b.pointer("x")
    total = Register("float32", lanes, const(0.0, "float32", lanes))
    with b.range(first, last) as c:
        value = b.let(source.load(x + c * 4, "float32", lanes))
        total.set(fma(lanes, value, value, total.get()))
    factor, beta, bias = (b.let(splat(b.param_float(name), lanes)) for name in ("factor", "beta", "bias"))
    base = b.let(fma(lanes, factor, total.get(), bias))
    scale = exp(vectors_of(lanes), fenced(lanes, -beta * log(vectors_of(lanes), base)))
    b.pointer("y").store(y + channel * 4, source.load(x + channel * 4, "float32", lanes) * scale, "float32", lanes)
