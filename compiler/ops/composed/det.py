"""ONNX's Det: determinants of small matrices, imported as maps."""

from itertools import combinations

from ...ir.expr import Expr, In, call
from ...ir.graph import Value
from ..builder import Builder
from ..onnx_node import OnnxNode, onnx_op
from ..slice import Span, emit_slice, everything

LARGEST = 6
"""Rows of a matrix: the minors of more would be hundreds of maps."""


@onnx_op("Det")
def _det(b: Builder, node: OnnxNode) -> Value:
    """Laplace's expansion, row by row from the last: every minor of the rows below is computed once."""
    x = node.input(0)
    n = x.type.shape[-1] if x.type.rank >= 2 else 0
    if not 1 <= n <= LARGEST or x.type.shape[-2] != n:
        raise ValueError(f"it takes square matrices of at most {LARGEST} rows, not {list(x.type.shape)}")
    batch = x.type.shape[:-2]

    def entry(row: int, column: int) -> Value:
        place = [*everything(x)[:-2], Span(row, 1), Span(column, 1)]
        return b.reshape(emit_slice(b, x, place), batch)

    minors: dict[tuple[int, ...], Value] = {(c,): entry(n - 1, c) for c in range(n)}
    for row in reversed(range(n - 1)):
        entries = [entry(row, c) for c in range(n)]
        larger = {}
        for columns in combinations(range(n), n - row):
            total: Expr | None = None
            inputs: list[Value] = []
            for i, column in enumerate(columns):
                inputs += [entries[column], minors[columns[:i] + columns[i + 1 :]]]
                term = call("mul", In(2 * i), In(2 * i + 1))
                total = term if total is None else call("sub" if i % 2 else "add", total, term)
            assert total is not None
            larger[columns] = b.map(total, *inputs)
        minors = larger
    return minors[tuple(range(n))]
