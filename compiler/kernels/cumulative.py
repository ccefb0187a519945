"""`cumulative` along the middle of dense [outer, count, inner]: running sums or products, in order.

A tile is `chunk` of the inner elements of one outer index: tiles = outer * chunks.
"""

from dataclasses import dataclass

from .emit.builder import BITS, Builder, Value, const, define
from .emit.isa import Isa
from .emit.tir import tirx

OPERANDS = ("x", "y")


@dataclass(frozen=True)
class CumulativeSpec:
    """Which member of the family: `kind` is sum or prod. From the end with `step` = -1 and `first` = count - 1, else 1
    and 0. `exclusive`: an element is what comes before it."""

    kind: str
    dtype: str
    exclusive: bool
    params: tuple[str, ...] = ("count", "inner", "chunk", "chunks", "first", "step")

    @property
    def symbol(self) -> str:
        """The kernel's name in plans, symbols and profiles."""
        return f"{self.dtype}_cumulative_{self.kind}" + ("_exclusive" if self.exclusive else "")


def build(spec: CumulativeSpec, isa: Isa) -> object:
    """The TIR function of `spec` on `isa`."""
    return define(spec.symbol, OPERANDS, spec.params, lambda b: _body(b, spec))


def _body(b: Builder, spec: CumulativeSpec) -> None:
    x, y, size = b.pointer("x"), b.pointer("y"), BITS[spec.dtype] // 8
    inner, count = b.param("inner"), b.param("count")
    back = b.let(b.param("step") * inner * size)
    neutral = b.let(const(int(spec.kind == "prod"), spec.dtype))
    with b.tiles() as t:
        outer = b.let(tirx.truncdiv(t, b.param("chunks")))
        begin = b.let(tirx.truncmod(t, b.param("chunks")) * b.param("chunk"))
        width = b.let(tirx.min(b.param("chunk"), inner - begin))
        start = b.let(((outer * count + b.param("first")) * inner + begin) * size)
        with b.range(0, width) as e:
            at = b.let(start + e * size)
            y.store(at, neutral if spec.exclusive else x.load(at, spec.dtype), spec.dtype)
        with b.range(1, count) as j:
            row = b.let(start + j * back)
            with b.range(0, width) as e:
                at = b.let(row + e * size)
                before = b.let(y.load(at - back, spec.dtype))
                new = b.let(x.load(at - back if spec.exclusive else at, spec.dtype))
                y.store(at, _joined(spec, before, new), spec.dtype)


def _joined(spec: CumulativeSpec, total: Value, new: Value) -> Value:
    return total + new if spec.kind == "sum" else total * new
