"""The one way passes change a graph: edits that keep uses, names and the order of the nodes in step, each in O(1).

An `Editor` is made once a pass (O(nodes)), `nodes()` walks the graph while edits happen, `commit()` rebuilds
the node list (O(nodes)) and says whether anything changed.
"""

from collections.abc import Iterator, Sequence

from ..compiler.ir.graph import Array, Attr, Graph, Node, Value, constant
from ..compiler.ir.types import Quant, TensorType


class Editor:
    """A graph under rewriting. Nodes made by a pass are placed with `insert` or `insert_after`."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self._users: dict[Value, dict[Node, None]] = {}
        self._outputs = set(graph.outputs)
        self._names: set[str] = set()
        self._suffix: dict[str, int] = {}
        self._dead: set[Node] = set()
        self._before: dict[Node, list[Node]] = {}
        self._after: dict[Node, list[Node]] = {}
        self._end: list[Node] = []
        self._modified = False
        for value in graph.values():
            self._names.add(value.name)
        for node in graph.nodes:
            self._note_uses(node)

    def nodes(self) -> Iterator[Node]:
        """The nodes that stood in the graph at first, in order, without those erased meanwhile."""
        return (node for node in self.graph.nodes if node not in self._dead)

    def reversed_nodes(self) -> Iterator[Node]:
        """As `nodes`, last one first."""
        return (node for node in reversed(self.graph.nodes) if node not in self._dead)

    def users(self, value: Value) -> list[Node]:
        """The nodes that read `value`, each once."""
        return list(self._users.get(value, ()))

    def is_output(self, value: Value) -> bool:
        """Whether `value` is an output of the graph."""
        return value in self._outputs

    def only_user(self, value: Value) -> Node | None:
        """The node that alone reads `value`; None if there are several, none, or the graph gives it out."""
        users = self._users.get(value, {})
        return next(iter(users)) if len(users) == 1 and value not in self._outputs else None

    def set_inputs(self, node: Node, inputs: Sequence[Value]) -> None:
        """Make `node` read `inputs`."""
        for value in node.inputs:
            self._users.get(value, {}).pop(node, None)
        node.inputs = list(inputs)
        self._note_uses(node)
        self._modified = True

    def set_attrs(self, node: Node, **attrs: Attr) -> None:
        """Change attributes of `node`; None removes one."""
        for name, value in attrs.items():
            if value is None:
                node.attrs.pop(name, None)
            else:
                node.attrs[name] = value
        self._modified = True

    def become(self, node: Node, op: str, **attrs: Attr) -> None:
        """Make `node` another operation on the same inputs and output."""
        node.op, node.attrs = op, dict(attrs)
        self._modified = True

    def erase(self, node: Node) -> None:
        """Remove `node`; nothing may read its outputs any more."""
        for value in node.inputs:
            self._users.get(value, {}).pop(node, None)
        self._dead.add(node)
        self._modified = True

    def take_output(self, node: Node, later: Node) -> None:
        """`node` computes what `later` computed, under its name and type; `later` goes."""
        self.erase(later)
        node.outputs = list(later.outputs)
        for out in node.outputs:
            out.producer = node

    def replace(self, old: Value, new: Value) -> Value | None:
        """Make all readers of `old` read `new`, and erase the producer of `old`; the value that stays.

        A graph output keeps its name: then `new`'s producer computes `old`. None, and no change, where that is
        impossible because `new` must keep its own (an input, a constant or another output).
        """
        assert old.type == new.type and old.producer is not None
        producer = old.producer
        if old in self._outputs:
            if new in self._outputs or new.producer is None:
                return None
            self.erase(producer)
            new.producer.outputs = [old if v is new else v for v in new.producer.outputs]
            old.producer = new.producer
            self._redirect(new, old)
            return old
        self._redirect(old, new)
        self.erase(producer)
        return new

    def insert(self, before: Node, node: Node) -> Node:
        """Place a new node directly before another."""
        self._before.setdefault(before, []).append(node)
        return self._placed(node)

    def insert_after(self, after: Node, node: Node) -> Node:
        """Place a new node directly after another (and after those placed there before)."""
        self._after.setdefault(after, []).append(node)
        return self._placed(node)

    def append(self, node: Node) -> Node:
        """Place a new node at the end of the graph."""
        self._end.append(node)
        return self._placed(node)

    def value(self, hint: str, type: TensorType) -> Value:
        """A new value, named `hint` or, if that is taken, `hint_1`, `hint_2` ..."""
        return Value(self._fresh(hint), type)

    def constant(self, hint: str, data: Array, quant: Quant | None = None) -> Value:
        """A new constant; its type is that of `data`."""
        return constant(self._fresh(hint), data, quant)

    def revised(self, node: Node, old: Value, data: Array, quant: Quant | None = None) -> Value:
        """A constant for `node` to read instead of the constant `old`; it has its name if nothing else reads that."""
        if all(user is node for user in self._users.get(old, ())):
            return constant(old.name, data, quant)
        return self.constant(old.name, data, quant)

    def commit(self) -> bool:
        """Write the edits into the graph's node list; whether there were any."""
        if self._modified:
            nodes: list[Node] = []
            for node in self.graph.nodes:
                self._emit(node, nodes)
            self.graph.nodes = nodes + self._end
        return self._modified

    def _emit(self, node: Node, nodes: list[Node]) -> None:
        for earlier in self._before.get(node, ()):
            self._emit(earlier, nodes)
        if node not in self._dead:
            nodes.append(node)
        for later in self._after.get(node, ()):
            self._emit(later, nodes)

    def _placed(self, node: Node) -> Node:
        self._note_uses(node)
        self._modified = True
        return node

    def _note_uses(self, node: Node) -> None:
        for value in node.inputs:
            self._users.setdefault(value, {})[node] = None

    def _redirect(self, old: Value, new: Value) -> None:
        for node in self.users(old):
            self.set_inputs(node, [new if v is old else v for v in node.inputs])

    def _fresh(self, hint: str) -> str:
        name = hint
        while name in self._names:
            self._suffix[hint] = self._suffix.get(hint, 0) + 1
            name = f"{hint}_{self._suffix[hint]}"
        self._names.add(name)
        return name
