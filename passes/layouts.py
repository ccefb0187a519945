"""Values stored with their dimensions in another order than the model says.

A *form* of a value v is a pair (perm, s): the tensor s = transpose(v, perm) exists in the graph. `Layouts` knows the
forms of every value and makes missing ones on demand, each once. A pass walks the nodes in order, asks `get` for
operands in the order that suits a node, and tells by `put` how the result is stored.
"""

from collections.abc import Sequence

from ..compiler.ir.graph import Node, Value
from ..compiler.ir.types import Quant, TensorType
from .editor import Editor

Perm = tuple[int, ...]
"""Dimension i of what is stored is dimension perm[i] of the value."""


class Layouts:
    """The forms of all values of a graph under rewriting."""

    def __init__(self, editor: Editor) -> None:
        self._editor = editor
        self._forms: dict[Value, dict[Perm, Value]] = {}
        self._renamed: set[Value] = set()

    def perms(self, value: Value) -> list[Perm]:
        """The orders in which `value` exists; first the one it was computed in."""
        return list(self._forms.get(value, {identity(value.type.rank): value}))

    def get(self, value: Value, perm: Perm, before: Node | None) -> Value:
        """`value` stored in the order `perm`; what that takes is placed before `before`, or at the end for None."""
        forms = self._forms.setdefault(value, {identity(value.type.rank): value})
        if perm not in forms:
            forms[perm] = self._make(value, perm, before)
        return forms[perm]

    def put(self, value: Value, node: Node, perm: Perm) -> None:
        """`node`, rewritten, computes `value` in the order `perm`, and in no other."""
        if perm == identity(value.type.rank):
            return
        type = permuted(value.type, perm)
        if self._editor.is_output(value):
            stored = self._editor.value(f"{value.name}_permuted", type)
        else:
            # The model's name goes to what is computed; nothing else is called so any more.
            stored = Value(value.name, type)
            self._renamed.add(value)
        node.outputs = [stored if v is value else v for v in node.outputs]
        stored.producer = node
        self._forms[value] = {perm: stored}

    def alias(self, value: Value, source: Value, perm: Perm) -> None:
        """`value` = transpose(`source`, `perm`) without any work: each form of the source is one of `value`."""
        self._forms[value] = {
            tuple(perm.index(axis) for axis in order): self.get(source, order, None) for order in self.perms(source)
        }

    def give_out(self, value: Value) -> None:
        """See to it that the graph's output `value` itself exists."""
        order = identity(value.type.rank)
        stored = self.get(value, order, None)
        if stored is not value:  # It was only another name for something: `simplify` removes the copy where it can.
            self._editor.append(Node("transpose", [stored], [value], {"perm": order}))

    def _make(self, value: Value, perm: Perm, before: Node | None) -> Value:
        if value.data is not None:
            quant = _permuted_quant(value.type.quant, perm)
            data = value.data.transpose(perm)
            if before is None:
                return self._editor.constant(value.name, data, quant)
            return self._editor.revised(before, value, data, quant)
        order, source = next(iter(self._forms[value].items()))
        moves = tuple(order.index(axis) for axis in perm)
        if perm == identity(value.type.rank) and value not in self._renamed:
            out = value
        else:
            out = self._editor.value(f"{value.name}_permuted", permuted(value.type, perm))
        # What only moves extents of one is rewritten to a reshape by `simplify`.
        node = Node("transpose", [source], [out], {"perm": moves}, value.producer.name if value.producer else "")
        if before is None:
            self._editor.append(node)
        else:
            self._editor.insert(before, node)
        return out


def identity(rank: int) -> Perm:
    """The order in which the model says the dimensions."""
    return tuple(range(rank))


def permuted(type: TensorType, perm: Perm) -> TensorType:
    """The type of transpose(v, perm)."""
    return TensorType(tuple(type.shape[p] for p in perm), type.dtype, _permuted_quant(type.quant, perm))


def permute(items: Sequence[int], perm: Perm) -> tuple[int, ...]:
    """One entry per dimension, in the order they are stored."""
    return tuple(items[p] for p in perm)


def _permuted_quant(quant: Quant | None, perm: Perm) -> Quant | None:
    if quant is None or quant.axis is None:
        return quant
    return Quant(quant.scale, quant.zero_point, perm.index(quant.axis))
