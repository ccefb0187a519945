"""`gather`: rows of bytes by number, [outer, extent, row] -> [outer, indices, row].

An index outside [0, extent) selects the nearest row that exists. A tile is `tile_rows` rows of one outer index:
tiles = outer * chunks, chunks = ceil(indices / tile_rows).
"""

from dataclasses import dataclass

from .emit.builder import BITS, Builder, define, i64
from .emit.isa import Isa
from .emit.memory import copy_run
from .emit.tir import tirx

OPERANDS = ("x", "w", "y")


@dataclass(frozen=True)
class GatherSpec:
    """`w` holds the indices, int32 or int64: weights, an input or a computed tensor. `element`: the bytes of a row that
    is one element (1, 2, 4 or 8); 0 for rows of any length."""

    index_dtype: str
    element: int = 0
    params: tuple[str, ...] = (
        "extent", "indices", "tile_rows", "chunks", "row_bytes", "x_outer", "x_step", "y_outer", "y_step",
    )  # fmt: skip

    @property
    def symbol(self) -> str:
        """The kernel's name in plans, symbols and profiles."""
        row = f"x{8 * self.element}_gather_element" if self.element else "x8_gather"
        return row + {"int32": "_s32", "int64": "_s64"}[self.index_dtype]


def build(spec: GatherSpec, isa: Isa) -> object:
    """The TIR function of `spec` on `isa`."""
    return define(spec.symbol, OPERANDS, spec.params, lambda b: _body(b, spec))


def _body(b: Builder, spec: GatherSpec) -> None:
    x, w, y = (b.pointer(name) for name in OPERANDS)
    with b.tiles() as t:
        outer = b.let(tirx.truncdiv(t, b.param("chunks")))
        first = b.let(tirx.truncmod(t, b.param("chunks")) * b.param("tile_rows"))
        source, target = b.let(outer * b.param("x_outer")), b.let(outer * b.param("y_outer"))
        with b.range(first, tirx.min(first + b.param("tile_rows"), b.param("indices"))) as i:
            index = i64(w.load(i * (BITS[spec.index_dtype] // 8), spec.index_dtype))
            index = b.let(tirx.max(tirx.min(index, b.param("extent") - 1), i64(0)))
            to, origin = b.let(target + i * b.param("y_step")), b.let(source + index * b.param("x_step"))
            if spec.element:
                dtype = f"int{8 * spec.element}"
                y.store(to, x.load(origin, dtype), dtype)
            else:
                copy_run(b, y, to, x, origin, b.param("row_bytes"))
