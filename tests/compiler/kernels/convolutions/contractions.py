"""Graphs of convolutions and products for the tests of their kernels: several nodes a graph, so that one program tests
them all."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from edgec.compiler.ir.expr import Expr, In, clip, hard_swish, relu, sigmoid
from edgec.compiler.ir.graph import Array, Attr, Graph, Node, Value, constant
from edgec.compiler.ir.registry import lookup
from edgec.compiler.ir.types import Quant, TensorType
from edgec.compiler.ops.reference import run_node

CLAMPS: tuple[Expr | None, ...] = (None, relu(In(0)), clip(In(0), -0.7, 0.9))
"""Activations of int8."""

ACTIVATIONS: tuple[Expr | None, ...] = (*CLAMPS, hard_swish(In(0)), sigmoid(In(0)))
"""Activations of float32."""


@dataclass(frozen=True)
class Case:
    """A node: its op, shapes and attributes. `weights`: "symmetric" per channel in [-127, 127], "full" with -128,
    "wide" (codes minus a zero point far from the middle: 9 bits), "steps" (`step_codes`, `run_codes`), or "small" in
    [-63, 63].
    `computed`: weights are an input, not a constant.
    `activation`: an index of `CLAMPS` or `ACTIVATIONS`."""

    op: str
    x: tuple[int, ...]
    w: tuple[int, ...]
    channel_axis: int
    attrs: dict[str, Attr] = field(default_factory=dict)
    weights: str = "symmetric"
    bias: bool = True
    residual: bool = False
    activation: int = 0
    seed: int = 0
    computed: bool = False


def step_codes(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """int8 weights OIHW. Those of 8 channels by 4 groups of 4 inputs add up, over the groups, to 0, 255, 256 or 508 in
    size everywhere, or to little but in one place. Signs are equal or random. In seven of ten steps int16 holds all
    sums of products."""
    outputs, inputs, *kernel = shape
    steps = (outputs // 8, inputs // 16, *kernel)
    sizes = np.array([[0, 0, 0, 0], [127, 127, 1, 0], [64, 64, 64, 64], [127, 127, 127, 127], [9, 40, 0, 30]])
    kinds = rng.choice(len(sizes), steps, p=[0.1, 0.3, 0.15, 0.15, 0.3])
    codes = np.empty((outputs // 8, 8, inputs // 16, 4, 4, *kernel), np.int8)  # steps of groups of 4 inputs
    for place in np.ndindex(*steps):
        signs = np.where(rng.random() < 0.5, rng.choice([-1, 1], (8, 4, 4)), rng.choice([-1, 1]))
        block, step, *tap = place
        codes[block, :, step, :, :, *tap] = signs * rng.permutation(sizes[kinds[place]])[:, None]
        if kinds[place] == len(sizes) - 1:
            codes[block, rng.integers(8), step, rng.integers(4), rng.integers(4), *tap] = rng.choice([-127, 127])
    return codes.reshape(shape)


def run_codes(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """int8 weights OIHW of 3 x 3 pixels of 3 inputs: in three of ten rows of 8 channels, those of a channel that are
    added up first, the elements 0, 4 and 8, are 256 in size, else 255. Signs are equal or random."""
    signs = np.where(rng.random(shape) < 0.5, rng.choice([-1, 1], shape), rng.choice([-1, 1]))
    codes = (85 * signs).astype(np.int8)
    for block, row in np.argwhere(rng.random((shape[0] // 8, 3)) < 0.3):
        codes[8 * block + rng.integers(8), 1, row, 1] = rng.choice([-86, 86])
    return codes


def graph_of(cases: Sequence[Case], *, int8: bool) -> tuple[Graph, dict[str, Array]]:
    """A graph of all cases, each with an input and an output of its own, and arrays for the inputs."""
    graph, inputs = Graph("cases", [], []), {}
    for number, case in enumerate(cases):
        builder = _Builder(case, number, int8)
        graph.nodes.append(builder.node)
        graph.outputs.append(builder.node.output)
        for value, array in builder.inputs.items():
            graph.inputs.append(value)
            inputs[value.name] = array
    return graph, inputs


class _Builder:
    """The node of a case, and the arrays that it reads."""

    def __init__(self, case: Case, number: int, int8: bool) -> None:
        self.rng, self.number, self.int8 = np.random.default_rng(case.seed), number, int8
        self.inputs: dict[Value, Array] = {}
        operands = [self.data("x", case.x, Quant.per_tensor(0.03, int(self.rng.integers(-128, 128)))), self.w(case)]
        groups = case.attrs.get("groups", 1) if case.op == "conv_transpose2d" else 1
        assert isinstance(groups, int)
        channels = case.w[case.channel_axis] * groups
        if case.bias or case.residual:
            operands.append(self.bias(channels))
        attrs = dict(case.attrs)
        activations = CLAMPS if int8 else ACTIVATIONS
        attrs["activation"] = activations[case.activation % len(activations)]
        attrs["fixed_point"] = int8 and number % 2 == 0
        node = Node(case.op, operands, [Value(f"y{number}", TensorType((), "float32"))], attrs, f"n{number}")
        (node.output.type,) = lookup(case.op).infer(node)
        shape = node.output.type.shape
        if int8:
            node.output.type = TensorType(shape, "int8", Quant.per_tensor(*self.scale_of(node)))
        if case.residual:
            operands.append(self.data("r", shape, Quant.per_tensor(0.05, 7)))
            node.attrs["residual_activation"] = activations[(case.activation + 1) % len(activations)]
            if int8:
                node.attrs["conv_quant"], node.output.type = (
                    node.output.type.quant,
                    TensorType(shape, "int8", Quant.per_tensor(0.04, -11)),
                )
            node.inputs = operands
        self.node = node

    def data(self, name: str, shape: tuple[int, ...], quant: Quant) -> Value:
        type_ = TensorType(shape, "int8", quant) if self.int8 else TensorType(shape, "float32")
        value = Value(f"{name}{self.number}", type_)
        real = self.rng.normal(size=shape).astype(np.float32)
        self.inputs[value] = self.rng.integers(-128, 128, shape).astype(np.int8) if self.int8 else real
        return value

    def w(self, case: Case) -> Value:
        name, shape = f"w{self.number}", case.w
        if case.computed and (not self.int8 or case.op == "matmul"):
            zero = {"symmetric": 0, "full": int(self.rng.integers(-128, 128)), "wide": -128}[case.weights]
            return self.data("w", shape, Quant.per_tensor(0.01, zero))
        if not self.int8:
            return constant(name, self.rng.normal(size=shape).astype(np.float32))
        codes = self.rng.integers(-127 if case.weights == "symmetric" else -128, 128, shape).astype(np.int8)
        if case.weights == "steps":
            codes = (run_codes if shape[1:] == (3, 3, 3) else step_codes)(self.rng, shape)
        if case.weights == "small":
            codes = self.rng.choice(np.array([-63, 63], np.int8), shape)
        groups = case.attrs.get("groups", 1)
        if case.weights == "wide" or (case.op == "conv_transpose2d" and groups != 1):
            return constant(name, codes, Quant.per_tensor(0.01, -101 if case.weights == "wide" else 0))
        scales = self.rng.uniform(0.002, 0.02, shape[case.channel_axis]).astype(np.float32)
        return constant(name, codes, Quant(tuple(map(float, scales)), (0,) * len(scales), case.channel_axis))

    def bias(self, channels: int) -> Value:
        real = self.rng.normal(size=channels).astype(np.float32)
        return constant(f"b{self.number}", (real * 1000).astype(np.int32) if self.int8 else real)

    def scale_of(self, node: Node) -> tuple[float, int]:
        """A scale that spreads the results over the codes, some of them beyond."""
        node.output.type = TensorType(node.output.type.shape, "int8", Quant.per_tensor(1.0))
        x = self.inputs[node.inputs[0]]
        arrays = [x, *(self.inputs[v] if v.data is None else v.data for v in node.inputs[1:])]
        scale = 0.01
        while scale < 1e6 and np.mean(np.abs(self._codes(node, arrays, scale).astype(int)) >= 127) > 0.1:
            scale *= 1.5
        return scale, int(self.rng.integers(-100, 100))

    def _codes(self, node: Node, arrays: list[Array], scale: float) -> Array:
        node.output.type = TensorType(node.output.type.shape, "int8", Quant.per_tensor(scale))
        return run_node(node, arrays)[0]
