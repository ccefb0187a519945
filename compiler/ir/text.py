"""The printed form of a graph, which `parser.py` reads; the tests of passes are written in this text.

    graph @name(%x: float32[1,3,8,8]) -> (%y) {
      const %w: int8[16,3,3,3] q(scale=[...], zero=[...], axis=0) = @w
      const %b: int32[2] = [5, 1]
      %y: int8[1,16,8,8] q(0.02, -3) = conv2d(%x, %w, %b) {pads=(1, 1, 1, 1), activation=max(%0, 0.0)} "Conv_0"
    }

A node's regions follow it, each as `region @name(...) -> (...) { ... }`.

Constants of up to 16 elements stand in the text, larger ones (`@w`) are passed to the parser by name. Attributes that
have the default of the op's schema are not printed. Names that are not made of letters, digits and `_ . / -` are quoted
as in JSON. `#` starts a comment.
"""

import json
import re
from collections.abc import Iterator

import numpy as np

from .expr import Call, Const, In
from .expr_text import to_text
from .graph import Array, Attr, Graph, Node, Value
from .registry import REQUIRED, lookup
from .types import Quant, TensorType

INLINE_ELEMENTS = 16
"""The largest constant whose data is part of the text."""

NAME = re.compile(r"[\w./-]+", re.ASCII)
"""A name that needs no quotes."""


def print_graph(graph: Graph) -> str:
    """The graph as text, ending in a newline."""
    return "\n".join(_lines(graph, "graph", "")) + "\n"


def _lines(graph: Graph, what: str, path: str) -> Iterator[str]:
    """The graph's lines; `path` is what the names of constants begin with."""
    inputs = ", ".join(f"{_value(v)}: {_type(v.type)}" for v in graph.inputs)
    outputs = ", ".join(_value(v) for v in graph.outputs)
    yield f"{what} @{_name(graph.name)}({inputs}) -> ({outputs}) {{"
    for v in graph.values():
        if v.data is not None:
            yield f"  const {_value(v)}: {_type(v.type)} = {_data(path + v.name, v.data)}"
    for node in graph.nodes:
        yield "  " + _node(node)
        for region, inner in _regions(node, path):
            yield from ("    " + line for line in _lines(region, "region", inner))
    yield "}"


def _regions(node: Node, path: str) -> Iterator[tuple[Graph, str]]:
    """The node's regions, and what the names of their constants begin with: those in the text are unique."""
    for index, region in enumerate(node.regions):
        yield region, f"{path}{node.outputs[0].name}/{index}/"


def named_constants(graph: Graph) -> dict[str, Array]:
    """The constants that are too large for the text: what `parse_graph` needs beside it."""
    return dict(_named_constants(graph, ""))


def _named_constants(graph: Graph, path: str) -> Iterator[tuple[str, Array]]:
    for v in graph.values():
        if v.data is not None and v.data.size > INLINE_ELEMENTS:
            yield path + v.name, v.data
    for node in graph.nodes:
        for region, inner in _regions(node, path):
            yield from _named_constants(region, inner)


def _name(name: str) -> str:
    return name if NAME.fullmatch(name) else json.dumps(name)


def _value(value: Value) -> str:
    return "%" + _name(value.name)


def _type(t: TensorType) -> str:
    text = f"{t.dtype}[{','.join(map(str, t.shape))}]"
    return text if t.quant is None else f"{text} {_quant(t.quant)}"


def _quant(q: Quant) -> str:
    scales = [str(np.float32(s)) for s in q.scale]
    if q.axis is None:
        return f"q({scales[0]}, {q.zero_point[0]})"
    return f"q(scale=[{', '.join(scales)}], zero=[{', '.join(map(str, q.zero_point))}], axis={q.axis})"


def _data(name: str, data: Array) -> str:
    if data.size > INLINE_ELEMENTS:
        return "@" + _name(name)
    return f"[{', '.join(str(e) for e in data.reshape(-1))}]"


def _node(node: Node) -> str:
    outputs = ", ".join(f"{_value(v)}: {_type(v.type)}" for v in node.outputs)
    text = f"{outputs} = {node.op}({', '.join(map(_value, node.inputs))})"
    defaults = lookup(node.op).attrs
    attrs = [f"{k}={_attr(v)}" for k, v in node.attrs.items() if k not in defaults or not _is_default(v, defaults[k])]
    if attrs:
        text += f" {{{', '.join(attrs)}}}"
    return f"{text} {json.dumps(node.name)}" if node.name else text


def _is_default(value: Attr, default: object) -> bool:
    return default is not REQUIRED and type(value) is type(default) and value == default


def _attr(value: Attr) -> str:
    if isinstance(value, In | Const | Call):
        return to_text(value)
    if isinstance(value, Quant):
        return _quant(value)
    if isinstance(value, str):
        return json.dumps(value)
    if isinstance(value, tuple):
        return f"({', '.join(map(_attr, value))}{',' if len(value) == 1 else ''})"
    return repr(value)
