import contextlib
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import edgec.compiler.ops  # noqa: F401  (fills the op registry)
from edgec import EdgeError
from edgec.compiler.ir.expr import In, relu
from edgec.compiler.ir.graph import Graph, Node, Value, constant
from edgec.compiler.ir.parser import parse_graph
from edgec.compiler.ir.text import named_constants, print_graph
from edgec.compiler.ir.types import Quant, TensorType

GOLDEN = """\
graph @"a net"(%x: int8[1,3,8,8] q(0.02, -3), %"odd \\"name\\"": float32[]) -> (%y, %z) {
  const %w: int8[16,3,3,3] q(scale=[0.1, 0.2, 0.1, 0.2, 0.1, 0.2, 0.1, 0.2, 0.1, 0.2, 0.1, 0.2, 0.1, 0.2, 0.1, 0.2], \
zero=[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], axis=0) = @w
  const %mask: bool[2] = [True, False]
  const %k: float32[3] = [0.5, inf, -1e-07]
  %y: int8[1,16,4,4] q(0.5, 0) = conv2d(%x, %w) {strides=(2, 2), pads=(1, 1, 1, 1), activation=max(%0, 0.0)} "Conv/0"
  %z: float32[3] = map(%"odd \\"name\\"", %mask, %k) {expr=add(%0, %2)}
}
"""


def large():
    return {"w": np.zeros((16, 3, 3, 3), np.int8)}


def test_golden_text_is_what_is_printed():
    graph = parse_graph(GOLDEN, large())
    assert print_graph(graph) == GOLDEN
    assert list(named_constants(graph)) == ["w"]


def test_what_the_text_means():
    graph = parse_graph(GOLDEN, large())
    conv, add = graph.nodes
    assert (graph.name, conv.op, conv.name, add.name) == ("a net", "conv2d", "Conv/0", "")
    assert conv.attrs == {"strides": (2, 2), "pads": (1, 1, 1, 1), "activation": relu(In(0))}
    assert conv.output.type == TensorType((1, 16, 4, 4), "int8", Quant.per_tensor(0.5))
    assert conv.inputs[1].type.quant is not None and conv.inputs[1].type.quant.scale[1] == float(np.float32(0.2))
    assert add.inputs[2].data is not None and add.inputs[2].data.tolist() == [0.5, np.inf, float(np.float32(-1e-7))]
    assert graph.outputs == [conv.output, add.output] and conv.output.producer is conv


def test_comments_and_spaces_do_not_matter():
    text = "# a comment\ngraph@g(%x:float32[2],)->(%y){%y:float32[2]=map(%x){expr=neg( %0 )# one more\n}\n}"
    assert "map(%x) {expr=neg(%0)}" in print_graph(parse_graph(text))


def test_defaults_are_not_printed():
    text = "graph @g(%x: float32[1,1,4,4]) -> (%y) { %y: float32[1,1,2,2] = max_pool2d(%x) {ATTRS} }"
    attrs = 'kernel=(2, 2), strides=(2, 2), pads=(0, 0, 0, 0), dilations=(1, 1), layout="NCHW"'
    assert "{kernel=(2, 2), strides=(2, 2)}" in print_graph(parse_graph(text.replace("ATTRS", attrs)))


@settings(max_examples=100, deadline=None, derandomize=True)
@given(name=st.text(), node_name=st.text(), scale=st.floats(2.0**-100, 2.0**100, width=32), zero=st.integers(-128, 127))
def test_any_name_round_trips(name, node_name, scale, zero):
    x = Value(name, TensorType((), "int8", Quant.per_tensor(scale, zero)))
    node = Node("reshape", [x], [Value(name + "'", x.type)], {"shape": ()}, node_name)
    text = print_graph(Graph(name, [x], [node.output], [node]))
    parsed = parse_graph(text)
    assert (parsed.name, parsed.inputs[0].name, parsed.nodes[0].name) == (name, name, node_name)
    assert parsed.inputs[0].type == x.type
    assert print_graph(parsed) == text


@pytest.mark.parametrize("dtype", ["float32", "float16", "float64", "int64", "uint8", "bool"])
def test_inline_constants_are_exact(dtype):
    data = (np.random.default_rng(0).normal(size=(2, 3)) * 100).astype(dtype)
    node = Node("reshape", [constant("c", data)], [Value("y", TensorType((6,), dtype))], {"shape": (6,)})
    parsed = parse_graph(print_graph(Graph("g", [], [node.output], [node])))
    assert parsed.nodes[0].inputs[0].data is not None
    np.testing.assert_array_equal(parsed.nodes[0].inputs[0].data, data)


HEAD = "graph @g(%x: float32[2]) -> (%y) {\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1 .* expected 'graph', found 'the end"),
        (HEAD + "%y: float32[2] = map(%x) {expr=neg(%0)}", "line 2 .* expected '%'"),
        (HEAD + "%y: float32[2] = map(%z) {expr=neg(%0)}\n}", "line 2 .* %z is not defined before its use"),
        (HEAD + "%x: float32[2] = map(%x) {expr=neg(%0)}\n}", "line 2 .* %x is defined twice"),
        (HEAD + "%y: float32[2] = map(%y) {expr=neg(%0)}\n}", "line 2 .* its own output"),
        (HEAD + "%y: float32[2] = frob(%x)\n}", "line 2 .* no op 'frob'"),
        (HEAD + "%y: float31[2] = map(%x)\n}", "line 2 .* unknown dtype 'float31'"),
        (HEAD + "%y: float32[-2] = map(%x)\n}", "line 2 .* negative extent"),
        (HEAD + "%y: float32[2] = map(%x) {expr=neg(%0, %0)}\n}", "line 2 .* takes 1 arguments"),
        (HEAD + "const %c: float32[2] = @c\n}", "line 2 .* the data of the constant @c is not given"),
        (HEAD + "const %c: float32[2] = [1]\n}", "line 2 .* 1 elements are given for a constant of 2"),
        (HEAD + "const %c: int8[1] = [300]\n}", "line 2 .* do not fit int8"),
        (HEAD + "%y: int8[2] q(0.0, 0) = map(%x)\n}", "line 2 .* finite and positive"),
        (HEAD + "%y: float32[2] = map(%x) {expr=" + "(" * 50 + "}", "line 2 .* nested more than"),
        (HEAD + "}", "%y is not defined"),
        (HEAD.replace("%y", "%x") + "} more", "unexpected 'more'"),
    ],
)
def test_malformed_text_names_the_line(text, message):
    with pytest.raises(EdgeError, match=message):
        parse_graph(text)


def test_constants_must_be_what_is_declared():
    with pytest.raises(EdgeError, match=re.escape("the data of @w is int8[2], but is declared as int8[16, 3, 3, 3]")):
        parse_graph(GOLDEN, {"w": np.zeros(2, np.int8)})


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.data())
def test_mutated_text_parses_or_is_refused(data):
    """Never another exception than EdgeError."""
    text = GOLDEN
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(text)))
        text = (
            text[:at]
            + data.draw(st.sampled_from(["", "(", ")", "%", "q(", "9" * 30, '"', "-", "[", ",", "neg(", "\n"]))
            + text[at + data.draw(st.integers(0, 3)) :]
        )
    with contextlib.suppress(EdgeError):
        print_graph(parse_graph(text, large()))
