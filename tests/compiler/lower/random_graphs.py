"""Random small graphs of every op that lowering knows, float32 or int8, in the model's own layout (NCHW)."""

from collections.abc import Callable, Sequence
from math import prod
from typing import TypeVar

import numpy as np

from edgec.compiler.ir.expr import Expr, In, call, clip, hard_swish, relu, sigmoid
from edgec.compiler.ir.graph import Array, Attr, Graph, Node, Value, constant
from edgec.compiler.ir.registry import lookup
from edgec.compiler.ir.types import Quant, TensorType
from edgec.compiler.ops import quantized
from edgec.compiler.ops.reference import run_node

T = TypeVar("T")

LARGEST = 6000
"""Elements of a tensor beyond which it is not made larger."""

SHAPES = ((1, 3, 9, 11), (1, 24, 4, 8), (2, 4, 6, 5), (1, 16, 7, 7), (1, 5, 1, 8), (1, 40, 4, 3), (2, 1, 1, 1), (3, 64))
UNARY: tuple[Expr, ...] = (relu(In(0)), clip(In(0), -1.0, 1.0), hard_swish(In(0)), sigmoid(In(0)), call("neg", In(0)))
BINARY: tuple[Expr, ...] = (
    call("add", In(0), In(1)), call("mul", In(0), In(1)), relu(call("add", In(0), In(1))), call("sub", In(0), In(1)),
    call("max", In(0), In(1)),
)  # fmt: skip


def random_graph(seed: int, nodes: int, *, int8: bool) -> tuple[Graph, dict[str, Array]]:
    """A graph of about `nodes` nodes, and arrays for its inputs."""
    generator = _Generator(seed, int8=int8)
    return generator.grow(nodes), generator.inputs


class _Generator:
    """Grows a graph node by node from values made before, computing each, so that quantizations fit the values."""

    def __init__(self, seed: int, *, int8: bool) -> None:
        self.rng, self.int8 = np.random.default_rng(seed), int8
        self.graph = Graph("random", [], [])
        self.arrays: dict[Value, Array] = {}
        self.values: list[Value] = []
        self.inputs: dict[str, Array] = {}
        for i in range(1 + self.chance(0.3)):
            shape = self.choice(SHAPES)
            value = Value(f"x{i}", TensorType(shape, "float32"))
            self.graph.inputs.append(value)
            self.inputs[value.name] = self.arrays[value] = self.normal(*shape)
            self.values.append(self.quantize(value) if int8 else value)

    def grow(self, nodes: int) -> Graph:
        makers: list[Callable[[Value], None]] = [
            self.conv, self.conv, self.conv, self.depthwise, self.depthwise, self.conv_transpose, self.pool, self.pool,
            self.unary, self.binary, self.binary, self.scale, self.outer, self.many, self.concat, self.concat,
            self.slice, self.pad, self.resize, self.transpose, self.reshape, self.flatten, self.softmax, self.reduce,
            self.matmul, self.gather, self.broadcast, self.residual, self.residual, self.shuffle, self.lrn,
            self.integers, self.scatter, self.top_k, self.cumulative, self.roi_align,
        ]  # fmt: skip
        while len(self.graph.nodes) < nodes:
            recent = self.values[-5:]
            self.choice(makers)(self.choice(recent))
        read = {v for node in self.graph.nodes for v in node.inputs}
        chosen = [v for v in self.values if v not in read or self.chance(0.08)]
        if self.chance(0.1):
            chosen.append(self.constant(2, 3))
        if self.chance(0.1):
            chosen.append(self.graph.inputs[0])
        self.graph.outputs = list(dict.fromkeys(chosen))
        return self.graph

    # chance

    def chance(self, p: float) -> bool:
        return bool(self.rng.random() < p)

    def choice(self, options: Sequence[T]) -> T:
        return options[int(self.rng.integers(len(options)))]

    def integer(self, low: int, high: int) -> int:
        return int(self.rng.integers(low, high + 1))

    def normal(self, *shape: int) -> Array:
        return self.rng.normal(size=shape).astype(np.float32)

    # values

    def emit(self, op: str, *inputs: Value, **attrs: Attr) -> Value:
        """A node's output. `extents` is the shape of an output that its inputs do not decide."""
        extents = attrs.pop("extents", ())
        assert isinstance(extents, tuple)
        out = Value(f"v{len(self.graph.nodes)}", TensorType(tuple(e for e in extents if isinstance(e, int)), "float32"))
        if "fixed_point" in lookup(op).attrs:
            attrs["fixed_point"] = len(self.graph.nodes) % 2 == 0
        node = Node(op, list(inputs), [out], attrs, f"n{len(self.graph.nodes)}")
        (out.type,) = lookup(op).infer(node)
        if self.int8 and out.type.quant is None and out.type.dtype == "float32" and lookup(op).requantizes:
            out.type = TensorType(out.type.shape, "int8", self.fitting(node))
        (self.arrays[out],) = run_node(node, [self.array(v) for v in inputs])
        self.graph.nodes.append(node)
        self.values.append(out)
        return out

    def array(self, value: Value) -> Array:
        return value.data if value.data is not None else self.arrays[value]

    def fitting(self, node: Node) -> Quant:
        """A quantization for the node's output: what the op gives of real numbers decides."""
        reals = []
        for v in node.inputs:
            array = self.array(v)
            reals.append(array if v.type.quant is None else quantized.dequantize(array, v.type.quant))
        twins = [Value(v.name, TensorType(v.type.shape, str(r.dtype))) for v, r in zip(node.inputs, reals, strict=True)]
        if len(twins) > 2 and node.op != "map":  # the codes of a bias are real at the scale of the sums
            x, w = node.inputs[0].type.quant, node.inputs[1].type.quant
            scales = x.scale[0] * np.array(w.scale, np.float32)
            reals[2] = (reals[2] * scales).astype(np.float32)
            twins[2] = Value("bias", TensorType(reals[2].shape, "float32"))
        twin = Node(node.op, twins, [Value("y", TensorType(node.output.type.shape, "float32"))], node.attrs)
        (real,) = run_node(twin, reals)
        low, high = min(0.0, float(real.min())), max(0.0, float(real.max()))
        scale = max(high - low, 1e-3) / self.choice((200.0, 255.0, 300.0))
        return Quant.per_tensor(scale, int(np.clip(round(-128 - low / scale), -128, 127)))

    def quantize(self, x: Value) -> Value:
        return self.emit("map", x, expr=In(0))

    def constant(self, *shape: int) -> Value:
        name = f"c{self.rng.integers(1 << 60)}"
        if not self.int8:
            return constant(name, self.normal(*shape))
        quant = Quant.per_tensor(0.02, self.integer(-20, 20))
        return constant(name, self.rng.integers(-128, 128, shape).astype(np.int8), quant)

    def weights(self, axis: int, *shape: int, per_channel: bool = True) -> Value:
        """Quantized: symmetric per channel, with -128 too, or asymmetric per tensor."""
        name = f"w{self.rng.integers(1 << 60)}"
        if not self.int8:
            return constant(name, self.normal(*shape) / np.float32(np.sqrt(prod(shape[1:]))))
        low = self.choice((-127, -128))
        codes = self.rng.integers(low, 128, shape).astype(np.int8)
        if per_channel and self.chance(0.7):
            scales = self.rng.uniform(0.002, 0.01, shape[axis]).astype(np.float32)
            return constant(name, codes, Quant(tuple(map(float, scales)), (0,) * shape[axis], axis))
        return constant(name, codes, Quant.per_tensor(0.004, self.choice((0, 0, 0, 3, -90))))

    def bias(self, channels: int) -> list[Value]:
        if self.chance(0.3):
            return []
        data = self.normal(channels)
        return [constant(f"b{self.rng.integers(1 << 60)}", (data * 500).astype(np.int32) if self.int8 else data)]

    def same_shape(self, x: Value) -> Value:
        return self.choice([v for v in self.values if v.type.shape == x.type.shape and v.type.dtype == x.type.dtype])

    def activation(self) -> dict[str, Attr]:
        if self.chance(0.5):
            return {}
        return {"activation": self.choice((relu(In(0)), clip(In(0), 0.0, 6.0), clip(In(0), -0.5, 0.7)))}

    # ops

    def window(self, plane: Sequence[int], kernel: Sequence[int], dilations: Sequence[int]) -> dict[str, Attr]:
        """Strides and asymmetric pads under which the kernel fits."""
        reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
        pads = [self.integer(0, 2) for _ in range(4)]
        for i in range(2):
            pads[i] += max(0, reach[i] - plane[i] - pads[i] - pads[i + 2])
        return {"strides": (self.integer(1, 2), self.integer(1, 3)), "pads": tuple(pads), "dilations": tuple(dilations)}

    def conv(self, x: Value) -> None:
        if x.type.rank != 4:
            return
        channels, *plane = x.type.shape[1:]
        kernel = self.choice(((1, 1), (1, 1), (3, 3), (2, 5), (3, 1)))
        dilations = self.choice(((1, 1), (1, 1), (2, 1), (1, 3)))
        groups = self.choice([g for g in (1, 1, 2, 3, 4) if channels % g == 0])
        out = groups * self.choice((1, 2, 3, 8, 17))
        w = self.weights(0, out, channels // groups, *kernel, per_channel=True)
        attrs = self.window(plane, kernel, dilations)
        if kernel == (1, 1) and self.chance(0.7):
            attrs = {}
        self.emit("conv2d", x, w, *self.bias(out), groups=groups, **attrs, **self.activation())

    def depthwise(self, x: Value) -> None:
        if x.type.rank != 4 or x.type.shape[1] < 2:
            return
        channels, *plane = x.type.shape[1:]
        kernel = self.choice(((3, 3), (3, 3), (5, 5), (1, 3), (4, 2)))
        dilations = self.choice(((1, 1), (1, 1), (1, 1), (2, 2)))
        out = channels * self.choice((1, 1, 1, 2))
        w = self.weights(0, out, 1, *kernel)
        attrs = self.window(plane, kernel, dilations)
        if self.chance(0.6):
            stride = self.integer(1, 2)
            attrs["strides"] = (stride, stride)
        self.emit("conv2d", x, w, *self.bias(out), groups=channels, **attrs, **self.activation())

    def conv_transpose(self, x: Value) -> None:
        if x.type.rank != 4 or x.type.size > LARGEST // 4:
            return
        channels = x.type.shape[1]
        kernel = self.integer(1, 4), self.integer(1, 4)
        groups = 2 if channels % 2 == 0 and self.chance(0.3) else 1
        out = self.integer(1, 5)
        w = self.weights(1, channels, out, *kernel, per_channel=groups == 1)
        strides = self.integer(1, 3), self.integer(1, 3)
        dilations = (self.integer(1, 2), 1) if self.chance(0.3) else (1, 1)
        full = [(d - 1) * s + (k - 1) * e + 1
                for d, s, k, e in zip(x.type.shape[2:], strides, kernel, dilations, strict=True)]  # fmt: skip
        pads = tuple(self.integer(0, 1) if full[i % 2] > 2 else 0 for i in range(4))
        more = self.integer(0, strides[0] - 1), self.integer(0, strides[1] - 1)
        self.emit(
            "conv_transpose2d", x, w, *self.bias(out * groups), strides=strides, pads=pads, dilations=dilations,
            groups=groups, output_padding=more, **self.activation(),
        )  # fmt: skip

    def pool(self, x: Value) -> None:
        if x.type.rank != 4:
            return
        plane = x.type.shape[2:]
        if self.chance(0.2):
            self.emit("avg_pool2d", x, kernel=tuple(plane))
            return
        kernel = tuple(self.integer(1, 3) for _ in plane)
        pads = tuple(self.integer(0, (k - 1) // 1) if k > 1 else 0 for k in (*kernel, *kernel))
        if any(d + pads[i] + pads[i + 2] < kernel[i] for i, d in enumerate(plane)):
            return
        strides = self.integer(1, 2), self.integer(1, 2)
        if self.chance(0.5):
            self.emit("max_pool2d", x, kernel=kernel, pads=pads, strides=strides)
        else:
            include = self.chance(0.5)
            self.emit("avg_pool2d", x, kernel=kernel, pads=pads, strides=strides, count_include_pad=include)

    def unary(self, x: Value) -> None:
        self.emit("map", x, expr=self.choice(UNARY))

    def binary(self, x: Value) -> None:
        self.emit("map", x, self.same_shape(x), expr=self.choice(BINARY))

    def residual(self, x: Value) -> None:
        """A convolution that keeps the shape, and the sum with what came in."""
        if x.type.rank != 4:
            return
        channels = x.type.shape[1]
        deep = channels > 1 and self.chance(0.4)
        w = self.weights(0, channels, 1 if deep else channels, 3, 3)
        y = self.emit("conv2d", x, w, *self.bias(channels), pads=(1, 1, 1, 1), groups=channels if deep else 1)
        self.emit("map", y, x, expr=self.choice(BINARY[:3]))

    def scale(self, x: Value) -> None:
        """Per channel, or along any other axis."""
        if x.type.rank:
            axis = 1 if x.type.rank == 4 and self.chance(0.6) else self.integer(0, x.type.rank - 1)
            shape = [d if i == axis else 1 for i, d in enumerate(x.type.shape)]
            self.emit("map", x, self.constant(*shape), expr=self.choice(BINARY))

    def outer(self, x: Value) -> None:
        """Both operands repeated along different axes."""
        if x.type.rank >= 2 and x.type.size <= LARGEST:
            a = self.emit("reduce", x, kind="mean", axes=(0, x.type.rank - 1), keepdims=True)
            b = self.emit("reduce", x, kind="max", axes=(1,), keepdims=True)
            self.emit("map", a, b, expr=self.choice(BINARY[:2]))

    def many(self, x: Value) -> None:
        """More inputs than a kernel takes."""
        total: Expr = In(0)
        for i in range(1, 7):
            total = call(self.choice(("add", "mul", "max", "sub")), total, In(i))
        axes = [self.integer(0, x.type.rank) for _ in range(6)]
        shapes = [[d if i == a else 1 for i, d in enumerate(x.type.shape)] for a in axes]
        self.emit("map", x, *(self.constant(*shape) for shape in shapes), expr=total)

    def concat(self, x: Value) -> None:
        if x.type.rank and x.type.size <= LARGEST and x.type.dtype in ("float32", "int8"):
            axis = 1 if x.type.rank == 4 and self.chance(0.7) else self.integer(0, x.type.rank - 1)
            others = [v for v in self.values if v.type == x.type]
            if self.int8:  # other values in this quantization
                others += [
                    self.requantized(v, x) for v in self.values[-3:] if v.type.shape == x.type.shape and v is not x
                ]
            parts = [x, *(self.choice(others) for _ in range(self.integer(0, 2)))]
            if self.chance(0.1):
                shape, quant = x.type.shape, x.type.quant
                data = self.normal(*shape) if quant is None else self.rng.integers(-128, 128, shape).astype(np.int8)
                parts.append(constant(f"c{self.rng.integers(1 << 60)}", data, quant))
            self.emit("concat", *parts, axis=axis)

    def requantized(self, v: Value, like: Value) -> Value:
        out = Value(f"v{len(self.graph.nodes)}", TensorType(v.type.shape, "int8", like.type.quant))
        node = Node("map", [v], [out], {"expr": In(0)}, f"n{len(self.graph.nodes)}")
        (self.arrays[out],) = run_node(node, [self.array(v)])
        self.graph.nodes.append(node)
        return out

    def slice(self, x: Value) -> None:
        starts, steps, extents = [], [], []
        for d in x.type.shape:
            step = self.choice((1, 1, 1, 2, -1))
            start = self.integer(0, d // 3) if step > 0 else self.integer(2 * d // 3, d - 1)
            room = d - start if step > 0 else start + 1
            starts.append(start)
            steps.append(step)
            extents.append(max(1, -(-room // abs(step)) - self.integer(0, 1)))
        self.emit("slice", x, extents=tuple(extents), starts=tuple(starts), steps=tuple(steps))

    def pad(self, x: Value) -> None:
        if not x.type.rank or x.type.size > LARGEST // 2:
            return
        mode = self.choice(("constant", "constant", "edge", "reflect"))
        most = [2 if mode != "reflect" else min(2, d - 1) for d in x.type.shape]
        if x.type.rank == 4 and self.chance(0.5):
            most[:2] = [0, 0]
        pads = tuple(self.integer(0, m) for m in (*most, *most))
        self.emit("pad", x, pads=pads, mode=mode, value=self.choice((0.0, 0.3)))

    def resize(self, x: Value) -> None:
        if x.type.rank == 4 and x.type.size <= LARGEST // 4:
            factors = self.integer(1, 2), self.integer(1, 3)
            sizes = tuple(d * f for d, f in zip(x.type.shape[2:], factors, strict=True))
            mode, scales = self.choice(("nearest", "linear")), tuple(map(float, factors))
            coordinates = self.choice(("half_pixel", "asymmetric", "align_corners"))
            self.emit("resize", x, mode=mode, coordinates=coordinates, sizes=sizes, scales=scales)

    def transpose(self, x: Value) -> None:
        self.emit("transpose", x, perm=tuple(int(p) for p in self.rng.permutation(x.type.rank)))

    def reshape(self, x: Value) -> None:
        """Join two neighbours, or split one dimension."""
        shape = list(x.type.shape)
        at = self.integer(0, max(len(shape) - 1, 0))
        if self.chance(0.5) and at + 1 < len(shape):
            shape[at : at + 2] = [shape[at] * shape[at + 1]]
        elif shape and len(shape) < 6:
            shape[at : at + 1] = [2, shape[at] // 2] if shape[at] % 2 == 0 else [1, shape[at]]
        self.emit("reshape", x, shape=tuple(shape))

    def flatten(self, x: Value) -> None:
        """To a matrix, or back to an image."""
        if x.type.rank == 4:
            self.emit("reshape", x, shape=(x.type.shape[0], prod(x.type.shape[1:])))
        elif x.type.size % 4 == 0 and x.type.size < LARGEST:
            self.emit("reshape", x, shape=(1, x.type.size // 4, 2, 2))

    def softmax(self, x: Value) -> None:
        if x.type.rank:
            self.emit(
                "softmax", x, axis=self.integer(0, x.type.rank - 1), **({} if self.int8 else {"log": self.chance(0.3)})
            )

    def reduce(self, x: Value) -> None:
        axes = tuple(i for i in range(x.type.rank) if self.chance(0.4))
        kinds = ("mean", "max", "min") if self.int8 else ("mean", "max", "min", "sum", "l1", "l2")
        self.emit("reduce", x, kind=self.choice(kinds), axes=axes, keepdims=self.chance(0.6))

    def matmul(self, x: Value) -> None:
        if x.type.rank >= 2:
            columns, depth = self.integer(1, 20), x.type.shape[-1]
            stack = x.type.shape[-3:-2] if self.chance(0.3) else ()
            w = self.weights(1, *stack, depth, columns, per_channel=not stack)
            self.emit("matmul", x, w, *self.bias(columns), **self.activation())

    def gather(self, x: Value) -> None:
        if x.type.rank:
            axis = self.integer(0, x.type.rank - 1)
            indices = self.rng.integers(0, x.type.shape[axis], self.choice(((3,), (2, 2), ())))
            self.emit("gather", x, constant(f"i{self.rng.integers(1 << 60)}", indices.astype(np.int64)), axis=axis)

    def scatter(self, x: Value) -> None:
        """Rows of a tensor put into another order, or added to others; some nowhere."""
        if x.type.rank and x.type.dtype in ("float32", "int8"):
            rows = x.type.shape[0]
            indices = constant(f"i{self.rng.integers(1 << 60)}", self.rng.integers(-1, rows + 1, rows))
            reduction = "none" if self.int8 else self.choice(("none", "add", "min"))
            self.emit("scatter", x, indices, x, reduction=reduction)

    def top_k(self, x: Value) -> None:
        """The values; of int8 also the rows that the places of the first column name. (Floats may be as good as
        equal.)"""
        if not x.type.rank:
            return
        axis = self.integer(0, x.type.rank - 1)
        attrs: dict[str, Attr] = {"axis": axis, "k": self.integer(1, x.type.shape[axis]), "largest": self.chance(0.5)}
        number = len(self.graph.nodes)
        outputs = [Value(f"v{number}{part}", TensorType((), "float32")) for part in ("", "_places")]
        node = Node("top_k", [x], outputs, attrs, f"n{number}")
        types, arrays = lookup("top_k").infer(node), run_node(node, [self.array(x)])
        for out, type_, array in zip(outputs, types, arrays, strict=True):
            out.type, self.arrays[out] = type_, array
        self.graph.nodes.append(node)
        self.values.append(outputs[0])
        if self.int8 and x.type.size <= LARGEST // 8 and axis == x.type.rank - 1:
            column = self.emit("reduce", outputs[1], kind="min", axes=tuple(range(x.type.rank)), keepdims=False)
            self.values.pop()
            self.emit("gather", x, column, axis=axis)

    def cumulative(self, x: Value) -> None:
        if x.type.rank and x.type.dtype == "float32":
            axis, flags = self.integer(0, x.type.rank - 1), (self.chance(0.3), self.chance(0.3))
            self.emit("cumulative", x, kind="sum", axis=axis, exclusive=flags[0], reverse=flags[1])

    def roi_align(self, x: Value) -> None:
        if x.type.rank == 4 and not self.int8:
            corners = self.rng.uniform(-1, 6, (3, 2))
            regions = np.concatenate([corners, corners + self.rng.uniform(0, 5, (3, 2))], 1).astype(np.float32)
            rois = constant(f"r{self.rng.integers(1 << 60)}", regions)
            images = constant(f"i{self.rng.integers(1 << 60)}", self.rng.integers(0, x.type.shape[0], 3))
            sizes = self.integer(1, 3), self.integer(1, 3)
            self.emit("roi_align", x, rois, images, sizes=sizes, samples=self.integer(1, 2))

    def broadcast(self, x: Value) -> None:
        if x.type.size <= LARGEST // 6 and x.type.rank < 6:
            shape = tuple(d if d > 1 else self.integer(1, 3) for d in x.type.shape)
            self.emit("broadcast_to", x, shape=(2, *shape) if self.chance(0.3) else shape)

    def shuffle(self, x: Value) -> None:
        if x.type.rank == 4 and x.type.shape[1] % 2 == 0:
            n, c, h, w = x.type.shape
            a = self.emit("reshape", x, shape=(n, 2, c // 2, h, w))
            b = self.emit("transpose", a, perm=(0, 2, 1, 3, 4))
            self.emit("reshape", b, shape=(n, c, h, w))

    def lrn(self, x: Value) -> None:
        if x.type.rank == 4 and not self.int8:
            self.emit("lrn", x, size=self.choice((1, 3, 4)), alpha=0.1, beta=0.75, bias=1.0)

    def integers(self, x: Value) -> None:
        """Through int32 and bool and back."""
        if self.int8:
            return
        codes = self.emit("map", x, expr=call("cast", call("mul", In(0), 10.0), dtype="int32"))
        more = self.emit("map", codes, codes, expr=call("add", call("mul", In(0), 3), In(1)))
        truth = self.emit("map", more, expr=call("lt", In(0), 5))
        self.values[-3:] = []
        back = call("where", In(0), call("cast", In(1), dtype="float32"), In(2))
        self.emit("map", truth, more, x, expr=back)
