"""What lowering refuses, and in which words."""

import numpy as np
import pytest

import edgec.compiler.ops  # noqa: F401  (fills the op registry)
from edgec.compiler.ir.expr import In, call
from edgec.compiler.ir.graph import Attr, Graph, Node, Value, constant
from edgec.compiler.ir.registry import lookup
from edgec.compiler.ir.types import Quant, TensorType
from edgec.compiler.lower.lower import lower
from edgec.errors import EdgeError
from edgec.targets.registry import find


def value(name: str, *shape: int, dtype: str = "float32", quant: Quant | None = None) -> Value:
    return Value(name, TensorType(shape, dtype, quant))


def graph_of(op: str, *inputs: Value, extents: tuple[int, ...] = (), **attrs: Attr) -> Graph:
    node = Node(op, list(inputs), [value("y", *extents)], attrs, "the_node")
    (node.output.type,) = lookup(op).infer(node)
    return Graph("g", [v for v in inputs if not v.is_const], [node.output], [node])


def refused(graph: Graph) -> str:
    with pytest.raises(EdgeError) as error:
        lower(graph, find("arm64-neon"))
    assert "\n" not in str(error.value)
    return str(error.value)


def weights(*shape: int, dtype: str = "float32") -> Value:
    return constant("w", np.ones(shape, dtype))


def test_empty_tensors() -> None:
    message = refused(graph_of("slice", value("x", 4), extents=(0,), starts=(0,), steps=(1,)))
    assert "the_node" in message and "'y'" in message and "[0]" in message


def test_computed_int8_weights_with_a_zero_point() -> None:
    quant = Quant.per_tensor(0.5, 3)
    x, w = value("x", 1, 4, 4, 3, dtype="int8", quant=quant), value("w", 2, 3, 1, 1, dtype="int8", quant=quant)
    assert "'w'" in refused(graph_of("conv2d", x, w, layout="NHWC"))


def test_computed_bias() -> None:
    graph = graph_of("conv2d", value("x", 1, 4, 4, 3), weights(2, 3, 1, 1), value("bias", 2), layout="NHWC")
    assert "'bias'" in refused(graph)


def test_element_types_without_kernels() -> None:
    message = refused(graph_of("matmul", value("x", 2, 3, dtype="float64"), weights(3, 4, dtype="float64")))
    assert "float64" in message and "float32, float16, int8" in message


def test_scales_per_channel_of_activations() -> None:
    quant = Quant((0.1, 0.2), (0, 0), axis=1)
    assert "per channel" in refused(graph_of("map", value("x", 4, 2, dtype="int8", quant=quant), expr=In(0)))


def test_numbers_beyond_32_bits() -> None:
    message = refused(graph_of("map", value("x", 70000, 70000), expr=call("neg", In(0))))
    assert "the_node" in message and "32 bits" in message


def test_very_many_steps() -> None:
    channels = 80000
    graph = graph_of(
        "conv2d", value("x", 1, 1, 1, channels), weights(channels, 2, 1, 1), groups=channels // 2, layout="NHWC"
    )
    assert "steps" in refused(graph)


def test_more_memory_than_there_is() -> None:
    x = value("x", 1, 1024, 1024, 400)
    graph = Graph("g", [x], [])
    parts = []
    for i in range(12):
        part = value(f"part{i}", *x.type.shape)
        graph.nodes.append(Node("map", [x], [part], {"expr": call("add", In(0), float(i))}, f"n{i}"))
        parts.append(part)
    total = value("y", *x.type.shape)
    expr = In(0)
    for i in range(1, len(parts)):
        expr = call("add", expr, In(i))  # type: ignore[assignment]
    graph.nodes.append(Node("map", parts, [total], {"expr": expr}, "sum"))
    graph.outputs = [total]
    assert "MiB" in refused(graph)
