import numpy as np
import pytest

import edgec.compiler.ops  # noqa: F401  (fills the op registry)
from edgec.compiler.ir.graph import Graph, Value
from edgec.compiler.ir.parser import parse_graph
from edgec.compiler.ir.types import Quant, TensorType
from edgec.compiler.ir.verify import VerifyError, verify

TEXT = """
graph @g(%x: float32[1,2,4,4], %q: int8[4] q(0.1, 0)) -> (%y, %p) {
  const %w: float32[1,2,1,1] = [1.0, 2.0]
  %c: float32[1,1,4,4] = conv2d(%x, %w) "Conv_1"
  %y: float32[1,1,4,4] = map(%c) {expr=max(%0, 0.0)} "Relu_2"
  %p: int8[4] q(0.2, 0) = map(%q) {expr=neg(%0)} "Neg_3"
}
"""


@pytest.fixture
def graph() -> Graph:
    return parse_graph(TEXT)


def test_a_good_graph_passes(graph):
    verify(graph)


def retype(value: Value, **changes: object) -> None:
    fields = {"shape": value.type.shape, "dtype": value.type.dtype, "quant": value.type.quant} | changes
    value.type = TensorType(**fields)  # type: ignore[arg-type]


def swap_nodes(graph):
    graph.nodes[:2] = graph.nodes[1::-1]


def rename(graph):
    graph.nodes[1].output.name = "c"


def drop(graph):
    del graph.nodes[0]


def unknown_op(graph):
    graph.nodes[1].op = "relu"


def unknown_attr(graph):
    graph.nodes[0].attrs["stride"] = (1, 1)


def missing_attr(graph):
    del graph.nodes[1].attrs["expr"]


def wrong_attr_type(graph):
    graph.nodes[0].attrs["strides"] = (1.5, 1)


def wrong_attr_value(graph):
    graph.nodes[0].attrs["layout"] = "CHWN"


def wrong_shape(graph):
    retype(graph.nodes[0].output, shape=(1, 1, 4, 5))


def wrong_dtype(graph):
    retype(graph.nodes[1].output, dtype="int32")


def float_conv_quantized(graph):
    retype(graph.nodes[0].output, dtype="int8", quant=Quant.per_tensor(0.1))


def zero_point(graph):
    retype(graph.nodes[2].output, quant=Quant.per_tensor(0.1, 200))


def quantized_float(graph):
    retype(graph.nodes[2].output, dtype="float32")


def constant_data(graph):
    graph.nodes[0].inputs[1].data = np.zeros((1, 2, 1, 2), np.float32)


def no_output(graph):
    graph.outputs.append(Value("z", TensorType((), "float32")))


def producer(graph):
    graph.nodes[0].output.producer = graph.nodes[1]


def twice(graph):
    graph.nodes.append(graph.nodes[0])


def too_few_inputs(graph):
    graph.nodes[0].inputs.pop()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (swap_nodes, "map node 'Relu_2' computing %y: it reads %c, which no earlier node computes"),
        (rename, "two values are called %c"),
        (drop, "it reads %c"),
        (unknown_op, "relu node 'Relu_2' .* the IR has no op 'relu'"),
        (unknown_attr, "no attribute 'stride'; its attributes are strides, pads"),
        (missing_attr, "attribute 'expr' is missing"),
        (wrong_attr_type, "'strides' is .* but must be a tuple of 2 integers"),
        (wrong_attr_value, "'layout' is 'CHWN', but must be one of NCHW, NHWC"),
        (wrong_shape, "%c has the type .* but the op gives"),
        (wrong_dtype, "%y has the type .* but the op gives"),
        (float_conv_quantized, "%c has the type"),
        (zero_point, "zero point of %p is outside the range of int8"),
        (quantized_float, "%p is quantized but of dtype float32"),
        (constant_data, "the constant %w holds"),
        (no_output, "computes its output %z"),
        (producer, "names another node as its producer"),
        (twice, "has been defined before"),
        (too_few_inputs, "it has 1 inputs, but takes 2 to 4"),
    ],
)
def test_each_rule(graph, damage, message):
    damage(graph)
    with pytest.raises(VerifyError, match=message):
        verify(graph)


def test_a_residual_needs_its_quantization():
    text = """
    graph @g(%x: int8[1,2,4,4] q(0.1, 0), %r: int8[1,1,4,4] q(0.1, 0)) -> (%y) {
      const %w: int8[1,2,1,1] q(0.1, 0) = [1, 2]
      const %b: int32[1] = [0]
      %y: int8[1,1,4,4] q(0.1, 0) = conv2d(%x, %w, %b, %r)
    }
    """
    with pytest.raises(VerifyError, match="conv_quant must be given"):
        verify(parse_graph(text))
    verify(parse_graph(text.replace("%r)\n", "%r) {conv_quant=q(0.2, 1)}\n")))


def test_quantized_activations_are_clamps():
    text = """
    graph @g(%x: int8[1,2,4,4] q(0.1, 0)) -> (%y) {
      const %w: int8[1,2,1,1] q(0.1, 0) = [1, 2]
      %y: int8[1,1,4,4] q(0.1, 0) = conv2d(%x, %w) {activation=neg(%0)}
    }
    """
    with pytest.raises(VerifyError, match="must be a clamp"):
        verify(parse_graph(text))
