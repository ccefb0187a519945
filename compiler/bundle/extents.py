"""Extents that are known when a model runs only, as tables that the runtime evaluates (`shapes.c`).

Symbols and the terms over them are *values*, each computed once however often it is used; fix-ups say where in the
steps and parameters they go.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from random import Random

from ..ir.extent import Op, Symbol, Term, bounds_of, evaluate, term_of
from ..lower.plan import Control, Plan, Port
from .c_text import array

MASKS = 24
"""Bits that tell measured symbols apart; more of them share."""


class Place(IntEnum):
    """Kinds of places that a value goes to. The values are part of the runtime's plan format."""

    PARAM = 0
    TILES = 1
    OFFSET = 2


@dataclass(frozen=True)
class Dim:
    """An extent of a port's shape that is value number `value`."""

    port: int
    axis: int
    value: int


@dataclass(frozen=True)
class _Use:
    """A value, the bounds that it must keep, and what it is for."""

    value: int
    low: int
    high: int
    where: str


@dataclass(frozen=True)
class _Fixup:
    place: Place
    index: int
    value: int


class Extents:
    """Collects the extents of a plan. `of` numbers them, `fix` also writes down where they go, and the bounds there."""

    def __init__(self, plan: Plan) -> None:
        measured = {step.target for step in plan.steps if step.control == Control.MEASURE}
        numbers = {index: 1 << number % MASKS for number, index in enumerate(sorted(measured))}
        self._symbols = plan.symbols
        self._masks = [numbers.get(index, 0) for index in range(len(plan.symbols))]
        self._nodes: list[Op | int] = []  # terms after the symbols; of an Op, both sides are numbers of values
        self._fixups: list[_Fixup] = []
        self._uses: list[_Use] = []
        self._symbol_at = {symbol: index for index, symbol in enumerate(plan.symbols)}
        self._node_at: dict[Op | int, int] = {}
        self._op_at: dict[int, tuple[Op, int]] = {}  # by identity: terms share parts, and comparing them is slow
        self.inputs = self._dims("input", plan.inputs)
        self.outputs = self._dims("output", plan.outputs)
        for dim in self.inputs:
            if dim.value >= len(plan.symbols) or self._masks[dim.value]:
                port = plan.inputs[dim.port].name
                raise ValueError(f"dimension {dim.axis} of input {port!r} is not a symbol that its shape can set")

    def of(self, number: int) -> int | None:
        """The value that `number` is in a run, or None where it is a constant."""
        term = term_of(number)
        return None if isinstance(term, int) else self._value(term)

    def fix(self, place: Place, index: int, number: int, bounds: tuple[int, int], where: str) -> None:
        """Notes that `number` goes to a place, where it must stay within `bounds`. Constants stand there already."""
        value = self.of(number)
        if value is not None:
            self._fixups.append(_Fixup(place, index, value))
            self._use(number, value, bounds, where)

    def check(self) -> None:
        """ValueError where a value is found to leave its bounds: a fault of lowering."""
        for values in (*self._ends(), *self._samples()) if self._uses else ():
            for use in self._uses:
                if not use.low <= values[use.value] <= use.high:
                    raise ValueError(f"{use.where} can be {values[use.value]}; it must be {use.low} to {use.high}")

    @property
    def counts(self) -> tuple[int, int]:
        """Numbers of values and of inputs' dimensions."""
        return len(self._symbols) + len(self._nodes), len(self.inputs)

    def tables(self) -> list[str]:
        """The tables as C, the last of which is `shapes`."""
        first = len(self._symbols)
        order = sorted(range(len(self._nodes)), key=lambda i: self._mask(first + i) != 0)
        renumbered = {first + old: first + new for new, old in enumerate(order)}

        def value(old: int) -> int:
            return renumbered.get(old, old)

        def term(index: int) -> str:
            node, mask = self._nodes[index], self._mask(first + index)
            if isinstance(node, int):
                return f"{{EDGE_TERM_INT, {node % 2**32}u, {(node >> 32) % 2**32}u}}"
            left, right = (value(side) for side in _sides(node))
            return f"{{EDGE_TERM_{node.fn.upper()} | {mask}u << 8, {left}, {right}}}"

        def dims(of: Sequence[Dim]) -> list[str]:
            return [f"{{{dim.port}, {dim.axis}, {value(dim.value)}}}" for dim in of]

        fixups = sorted(self._fixups, key=lambda fixup: self._mask(fixup.value) != 0)
        counts = [first, len(order), len(fixups), len(self.inputs), len(self.outputs)]
        counts.append(sum(self._mask(first + index) == 0 for index in order))
        counts.append(sum(self._mask(fixup.value) == 0 for fixup in fixups))
        symbols = [
            f"{{{symbol.low}, {_highest(symbol)}, {symbol.step}, {mask}u}}"
            for symbol, mask in zip(self._symbols, self._masks, strict=False)
        ]
        return [
            array("edge_symbol", "symbols", symbols),
            array("edge_term", "terms", [term(index) for index in order]),
            array("edge_fixup", "fixups", [f"{{{f.place}u << 30 | {f.index}u, {value(f.value)}}}" for f in fixups]),
            array("edge_dim", "input_dims", dims(self.inputs)),
            array("edge_dim", "output_dims", dims(self.outputs)),
            "static const edge_shape_table shapes = {",
            f"    &edge_shape_calls, {', '.join(map(str, counts))}, symbols, terms, fixups, input_dims, output_dims,",
            "};",
        ]

    def _dims(self, kind: str, ports: Sequence[Port]) -> list[Dim]:
        dims = []
        for index, port in enumerate(ports):
            for axis, extent in enumerate(port.type.shape):
                value = self.of(extent)
                if value is not None:
                    dims.append(Dim(index, axis, value))
                    self._use(extent, value, (0, int(extent)), f"dimension {axis} of {kind} {port.name!r}")
        return dims

    def _use(self, number: int, value: int, bounds: tuple[int, int], where: str) -> None:
        low, high = bounds_of(number)
        if low < bounds[0] or high > bounds[1]:  # or so it seems: these bounds may be too wide
            self._uses.append(_Use(value, *bounds, where))

    def _mask(self, value: int) -> int:
        return self._masks[value]

    def _value(self, term: Term) -> int:
        """The number of a term. Terms may be deep and share parts: they are neither walked recursively nor compared."""
        pending = [term]
        while pending:
            current = pending[-1]
            if isinstance(current, Op) and id(current) not in self._op_at:
                sides = [side for side in (current.left, current.right) if self._known(side) is None]
                if sides:
                    pending += sides
                    continue
                left, right = self._known(current.left), self._known(current.right)
                assert left is not None and right is not None
                self._op_at[id(current)] = current, self._node(Op(current.fn, left, right))
            pending.pop()
        value = self._known(term)
        assert value is not None
        return value

    def _known(self, term: Term) -> int | None:
        if isinstance(term, Op):
            found = self._op_at.get(id(term))
            return None if found is None else found[1]
        if isinstance(term, Symbol):
            if term not in self._symbol_at:
                raise ValueError(f"symbol {term.name!r} is not one of the plan's")
            return self._symbol_at[term]
        return self._node(int(term))

    def _node(self, node: Op | int) -> int:
        if node not in self._node_at:
            self._node_at[node] = len(self._symbols) + len(self._nodes)
            self._nodes.append(node)
            left, right = (0, 0) if isinstance(node, int) else (self._masks[side] for side in _sides(node))
            self._masks.append(left | right)
        return self._node_at[node]

    def _ends(self) -> Iterator[list[int]]:
        """All values with every symbol at its lowest, at its highest, and each alone at the other end."""
        low, high = [s.low for s in self._symbols], [_highest(s) for s in self._symbols]
        points = [low, high]
        for index in range(len(self._symbols)) if len(self._symbols) > 1 else ():
            points.append([*low[:index], high[index], *low[index + 1 :]])
            points.append([*high[:index], low[index], *high[index + 1 :]])
        return map(self._evaluate, points)

    def _samples(self, count: int = 64) -> Iterator[list[int]]:
        """All values with the symbols somewhere in their ranges."""
        random = Random(0)
        for _ in range(count):
            yield self._evaluate([random.randrange(s.low, s.high + 1, s.step) for s in self._symbols])

    def _evaluate(self, symbols: Sequence[int]) -> list[int]:
        values = list(symbols)
        for node in self._nodes:
            if isinstance(node, int):
                values.append(node)
                continue
            left, right = (values[side] for side in _sides(node))
            values.append(evaluate(Op(node.fn, left, right), {}))
        return values


def _highest(symbol: Symbol) -> int:
    """Its highest value, which `high` need not be."""
    return symbol.low + (symbol.count - 1) * symbol.step


def _sides(node: Op) -> tuple[int, int]:
    assert isinstance(node.left, int) and isinstance(node.right, int)
    return node.left, node.right


def term_text(term: Term, depth: int = 4) -> str:
    """The term as people write it; what lies deeper is left out."""
    if isinstance(term, Symbol):
        return term.name[:64]
    if not isinstance(term, Op):
        return str(int(term))
    if depth == 0:
        return "..."
    left, right = term_text(term.left, depth - 1), term_text(term.right, depth - 1)
    return f"min({left}, {right})" if term.fn == "min" else f"({left} {_SIGNS[term.fn]} {right})"


_SIGNS = {"add": "+", "sub": "-", "mul": "*", "div": "//"}
"""And min: all functions of terms in normal form, and all that the runtime knows."""


def extent_text(extent: int) -> str:
    """An extent as headers and messages show it: `3`, `1..8`, `32..640/32`, or at most as large as `..20`."""
    term = term_of(extent)
    if isinstance(term, Symbol):
        return f"{term.low}..{_highest(term)}" + (f"/{term.step}" if term.step != 1 else "")
    return str(int(extent)) if isinstance(term, int) else f"..{int(extent)}"
