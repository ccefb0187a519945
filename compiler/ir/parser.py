"""Reads the printed form of a graph: the inverse of `text.py`, which describes it."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import NoReturn, TypeVar

import numpy as np

from ...errors import EdgeError
from .expr_text import parse_prefix
from .graph import Array, Attr, Graph, Node, Value
from .registry import op_names
from .text import NAME
from .types import Quant, TensorType

_MAX_NESTING = 16
"""Of tuples, and of regions."""


def parse_graph(text: str, constants: Mapping[str, Array] | None = None) -> Graph:
    """Inverse of `print_graph`. EdgeError says in which line the text stops making sense.

    `constants` holds the data of those that the text only names.
    """
    scanner = _Scanner(text)
    try:
        return _Parser(scanner, constants or {}).graph()
    except ValueError as e:  # of a type, a quantization or an expression that cannot be
        scanner.fail(str(e))


class _Scanner:
    """A position in the text."""

    _SPACE = re.compile(r"(?:\s+|#[^\n]*)*")
    _STRING = re.compile(r'"(?:[^"\\\n]|\\.)*"')
    _NUMBER = re.compile(r"[-+]?(?:inf|nan|\d+\.?\d*(?:[eE][-+]?\d+)?)(?![\w.])")
    _WORD = re.compile(r"[A-Za-z_]\w*", re.ASCII)

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def fail(self, message: str) -> NoReturn:
        line = self.text.count("\n", 0, self.at) + 1
        raise EdgeError(f"line {line} of the graph's text: {message}")

    def skip(self) -> None:
        found = self._SPACE.match(self.text, self.at)
        assert found is not None
        self.at = found.end()

    def accept(self, symbol: str) -> bool:
        """Whether `symbol` comes next; it is consumed."""
        self.skip()
        found = self.text.startswith(symbol, self.at)
        self.at += len(symbol) if found else 0
        return found

    def expect(self, symbol: str) -> None:
        if not self.accept(symbol):
            self.fail(f"expected {symbol!r}, found {self.ahead()!r}")

    def ahead(self) -> str:
        return self.text[self.at : self.at + 20].split("\n")[0] or "the end of the text"

    def match(self, pattern: re.Pattern[str]) -> str | None:
        self.skip()
        found = pattern.match(self.text, self.at)
        if found is None:
            return None
        self.at = found.end()
        return found[0]

    def take(self, pattern: re.Pattern[str], what: str) -> str:
        found = self.match(pattern)
        return found if found is not None else self.fail(f"expected {what}, found {self.ahead()!r}")

    def word(self) -> str:
        return self.take(self._WORD, "a word")

    def string(self) -> str | None:
        found = self.match(self._STRING)
        return None if found is None else str(json.loads(found))

    def name(self) -> str:
        quoted = self.string()
        return quoted if quoted is not None else self.take(NAME, "a name")

    def integer(self) -> int:
        value = self.number()
        return value if isinstance(value, int) else self.fail(f"expected an integer, not {value}")

    def number(self) -> int | float:
        found = self.take(self._NUMBER, "a number")
        return float(found) if any(c in found for c in ".eEin") else int(found)


_Item = TypeVar("_Item")


class _Parser:
    """One method a construct of the grammar; each consumes it from the scanner."""

    def __init__(self, scanner: _Scanner, constants: Mapping[str, Array], depth: int = 0) -> None:
        self.s = scanner
        self.constants = constants
        self.depth = depth
        self.values: dict[str, Value] = {}

    def graph(self) -> Graph:
        self.s.expect("graph")
        graph = self.body()
        self.s.skip()
        if self.s.at != len(self.s.text):
            self.s.fail(f"unexpected {self.s.ahead()!r} after the graph")
        return graph

    def body(self) -> Graph:
        """What follows `graph` or `region`."""
        s = self.s
        s.expect("@")
        name = s.name()
        s.expect("(")
        inputs = self.items(self.declaration, ")")
        s.expect("->")
        s.expect("(")
        output_names = self.items(self.value_name, ")")
        s.expect("{")
        nodes = list(self.statements())
        return Graph(name, inputs, [self.known(n) for n in output_names], nodes)

    def statements(self) -> Iterator[Node]:
        while not self.s.accept("}"):
            if self.s.accept("const"):
                self.constant()
            else:
                yield self.node()

    def items(self, item: Callable[[], _Item], close: str) -> list[_Item]:
        """Items separated by commas up to `close`; a comma may follow the last."""
        found: list[_Item] = []
        while not self.s.accept(close):
            found.append(item())
            if not self.s.accept(","):
                self.s.expect(close)
                break
        return found

    def value_name(self) -> str:
        self.s.expect("%")
        return self.s.name()

    def known(self, name: str) -> Value:
        return (
            self.values[name]
            if name in self.values
            else self.s.fail(f"the value %{name} is not defined before its use")
        )

    def declaration(self) -> Value:
        name = self.value_name()
        if name in self.values:
            self.s.fail(f"the value %{name} is defined twice")
        self.s.expect(":")
        self.values[name] = Value(name, self.type())
        return self.values[name]

    def type(self) -> TensorType:
        dtype = self.s.word()
        self.s.expect("[")
        shape = tuple(self.items(self.s.integer, "]"))
        return TensorType(shape, dtype, self.quant() if self.s.accept("q(") else None)

    def quant(self) -> Quant:
        """What follows `q(`."""
        s = self.s
        if not s.accept("scale"):
            scale = s.number()
            s.expect(",")
            quant = Quant.per_tensor(scale, s.integer())
            s.expect(")")
            return quant
        s.expect("=")
        s.expect("[")
        scales = self.items(s.number, "]")
        for symbol in (",", "zero", "=", "["):
            s.expect(symbol)
        zeros = self.items(s.integer, "]")
        for symbol in (",", "axis", "="):
            s.expect(symbol)
        axis = s.integer()
        s.expect(")")
        return Quant(tuple(float(np.float32(x)) for x in scales), tuple(zeros), axis)

    def constant(self) -> None:
        value = self.declaration()
        self.s.expect("=")
        t = value.type
        if self.s.accept("@"):
            name = self.s.name()
            if name not in self.constants:
                self.s.fail(f"the data of the constant @{name} is not given")
            value.data = self.constants[name]
            if value.data.shape != t.shape or value.data.dtype != t.dtype:
                found = f"{value.data.dtype}{list(value.data.shape)}"
                self.s.fail(f"the data of @{name} is {found}, but is declared as {t.dtype}{list(t.shape)}")
            return
        self.s.expect("[")
        elements = self.items(self.element, "]")
        if len(elements) != t.size:
            self.s.fail(f"{len(elements)} elements are given for a constant of {t.size}")
        try:
            value.data = np.array(elements, t.dtype).reshape(t.shape)
        except (OverflowError, TypeError) as e:
            self.s.fail(f"the elements do not fit {t.dtype}: {e}")

    def element(self) -> int | float | bool:
        if self.s.accept("True"):
            return True
        return False if self.s.accept("False") else self.s.number()

    def node(self) -> Node:
        s = self.s
        outputs = [self.declaration()]
        while s.accept(","):
            outputs.append(self.declaration())
        s.expect("=")
        op = s.word()
        if op not in op_names():
            s.fail(f"the IR has no op {op!r}; it has: {', '.join(op_names())}")
        s.expect("(")
        names = self.items(self.value_name, ")")
        inputs = [self.known(n) for n in names]
        if any(v in outputs for v in inputs):
            s.fail(f"{op} reads its own output")
        attrs = dict(self.items(self.attribute, "}")) if s.accept("{") else {}
        name = s.string() or ""
        return Node(op, inputs, outputs, attrs, name, list(self.regions()))

    def regions(self) -> Iterator[Graph]:
        while self.s.accept("region"):
            if self.depth == _MAX_NESTING:
                self.s.fail(f"regions are nested more than {_MAX_NESTING} deep")
            yield _Parser(self.s, self.constants, self.depth + 1).body()

    def attribute(self) -> tuple[str, Attr]:
        name = self.s.word()
        self.s.expect("=")
        return name, self.attr_value(0)

    _LITERALS: Mapping[str, Attr] = {"None": None, "True": True, "False": False}

    def attr_value(self, depth: int) -> Attr:
        s = self.s
        if depth > _MAX_NESTING:
            s.fail(f"tuples are nested more than {_MAX_NESTING} deep")
        if s.accept("("):
            return tuple(self.items(lambda: self.attr_value(depth + 1), ")"))
        if s.accept("q("):
            return self.quant()
        text = s.string()
        if text is not None:
            return text
        number = s.match(s._NUMBER)
        if number is not None:
            return float(number) if any(c in number for c in ".eEin") else int(number)
        start = s.at
        word = s.match(s._WORD)
        if word is not None and word in self._LITERALS:
            return self._LITERALS[word]
        expr, s.at = parse_prefix(s.text, start)
        return expr
