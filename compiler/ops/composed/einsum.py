"""ONNX's Einsum, as diagonals, sums and products of two operands at a time, from left to right."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from math import prod

from ...ir.expr import In, call
from ...ir.graph import Value
from ..builder import Builder
from ..matmul import multiply
from ..onnx_node import OnnxNode, onnx_op
from ..slice import Span, emit_slice, whole

Label = str
"""A letter, or "...n": dimension n, counted from the last one, of what an ellipsis stands for."""


@dataclass(frozen=True)
class _Term:
    """A tensor and the labels of its dimensions, each once."""

    value: Value
    labels: tuple[Label, ...]

    def extent(self, label: Label) -> int:
        """The extent along a label; 1 where there is none."""
        return self.value.type.shape[self.labels.index(label)] if label in self.labels else 1


@onnx_op("Einsum")
def _einsum(b: Builder, node: OnnxNode) -> Value:
    values = [node.input(i) for i in range(len(node.inputs))]
    terms, output = _parse(node.text("equation"), [v.type.rank for v in values])
    operands = [_diagonal(b, v, labels) for v, labels in zip(values, terms, strict=True)]
    _check_extents(operands)
    total = _summed(b, operands[0], _kept(operands[1:], output))
    for number, operand in enumerate(operands[1:], 1):
        kept = _kept(operands[number + 1 :], output)
        operand = _summed(b, operand, {*kept, *total.labels})
        total = _product(b, _summed(b, total, {*kept, *operand.labels}), operand, kept)
    return b.transpose(total.value, [total.labels.index(label) for label in output])


def _parse(equation: str, ranks: Sequence[int]) -> tuple[list[tuple[Label, ...]], tuple[Label, ...]]:
    """The labels of each operand and of the result; without an arrow these are the labels that occur once, sorted."""
    left, arrow, right = equation.replace(" ", "").partition("->")
    texts = left.split(",")
    if len(texts) != len(ranks):
        raise ValueError(f"its equation {equation!r} is about {len(texts)} operands, but it has {len(ranks)}")
    terms = [_labels(text, rank, equation) for text, rank in zip(texts, ranks, strict=True)]
    everywhere = [label for term in terms for label in term]
    broadcast = tuple(sorted({x for x in everywhere if x.startswith("...")}, key=lambda x: -int(x[3:])))
    if arrow:
        output = _labels(right, len(right.replace("...", "")) + len(broadcast) * ("..." in right), equation)
    else:
        output = (*broadcast, *sorted(x for x in set(everywhere) - set(broadcast) if everywhere.count(x) == 1))
    if len(set(output)) != len(output) or not set(output) <= set(everywhere):
        raise ValueError(f"the result of its equation {equation!r} has labels twice, or labels that no operand has")
    return terms, output


def _labels(text: str, rank: int, equation: str) -> tuple[Label, ...]:
    before, dots, after = text.partition("...")
    if not (before + after).isalpha() and before + after:
        raise ValueError(f"its equation {equation!r} has something else than letters, commas, '->' and '...'")
    hidden = rank - len(before) - len(after)
    if hidden < 0 or (hidden and not dots):
        raise ValueError(f"{text!r} in its equation {equation!r} does not fit an operand of {rank} dimensions")
    return (*before, *(f"...{i}" for i in reversed(range(hidden))), *after)


def _diagonal(b: Builder, x: Value, labels: Sequence[Label]) -> _Term:
    """`x` with one dimension a label: where a label occurs again, only elements with equal indices remain."""
    while len(set(labels)) < len(labels):
        second = next(i for i, label in enumerate(labels) if label in labels[:i])
        first = labels.index(labels[second])
        rest = [i for i in range(len(labels)) if i not in (first, second)]
        extent, others = x.type.shape[first], [x.type.shape[i] for i in rest]
        if x.type.shape[second] != extent:
            raise ValueError(f"label {labels[first]!r} stands for {extent} and {x.type.shape[second]} in one operand")
        flat = b.reshape(b.transpose(x, (*rest, first, second)), (*others, extent * extent))
        x = emit_slice(b, flat, [*map(whole, others), Span(0, extent, extent + 1)])
        labels = (*(labels[i] for i in rest), labels[first])
    return _Term(x, tuple(labels))


def _check_extents(operands: Sequence[_Term]) -> None:
    extents: dict[Label, int] = {}
    for term in operands:
        for label in term.labels:
            extent = term.extent(label)
            if extents.get(label, 1) not in (1, extent) and extent != 1:
                raise ValueError(f"label {label!r} stands for extents {extents[label]} and {extent}")
            extents[label] = max(extents.get(label, 1), extent)


def _kept(operands: Sequence[_Term], output: Sequence[Label]) -> set[Label]:
    """The labels that are still needed."""
    return {*output, *(label for term in operands for label in term.labels)}


def _summed(b: Builder, term: _Term, kept: Collection[Label]) -> _Term:
    """Without the labels that are not `kept`."""
    axes = tuple(i for i, label in enumerate(term.labels) if label not in kept)
    if not axes:
        return term
    value = b.emit("reduce", term.value, kind="sum", axes=axes, keepdims=False)
    return _Term(value, tuple(label for label in term.labels if label in kept))


def _product(b: Builder, x: _Term, w: _Term, kept: Collection[Label]) -> _Term:
    """The product, summed over the labels of both that are not `kept`."""
    shared = [label for label in x.labels if label in w.labels]
    contracted = [label for label in shared if label not in kept]
    uneven = [label for label in contracted if x.extent(label) != w.extent(label)]
    if uneven:  # an extent of 1 is repeated: the sum over the other operand comes first
        x, w = (_summed(b, t, [n for n in t.labels if n not in uneven]) for t in (x, w))
        return _product(b, x, w, kept)
    batch = [label for label in shared if label in kept]
    mine, other = ([label for label in t.labels if label not in shared] for t in (x, w))
    order, extents = (*batch, *mine, *other), {n: max(x.extent(n), w.extent(n)) for n in (*x.labels, *w.labels)}
    if not contracted:
        y = b.map(call("mul", In(0), In(1)), _arranged(b, x, order), _arranged(b, w, order))
        return _Term(y, order)
    depth = prod(extents[label] for label in contracted)
    rows, columns = _arranged(b, x, (*batch, *mine, *contracted)), _arranged(b, w, (*batch, *contracted, *other))
    a = b.reshape(rows, (*rows.type.shape[: len(batch)], _count(mine, extents), depth))
    c = b.reshape(columns, (*columns.type.shape[: len(batch)], depth, _count(other, extents)))
    y = multiply(b, a, c)
    return _Term(b.reshape(y, tuple(extents[label] for label in order)), order)


def _count(labels: Sequence[Label], extents: Mapping[Label, int]) -> int:
    return prod(extents[label] for label in labels)


def _arranged(b: Builder, term: _Term, order: Sequence[Label]) -> Value:
    """The term's value with dimensions in the order of these labels, 1 where it has none."""
    own = [label for label in order if label in term.labels]
    moved = b.transpose(term.value, [term.labels.index(label) for label in own])
    return b.reshape(moved, tuple(term.extent(label) for label in order))
