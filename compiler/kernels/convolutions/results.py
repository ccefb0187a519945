"""From the sums of a register tile of a dense convolution to its results in memory."""

from collections.abc import Callable, Sequence
from functools import partial

from ..emit.builder import BITS, Builder, Pointer, Register, Value, bitcast, cast, const, i64, shuffle
from ..emit.floating import lanes_of
from ..emit.isa import Isa, Tile
from ..emit.literals import Literals
from ..emit.quantization import OFFSET
from .contraction import ContractionSpec, store_partial
from .epilogue import Epilogue, FloatEpilogue, HalfEpilogue, Int8Epilogue, stored, stored_rows

IN_FLIGHT = 2
"""Vectors whose float32 functions are computed side by side: those of more take more registers than there are."""


class Results:
    """Of all rows over the blocks whose weights begin at `w_blocks`."""

    def __init__(
        self, b: Builder, spec: ContractionSpec, isa: Isa, tile: Tile, epilogue: Epilogue, w_blocks: Sequence[Value]
    ) -> None:
        self._b, self._spec, self._isa, self._tile, self._epilogue = b, spec, isa, tile, epilogue
        epilogue.prepare(b.pointer("w"), *w_blocks)

    def store(
        self, terms: Sequence[Value], aux: tuple[Pointer, Sequence[Value | None]],
        y: tuple[Pointer, Sequence[Value]],
    ) -> None:  # fmt: skip
        """The rows of y begin at their offsets, and so do those of `aux` where it is a residual. `terms`: what rows
        have that is added to their sums, or is their scale; or nothing."""
        b, spec, tile, epilogue = self._b, self._spec, self._tile, self._epilogue
        if tile.mixed and isinstance(epilogue, Int8Epilogue) and not terms:
            pairs = [(tile.row_pair(r), aux[1][r : r + 2]) for r in range(0, tile.rows, 2)]
            codes = [epilogue.mixed(sums, aux[0], at) for sums, at in pairs]
            if spec.table:
                codes = _looked_up(b, self._isa, aux[0], codes)
            stores = [store for pair in codes for store in stored_rows(pair)]
        else:
            rows = [tile.row(r) for r in range(tile.rows)]
            if terms:
                rows = [_with_term(spec, self._isa, tile, row, term) for row, term in zip(rows, terms, strict=True)]
            if isinstance(epilogue, FloatEpilogue):
                rows = [epilogue.biased(row) for row in rows]
            if isinstance(epilogue, FloatEpilogue | HalfEpilogue) and not spec.narrow:
                literals = spec.literals(self._isa)
                if literals is not None or (tile.in_turns and spec.curved):
                    turns = Turns(b, epilogue, self._isa.in_turn if spec.scaled else tile.in_turn, literals)
                    for row, r_at, y_at in zip(rows, aux[1], y[1], strict=True):
                        turns.finish(row, (aux[0], r_at), (y[0], y_at))
                    return
                if spec.calls and isinstance(epilogue, FloatEpilogue):
                    _finish_in_loop(b, self._isa, epilogue, rows, aux, y)
                    return
            if spec.residual and isinstance(epilogue, Int8Epilogue) and not spec.narrow:
                self._add(epilogue, rows, aux, y)
                return
            if spec.table and isinstance(epilogue, Int8Epilogue):
                stores = [*map(stored, _looked_up(b, self._isa, aux[0], [*map(epilogue.codes, rows)]))]
            else:
                stores = [epilogue.finish(row, aux[0], at) for row, at in zip(rows, aux[1], strict=True)]
        if spec.narrow:
            element = BITS[spec.y_dtype] // 8
            store_partial(b, y[0], y[1], stores, tile.columns * element, element)
        else:
            for at, store in zip(y[1], stores, strict=True):
                store(y[0], at)

    def _add(
        self, epilogue: Int8Epilogue, rows: Sequence[Sequence[Value]],
        residual: tuple[Pointer, Sequence[Value | None]], y: tuple[Pointer, Sequence[Value]],
    ) -> None:  # fmt: skip
        """Step by step, as registers do not hold what all rows need for all steps: first the codes of all rows, then a
        row is stored when the next one has begun, whose residual has been loaded before, so that neither waits."""
        others = epilogue.others(residual[0], residual[1][0])
        rows = [self._tile.in_turn(epilogue.differences(row)) for row in rows]
        begun: list[Callable[[], None]] = []
        for row, r_next, y_at in zip(rows, [*residual[1][1:], None], y[1], strict=True):
            row, loaded = self._tile.in_turn(row), others
            if r_next is not None:
                others = epilogue.others(residual[0], r_next)
            store = epilogue.add(row, loaded)
            for finish in begun:
                finish()
            begun = [partial(store, y[0], y_at)]
        for finish in begun:
            finish()


class Turns:
    """Rows of floats that are finished one after the other: each behind what has been stored, and of float32 functions
    `IN_FLIGHT` vectors at a time, in the registers that the others' sums leave. `in_turn`: as of `Tile`; `literals`:
    what the functions compute with, if they have any."""

    def __init__(
        self, b: Builder, epilogue: FloatEpilogue | HalfEpilogue, in_turn: Callable[[Sequence[Value]], Sequence[Value]],
        literals: Literals | None,
    ) -> None:  # fmt: skip
        self._b, self._epilogue, self._in_turn, self._literals = b, epilogue, in_turn, literals
        self._zero = Register("int64", 1, i64(0))  # as for `Literals.vectors`

    def finish(self, row: Sequence[Value], aux: tuple[Pointer, Value | None], y: tuple[Pointer, Value]) -> None:
        """The results of a row's sums, to their offset in y; that in `aux` is the residual's."""
        literals = self._literals
        together = IN_FLIGHT if literals is not None and literals.dtype == "float32" else len(row)
        for first in range(0, len(row), together):
            sums, at = self._in_turn(row[first : first + together]), first * 16  # bytes of a vector, as of literals
            vectors = literals.vectors(self._b, self._zero, len(sums)) if literals is not None else ()
            place = None if aux[1] is None else aux[1] + at
            self._epilogue.finish(sums, aux[0], place, vectors)(y[0], y[1] + at)


def _looked_up(b: Builder, isa: Isa, table: Pointer, codes: Sequence[Value]) -> list[Value]:
    """The entries of int8 vectors of one length, as many at a time as a register holds."""
    lanes, width = lanes_of(codes[0]), 4 * isa.lanes
    together = max(1, width // lanes)
    parts = [codes[first : first + together] for first in range(0, len(codes), together)]
    whole = [b.let(shuffle([*part, *[part[-1]] * (together - len(part))], range(width))) for part in parts]
    found = [b.let(v) for v in isa.look_up(table, b.opaque(i64(0)), whole)]
    return [b.let(shuffle([v], range(i * lanes, (i + 1) * lanes))) for v in found for i in range(together)][
        : len(codes)
    ]


def _with_term(spec: ContractionSpec, isa: Isa, tile: Tile, sums: Sequence[Value], term: Value) -> list[Value]:
    """The sums of a pixel with what its row has."""
    if spec.scaled and spec.scaling == "offset" and tile.gathers:  # the bits of floats
        start = bitcast(const(OFFSET, "int32", isa.lanes), "float32", isa.lanes)
        return [(bitcast(v, "float32", isa.lanes) - start) * term for v in sums]
    if spec.scaled:
        return [cast(v, "float32", isa.lanes) * term for v in sums]
    return [v + term for v in sums]


def _finish_in_loop(
    b: Builder, isa: Isa, epilogue: FloatEpilogue, sums: Sequence[Sequence[Value]],
    residual: tuple[Pointer, Sequence[Value | None]], y: tuple[Pointer, Sequence[Value]],
) -> None:  # fmt: skip
    """The rows of a tile through memory: in a loop over them, the many constants of functions stay in registers."""
    step, lanes = isa.lanes * 4, isa.lanes
    together = min(IN_FLIGHT, len(sums[0]))
    parts = range(0, len(sums[0]), together)
    rounds = len(sums) * len(parts)
    scratch, places = b.stack(rounds * together * step), b.stack(rounds * 16)
    for r, (row, *offsets) in enumerate(zip(sums, y[1], residual[1], strict=True)):
        for v, value in enumerate(row):
            scratch.store(i64((r * len(row) + v) * step), value, "float32", lanes)
        for p, first in enumerate(parts):
            for i, offset in enumerate(offsets):
                if offset is not None:
                    places.store(i64((r * len(parts) + p) * 16 + i * 8), offset + first * step, "int64")
    with b.range(0, rounds) as number:
        target, other = (b.let(places.load(number * 16 + i * 8, "int64")) for i in range(2))
        for v in range(together):
            value = b.let(scratch.load((number * together + v) * step, "float32", lanes))
            added = None if residual[1][0] is None else residual[0].load(other + v * step, "float32", lanes)
            y[0].store(target + v * step, b.let(epilogue.result(value, added)), "float32", lanes)
