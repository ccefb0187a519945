"""Random graphs of all ops that passes rewrite: each pass keeps the graph valid, and what it computes."""

from collections.abc import Callable

import numpy as np
import pytest

from edgec.compiler.ir.expr import Expr, In, call, clip, relu
from edgec.compiler.ir.graph import Attr, Graph, Node, Value, constant
from edgec.compiler.ir.parser import parse_graph
from edgec.compiler.ir.registry import lookup
from edgec.compiler.ir.text import named_constants, print_graph
from edgec.compiler.ir.types import Quant, TensorType
from edgec.compiler.ir.verify import verify
from edgec.compiler.ops.reference import run_graph
from edgec.passes import absorb_qdq, dce, pipeline

UNARY: list[Expr] = [In(0), relu(In(0)), clip(In(0), -1.0, 1.0), call("mul", In(0), 0.5), call("tanh", In(0))]
BINARY: list[Expr] = [call("add", In(0), In(1)), call("sub", In(0), In(1)), relu(call("add", In(0), In(1)))]


class _Generator:
    """Grows a graph node by node from values made before."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        shapes = [(1, 4, 6, 6), (2, 4, 5, 3), (1, 6, 4, 4)]
        x = Value("x", TensorType(shapes[self.rng.integers(len(shapes))], "float32"))
        self.graph = Graph("random", [x], [])
        self.values = [x]

    def grow(self, nodes: int) -> Graph:
        makers: list[Callable[[Value], None]] = [
            self.unary, self.binary, self.scale, self.conv, self.pool, self.transpose, self.reshape, self.slice,
            self.pad, self.concat, self.softmax, self.reduce, self.matmul, self.shuffle,
        ]  # fmt: skip
        while len(self.graph.nodes) < nodes:
            recent = self.values[-4:]
            makers[self.rng.integers(len(makers))](recent[self.rng.integers(len(recent))])
        read = {v for node in self.graph.nodes for v in node.inputs}
        self.graph.outputs = [v for v in self.values if v not in read or self.rng.random() < 0.05]
        return self.graph

    def emit(self, op: str, *inputs: Value, extents: tuple[int, ...] | None = None, **attrs: Attr) -> Value:
        placeholder = [] if extents is None else [Value("", TensorType(extents, "float32"))]
        (type,) = lookup(op).infer(Node(op, list(inputs), placeholder, dict(attrs)))
        out = Value(f"v{len(self.values)}", type)
        self.graph.nodes.append(Node(op, list(inputs), [out], dict(attrs), f"n{len(self.values)}"))
        self.values.append(out)
        return out

    def constant(self, *shape: int) -> Value:
        data = self.rng.normal(size=shape).astype(np.float32)
        return constant(f"c{self.rng.integers(1 << 60)}", data)

    def unary(self, x: Value) -> None:
        self.emit("map", x, expr=UNARY[self.rng.integers(len(UNARY))])

    def binary(self, x: Value) -> None:
        partners = [v for v in self.values if v.type.shape == x.type.shape]
        self.emit("map", x, partners[self.rng.integers(len(partners))], expr=BINARY[self.rng.integers(len(BINARY))])

    def scale(self, x: Value) -> None:
        if x.type.rank == 0:
            return
        axis = self.rng.integers(x.type.rank)
        shape = [d if i == axis else 1 for i, d in enumerate(x.type.shape)]
        drop = self.rng.integers(axis + 1)
        c, d = self.constant(*shape[drop:]), self.constant(*shape)
        self.emit("map", x, c, d, expr=call("add", call("mul", In(0), In(1)), In(2)))

    def conv(self, x: Value) -> None:
        if x.type.rank != 4 or min(x.type.shape[2:]) < 3:
            return
        channels = x.type.shape[1]
        pad = int(self.rng.integers(2))
        attrs: dict[str, Attr] = {"pads": (pad,) * 4}
        if self.rng.random() < 0.3:
            w, attrs["groups"] = self.constant(channels, 1, 3, 3), channels
        else:
            w = self.constant(int(self.rng.integers(2, 7)), channels, 3, 3)
        biases = [self.constant(w.type.shape[0])] if self.rng.random() < 0.5 else []
        self.emit("conv2d", x, w, *biases, extents=None, **attrs)

    def pool(self, x: Value) -> None:
        if x.type.rank == 4 and min(x.type.shape[2:]) >= 2:
            self.emit(("max_pool2d", "avg_pool2d")[self.rng.integers(2)], x, kernel=(2, 2))

    def transpose(self, x: Value) -> None:
        self.emit("transpose", x, perm=tuple(int(p) for p in self.rng.permutation(x.type.rank)))

    def reshape(self, x: Value) -> None:
        """Join two neighbours, or split one dimension."""
        shape = list(x.type.shape)
        at = int(self.rng.integers(max(len(shape), 1)))
        if self.rng.random() < 0.5 and at + 1 < len(shape):
            shape[at : at + 2] = [shape[at] * shape[at + 1]]
        elif shape and len(shape) < 6:
            shape[at : at + 1] = [2, shape[at] // 2] if shape[at] % 2 == 0 else [1, shape[at]]
        self.emit("reshape", x, shape=tuple(shape))

    def slice(self, x: Value) -> None:
        starts = tuple(int(self.rng.integers(max(1, d // 2))) for d in x.type.shape)
        extents = tuple(d - s for d, s in zip(x.type.shape, starts, strict=True))
        self.emit("slice", x, extents=extents, starts=starts, steps=(1,) * x.type.rank)

    def pad(self, x: Value) -> None:
        if x.type.size < 2000:
            self.emit("pad", x, pads=tuple(int(p) for p in self.rng.integers(2, size=2 * x.type.rank)))

    def concat(self, x: Value) -> None:
        partners = [v for v in self.values if v.type.shape == x.type.shape]
        if x.type.rank and x.type.size < 2000:
            other = partners[self.rng.integers(len(partners))]
            self.emit("concat", x, other, axis=int(self.rng.integers(x.type.rank)))

    def softmax(self, x: Value) -> None:
        if x.type.rank:
            self.emit("softmax", x, axis=int(self.rng.integers(x.type.rank)))

    def reduce(self, x: Value) -> None:
        if x.type.rank:
            axes = tuple(i for i in range(x.type.rank) if self.rng.random() < 0.4)
            keepdims = bool(self.rng.random() < 0.7)
            self.emit("reduce", x, kind=("mean", "max")[self.rng.integers(2)], axes=axes, keepdims=keepdims)

    def matmul(self, x: Value) -> None:
        if x.type.rank >= 2:
            self.emit("matmul", x, self.constant(x.type.shape[-1], 3))

    def shuffle(self, x: Value) -> None:
        if x.type.rank == 4 and x.type.shape[1] % 2 == 0:
            n, c, h, w = x.type.shape
            a = self.emit("reshape", x, shape=(n, 2, c // 2, h, w))
            b = self.emit("transpose", a, perm=(0, 2, 1, 3, 4))
            self.emit("reshape", b, shape=(n, c, h, w))


@pytest.mark.parametrize("seed", range(25))
def test_every_pass_keeps_the_values(seed: int) -> None:
    graph = _Generator(seed).grow(18)
    verify(graph)
    x = {"x": np.random.default_rng(seed).normal(size=graph.inputs[0].type.shape).astype(np.float32)}
    expected = run_graph(graph, x)
    names = [v.name for v in graph.outputs]
    for step in (*pipeline.FLOAT, *pipeline.LATE):
        text, constants = print_graph(graph), named_constants(graph)
        changed = step(graph)
        verify(graph)
        assert [v.name for v in graph.outputs] == names
        if not changed:
            assert print_graph(graph) == text
        for name, array in run_graph(graph, x).items():
            bound = 1e-4 * max(1.0, float(np.abs(expected[name]).max(initial=0)))
            where = f"{name} after {pipeline.pass_name(step)} of {print_graph(parse_graph(text, constants))}"
            np.testing.assert_allclose(array, expected[name], atol=bound, rtol=0, err_msg=where)


@pytest.mark.parametrize("seed", range(25))
def test_late_passes_keep_every_byte_of_a_quantized_graph(seed: int) -> None:
    graph = _Generator(seed).grow(18)
    x = {"x": np.random.default_rng(seed).normal(size=graph.inputs[0].type.shape).astype(np.float32)}
    _quantize_dequantize(graph, run_graph(graph, x, all_values=True))
    verify(graph)
    simulated = run_graph(graph, x)
    pipeline.run_pipeline(graph, pipeline.FLOAT, verify=True)
    absorb_qdq.run(graph)
    dce.run(graph)
    verify(graph)
    contractions = [n for n in graph.nodes if n.op in ("conv2d", "matmul")]
    assert all(n.output.type.quant is not None for n in contractions)
    absorbed = run_graph(graph, x)
    for name, array in absorbed.items():
        steps = np.abs(array - simulated[name]) * 127 / max(float(np.abs(simulated[name]).max(initial=0)), 1e-6)
        assert np.mean(steps) < 5, name
    for step in pipeline.LATE[1:]:
        step(graph)
        verify(graph)
        for name, array in run_graph(graph, x).items():
            np.testing.assert_array_equal(array, absorbed[name], err_msg=f"{name} after {pipeline.pass_name(step)}")


def _quantize_dequantize(graph: Graph, values: dict[str, np.ndarray]) -> None:
    """Round every value to int8 and back as a quantizer of ONNX models does; weights become int8 constants."""
    nodes: list[Node] = []
    rounded: dict[Value, Value] = {}

    def round_trip(v: Value) -> None:
        quant = Quant.per_tensor(max(float(np.abs(values[v.name]).max(initial=0)), 1e-3) / 120, len(nodes) % 7 - 3)
        q, real = Value(f"{v.name}_q", TensorType(v.type.shape, "int8", quant)), Value(f"{v.name}_dq", v.type)
        nodes.extend([Node("map", [v], [q], {"expr": In(0)}), Node("map", [q], [real], {"expr": In(0)})])
        rounded[v] = real

    round_trip(graph.inputs[0])
    for node in graph.nodes:
        if node.op in ("conv2d", "matmul"):
            w = node.inputs[1]
            assert w.data is not None
            axis = 0 if node.op == "conv2d" else 1
            scale = np.abs(w.data).max(axis=tuple(i for i in range(w.type.rank) if i != axis), keepdims=True) / 127
            quant = Quant(tuple(float(np.float32(s)) for s in scale.reshape(-1)), (0,) * scale.size, axis)
            codes = constant(f"{node.name}_w", np.rint(w.data / scale).astype(np.int8), quant)
            rounded[w] = Value(f"{node.name}_wf", w.type)
            nodes.append(Node("map", [codes], [rounded[w]], {"expr": In(0)}))
        node.inputs = [rounded.get(v, v) for v in node.inputs]
        nodes.append(node)
        round_trip(node.output)
    graph.nodes = nodes
    graph.outputs = [rounded[v] for v in graph.outputs]
