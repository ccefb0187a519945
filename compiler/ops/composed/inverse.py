"""ONNX Runtime's Inverse: inverses of small matrices, imported as maps."""

from collections.abc import Sequence

from ...ir.expr import Expr, In, call
from ...ir.graph import Value
from ..builder import Builder
from ..onnx_node import MICROSOFT, OnnxNode, onnx_op
from ..slice import Span, emit_slice, everything

LARGEST = 4
"""Rows of a matrix. More need pivots to be accurate."""


@onnx_op("Inverse", domain=MICROSOFT)
def _inverse(b: Builder, node: OnnxNode) -> Value:
    """The adjugate over the determinant; a singular matrix gives infinities and NaN."""
    x = node.input(0)
    n = x.type.shape[-1] if x.type.rank >= 2 else 0
    if x.type.dtype != "float32" or not 1 <= n <= LARGEST or x.type.shape[-2] != n:
        raise ValueError(f"it takes square float32 matrices of at most {LARGEST} rows, not {list(x.type.shape)}")
    if n == 1:
        return b.map(call("div", 1.0, In(0)), x)
    rows = range(n)
    entries = [[emit_slice(b, x, [*everything(x)[:-2], Span(i, 1), Span(j, 1)]) for j in rows] for i in rows]
    cofactors = [[_cofactor(b, entries, i, j) for j in rows] for i in rows]
    expanded = _sum([call("mul", In(2 * j), In(2 * j + 1)) for j in rows])
    determinant = b.map(expanded, *(v for pair in zip(entries[0], cofactors[0], strict=True) for v in pair))
    quotient = call("div", In(0), In(1))
    lines = [[b.map(quotient, cofactors[j][i], determinant) for j in rows] for i in rows]
    joined = [b.emit("concat", *line, axis=x.type.rank - 1) for line in lines]
    return b.emit("concat", *joined, axis=x.type.rank - 2)


def _cofactor(b: Builder, entries: Sequence[Sequence[Value]], row: int, column: int) -> Value:
    """The determinant of what is left without `row` and `column`, negated where their sum is odd."""
    kept = [[v for j, v in enumerate(line) if j != column] for i, line in enumerate(entries) if i != row]
    n = len(kept)
    minor = _determinant([[In(n * i + j) for j in range(n)] for i in range(n)])
    values = [v for line in kept for v in line]
    return b.map(call("neg", minor) if (row + column) % 2 else minor, *values)


def _determinant(cells: Sequence[Sequence[Expr]]) -> Expr:
    """Laplace's expansion along the first row."""
    if len(cells) == 1:
        return cells[0][0]
    minors = [[[*line[:j], *line[j + 1 :]] for line in cells[1:]] for j in range(len(cells))]
    terms = [call("mul", cell, _determinant(minor)) for cell, minor in zip(cells[0], minors, strict=True)]
    return _sum([call("neg", term) if j % 2 else term for j, term in enumerate(terms)])


def _sum(terms: Sequence[Expr]) -> Expr:
    total = terms[0]
    for term in terms[1:]:
        total = call("add", total, term)
    return total
