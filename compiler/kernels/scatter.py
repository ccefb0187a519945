"""`scatter`: rows by number, put into [extent, row] or combined with what is there; y holds the data already.

Rows are taken in order, so later ones win; an index outside [0, extent) is skipped. A tile is `chunk` elements of all
rows (tiles = chunks of a row): no two tiles write the same place.
"""

from dataclasses import dataclass

from .emit.builder import BITS, Builder, Value, define, i64
from .emit.isa import Isa
from .emit.tir import tirx

OPERANDS = ("w", "x", "y")


@dataclass(frozen=True)
class ScatterSpec:
    """`w` holds the indices (int32 or int64), `x` the rows, dense. `dtype`: of the elements; where `reduction` is none,
    the integer of their size."""

    index_dtype: str
    dtype: str
    reduction: str
    params: tuple[str, ...] = ("extent", "indices", "row", "chunk")

    @property
    def symbol(self) -> str:
        """The kernel's name in plans, symbols and profiles."""
        return f"{self.dtype}_scatter_{self.reduction}_{self.index_dtype}"


def build(spec: ScatterSpec, isa: Isa) -> object:
    """The TIR function of `spec` on `isa`."""
    return define(spec.symbol, OPERANDS, spec.params, lambda b: _body(b, spec))


def _body(b: Builder, spec: ScatterSpec) -> None:
    w, x, y = (b.pointer(name) for name in OPERANDS)
    size, row = BITS[spec.dtype] // 8, b.param("row")
    with b.tiles() as t:
        begin = b.let(t * b.param("chunk"))
        count = b.let(tirx.min(b.param("chunk"), row - begin))
        with b.range(0, b.param("indices")) as i:
            place = b.let(i64(w.load(i * (BITS[spec.index_dtype] // 8), spec.index_dtype)))
            with b.when(tirx.And(place >= 0, place < b.param("extent"))):
                source, target = b.let((i * row + begin) * size), b.let((place * row + begin) * size)
                with b.range(0, count) as e:
                    new = b.let(x.load(source + e * size, spec.dtype))
                    if spec.reduction != "none":
                        new = _joined(spec, b.let(y.load(target + e * size, spec.dtype)), new)
                    y.store(target + e * size, new, spec.dtype)


def _joined(spec: ScatterSpec, old: Value, new: Value) -> Value:
    """The smaller or larger of two is NaN if one is."""
    if spec.reduction == "add":
        return old + new
    if spec.reduction == "mul":
        return old * new
    keeps = old < new if spec.reduction == "min" else old > new
    if spec.dtype.startswith("float"):
        keeps = tirx.Or(keeps, tirx.isnan(old))
    return tirx.Select(keeps, old, new)
